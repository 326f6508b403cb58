//! Deployments: releases checked out on the disk.

pub use ballast_types::DeploymentId;

use super::Digest;

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
        Some(Self {
            digest: value("digest")?.parse::<Digest>().ok()?,
            version: value("version")?,
            image: value("image")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_a_group_of_the_keyfile() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let ours = format!("[ballast]\ndigest={digest}\nversion=1\nimage=a/b:c\n");
        let expected = Origin { digest: digest.parse().unwrap(), version: "1".into(), image: "a/b:c".into() };
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
