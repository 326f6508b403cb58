//! What the workers print and the agent reads: JSON, one object a line. Lines of progress, then a result or an error.

use serde::{Deserialize, Serialize};

use crate::{DeploymentId, FailureKind, Sha256Digest};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line<T> {
    /// How far a fetch is.
    Progress(Progress),
    /// It ended well.
    Result(T),
    /// It did not.
    Error(WorkerFailure),
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Fetched so far.
    pub fetched_bytes: u64,
    /// To fetch in all: of the layers that were not here at the start.
    pub total_bytes: u64,
    /// Counts from 1, over the layers that were not here; None where layers are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// How many there are of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
}

/// What went wrong, as the worker says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct WorkerFailure {
    /// By what can be done about it.
    pub kind: FailureKind,
    /// A stack of tasks in one sentence.
    pub message: String,
}

/// What an image says of the release in it: its labels and its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// `ID` of the operating system in it.
    pub os_id: String,
    /// Its processor architecture, as Go calls it.
    pub architecture: String,
    /// When it was built.
    pub created: String,
    /// Its ostree commit, without derived layers.
    pub commit: String,
    /// Bytes of all its files.
    pub installed_bytes: u64,
    /// How many objects (files) it has.
    pub objects: u64,
    /// Bytes of its kernel and initramfs.
    pub boot_bytes: u64,
}

/// `inspect`: what a registry offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// The digest of its manifest.
    pub digest: Sha256Digest,
    /// What it says of itself.
    #[serde(flatten)]
    pub release: Release,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// When its signatures run out, in seconds since 1970, if they do.
    #[serde(default)]
    pub signed_until: Option<u64>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its digest.
    pub digest: String,
    /// Its bytes as it travels.
    pub size: u64,
    /// Whether it is in the repository.
    pub present: bool,
}

/// `fetch`: what was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The digest of its manifest.
    pub digest: Sha256Digest,
    /// Its version.
    pub version: String,
    /// The commit that will be deployed.
    pub commit: String,
    /// How much was fetched for it.
    pub fetched_bytes: u64,
}

/// `deploy`: the deployment that was made, or was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The digest of its image's manifest.
    pub digest: Sha256Digest,
    /// Its version.
    pub version: String,
    /// Its commit.
    pub commit: String,
    /// Its name.
    pub deployment: DeploymentId,
    /// The fs-verity digest of its composefs image.
    pub composefs: String,
    /// The kernel, a plain file.
    pub kernel: String,
    /// The initramfs, a plain file.
    pub initramfs: String,
    /// The kernel's command line in the release.
    pub cmdline: String,
}

/// `remove`: what was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The digests of releases.
    pub removed: Vec<String>,
    /// The bytes that came free.
    pub freed_bytes: u64,
}

/// `fsck`: what a check of all objects found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// How many objects there are.
    pub objects: u64,
    /// What is wrong, a sentence for each.
    pub damaged: Vec<String>,
    /// How many were mended.
    pub repaired: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_form_that_the_worker_s_readme_says() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let release = r#""version":"2","os_id":"ballast","architecture":"amd64","created":"","commit":"c","installed_bytes":9,"objects":1,"boot_bytes":2"#;
        let layers = r#""layers":[{"digest":"x","size":7,"present":false}]"#;
        let text = format!(r#"{{"result":{{"digest":"{digest}",{release},{layers},"signed_until":null}}}}"#);
        let line: Line<Inspected> = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
        let Line::Result(inspected) = line else { panic!("{line:?}") };
        assert_eq!((inspected.release.objects, inspected.layers[0].size), (1, 7));
        for text in [
            r#"{"progress":{"fetched_bytes":1,"total_bytes":7}}"#,
            r#"{"progress":{"fetched_bytes":1,"total_bytes":7,"layer":1,"layers":2}}"#,
            r#"{"error":{"kind":"no-space","message":"a"}}"#,
        ] {
            let line: Line<Removed> = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
        }
        let bad = format!(r#"{{"result":{{"digest":"{}",{release},{layers}}}}}"#, &digest[..70]);
        assert!(serde_json::from_str::<Line<Inspected>>(&bad).unwrap_err().to_string().contains("is no digest"));
    }
}
