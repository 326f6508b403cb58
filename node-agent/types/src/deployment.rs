//! What a deployment is called: on the disk, in boot entries, on the kernel's command line.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `COMMIT.SERIAL`. Valid by construction, so it is safe in a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentId {
    commit: String,
    serial: u32,
}

/// A text that names no deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no deployment, expected COMMIT.SERIAL: 64 hexadecimal letters (0-9, a-f) and a number")]
pub struct NotADeployment {
    text: String,
}

impl DeploymentId {
    /// The ostree commit, 64 hexadecimal letters.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Distinguishes several deployments of one commit.
    pub fn serial(&self) -> u32 {
        self.serial
    }
}

impl FromStr for DeploymentId {
    type Err = NotADeployment;

    fn from_str(text: &str) -> Result<Self, NotADeployment> {
        let parsed = || {
            let (commit, serial) = text.split_once('.')?;
            let is_hex = commit.len() == 64 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let id = Self { commit: commit.to_owned(), serial: serial.parse().ok()? };
            // Neither `+1` nor `01`: a name has one form.
            (is_hex && id.to_string() == text).then_some(id)
        };
        parsed().ok_or_else(|| NotADeployment { text: text.to_owned() })
    }
}

impl TryFrom<String> for DeploymentId {
    type Error = NotADeployment;

    fn try_from(text: String) -> Result<Self, NotADeployment> {
        text.parse()
    }
}

impl From<DeploymentId> for String {
    fn from(id: DeploymentId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.commit, self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_a_commit_and_a_number() {
        let commit = "ab".repeat(32);
        let id: DeploymentId = format!("{commit}.12").parse().unwrap();
        assert_eq!((id.commit(), id.serial()), (commit.as_str(), 12));
        assert_eq!(id.to_string(), format!("{commit}.12"));
        let bad = [
            String::new(),
            ".0".to_owned(),
            "ab.0".to_owned(),
            "../../../../etc.0".to_owned(),
            commit.clone(),
            format!("{commit}."),
            format!("{commit}.+1"),
            format!("{commit}.01"),
            format!("{commit}.x"),
            format!("{commit}.99999999999"),
            format!("{}.0", commit.to_uppercase()),
        ];
        for text in bad {
            let error = text.parse::<DeploymentId>().unwrap_err().to_string();
            assert!(error.contains("expected COMMIT.SERIAL"), "{error}");
        }
    }
}
