//! Deployments: releases checked out on the disk.

use std::fmt;

use super::Digest;

/// A deployment, named by its commit and a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeploymentId {
    /// The ostree commit, 64 hexadecimal digits.
    pub commit: String,
    /// Distinguishes several deployments of one commit.
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

/// Where a deployment came from: the `[ballast]` group of its origin file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The manifest digest of its image.
    pub digest: Digest,
    /// Its version.
    pub version: String,
    /// The image's name, as it was asked for.
    pub image: String,
}

impl Origin {
    /// Reads a keyfile (Desktop Entry Specification, "Basic format of the file"); None if it lacks one of our keys.
    pub fn parse(text: &str) -> Option<Self> {
        let group = text
            .split("\n[")
            .map(|group| group.trim_start_matches('['))
            .find_map(|group| group.strip_prefix("ballast]"))?;
        let value = |key: &str| {
            let mut lines = group.lines();
            lines
                .find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))
                .map(|value| value.trim().to_owned())
        };
        Some(Self { digest: Digest::parse(&value("digest")?)?, version: value("version")?, image: value("image")? })
    }
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
        for failed in ["", ".0", "ab.0", &commit, &format!("{commit}."), &format!("{}.0", "AB".repeat(32))] {
            assert_eq!(DeploymentId::parse(failed), None, "{failed}");
        }
    }

    #[test]
    fn the_origin_is_a_group_of_the_keyfile() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let ours = format!("[ballast]\ndigest={digest}\nversion=1\nimage=a/b:c\n");
        let expected = Origin { digest: Digest::parse(&digest).unwrap(), version: "1".into(), image: "a/b:c".into() };
        for text in [ours.clone(), format!("[origin]\nversion=9\n\n{ours}[x]\nimage=no\n"), ours.replace('=', " = ")] {
            assert_eq!(Origin::parse(&text), Some(expected.clone()), "{text}");
        }
        for text in
            [String::new(), ours.replace("sha256", "md5"), ours.replace("version", "v"), ours.replace("[ballast]", "")]
        {
            assert_eq!(Origin::parse(&text), None, "{text}");
        }
    }
}
