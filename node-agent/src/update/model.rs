//! What a release on this node is.

use std::fmt;

/// A deployment: a release checked out on the disk, named by its commit and a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeploymentId {
    /// The ostree commit, 64 hexadecimal digits.
    pub commit: String,
    /// Tells several deployments of one commit apart.
    pub serial: u32,
}

impl DeploymentId {
    /// `COMMIT.SERIAL`
    pub fn parse(text: &str) -> Option<Self> {
        let (commit, serial) = text.split_once('.')?;
        let is_hex = commit.len() == 64 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then_some(Self { commit: commit.to_owned(), serial: serial.parse().ok()? })
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.commit, self.serial)
    }
}

/// Everything about the releases at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The one that runs.
    pub booted: Option<DeploymentId>,
    /// The version of the one that runs.
    pub booted_version: String,
    /// Those on the disk.
    pub on_disk: Vec<DeploymentId>,
    /// The boot entries that name a deployment.
    pub entries: Vec<BootEntry>,
    /// The EFI system partition, while it is there and not mounted.
    pub unmounted_esp: Option<String>,
}

/// What to do about the releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Mount the EFI system partition, so that the boot entries can be read.
    MountEsp {
        /// As `/dev/vda1`.
        device: String,
    },
}

/// A boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The file's name.
    pub file: String,
    /// Which deployment it boots.
    pub deployment: DeploymentId,
    /// Its version.
    pub version: String,
    /// How many tries are left; None if it is not counted.
    pub tries_left: Option<u32>,
}

/// A release on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Which.
    pub id: DeploymentId,
    /// Its version, as far as it is known.
    pub version: String,
    /// Whether it runs.
    pub booted: bool,
    /// Whether it is the next to boot.
    pub next: bool,
    /// What its boot entry says.
    pub state: State,
}

/// What a boot entry says of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It still has to prove itself: tries are counted.
    Trial,
    /// It has proved itself.
    Good,
    /// Its tries are used up.
    Bad,
    /// It has no entry, or none that could be read.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_a_commit_and_a_number() {
        let commit = "ab".repeat(32);
        let id = DeploymentId::parse(&format!("{commit}.1")).unwrap();
        assert_eq!((id.commit.as_str(), id.serial), (commit.as_str(), 1));
        assert_eq!(id.to_string(), format!("{commit}.1"));
        for bad in ["", ".0", "ab.0", &commit, &format!("{commit}."), &format!("{}.0", "AB".repeat(32))] {
            assert_eq!(DeploymentId::parse(bad), None, "{bad}");
        }
    }
}
