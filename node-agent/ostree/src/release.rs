//! What an image says about itself: whether it is a release of ours, which one, and how large. Pure.

use std::collections::HashMap;

use anyhow::Result;
use ballast_types::worker::Release;
use ostree_ext::oci_spec::image::ImageConfiguration;

use crate::failure::{Failure, Kind};

/// The layer up to which an image is the ostree commit; the others are derived (ostree-ext, `DIFFID_LABEL`).
const FINAL_DIFFID: &str = "ostree.final-diffid";

/// Labels are in the configuration: annotations get lost where images are converted.
pub(crate) fn read(config: &ImageConfiguration) -> Result<Release> {
    let none = HashMap::new();
    let labels = config.config().as_ref().and_then(|config| config.labels().as_ref()).unwrap_or(&none);
    let label = |key: &str| {
        let missing = || not_a_release(format!("it has no label {key}"));
        labels.get(key).filter(|value| !value.is_empty()).cloned().ok_or_else(missing)
    };
    let number = |key: &str| {
        let value = label(key)?;
        value.parse().map_err(|_| not_a_release(format!("its label {key} is {value:?}, expected a number")))
    };
    label(FINAL_DIFFID)?;
    Ok(Release {
        version: label("org.opencontainers.image.version")?,
        os_id: label("os.ballast.id")?,
        architecture: config.architecture().to_string(),
        created: config.created().clone().unwrap_or_default(),
        commit: label("ostree.commit")?,
        installed_bytes: number("os.ballast.installed-bytes")?,
        objects: number("os.ballast.objects")?,
        boot_bytes: number("os.ballast.boot-bytes")?,
    })
}

/// How many of the image's layers are derived from the release: those behind the last of the ostree commit.
pub(crate) fn derived_layers(config: &ImageConfiguration) -> usize {
    let labels = config.config().as_ref().and_then(|config| config.labels().as_ref());
    let last = labels.and_then(|labels| labels.get(FINAL_DIFFID));
    let ids = config.rootfs().diff_ids();
    let at = last.and_then(|last| ids.iter().position(|id| id == last));
    at.map_or(0, |at| ids.len() - at - 1)
}

fn not_a_release(text: String) -> Failure {
    Failure::new(Kind::NotARelease, format!("the image is no release: {text}; name one that make release pushed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::failure;

    fn config(labels: &serde_json::Value, layers: &[&str]) -> ImageConfiguration {
        let text = json!({"architecture": "amd64", "os": "linux", "created": "2026-11-22T00:00:00Z",
            "config": {"Labels": labels}, "rootfs": {"type": "layers", "diff_ids": layers}, "history": []});
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn labels_make_a_release() {
        let mut labels = json!({"ostree.final-diffid": "sha256:b", "ostree.commit": "c",
            "org.opencontainers.image.version": "20261122.1", "os.ballast.id": "ballast",
            "os.ballast.installed-bytes": "170000000", "os.ballast.objects": "1400", "os.ballast.boot-bytes": "9800000"});
        let release = read(&config(&labels, &["sha256:a", "sha256:b"])).unwrap();
        assert_eq!((release.version.as_str(), release.objects), ("20261122.1", 1400));
        assert_eq!(release.architecture, "amd64");
        assert_eq!(derived_layers(&config(&labels, &["sha256:a", "sha256:b"])), 0);
        assert_eq!(derived_layers(&config(&labels, &["sha256:a", "sha256:b", "sha256:d"])), 1);

        labels["os.ballast.objects"] = json!("many");
        let error = read(&config(&labels, &[])).unwrap_err();
        assert_eq!(failure::kind(&error), Kind::NotARelease);
        assert!(error.to_string().contains("os.ballast.objects is \"many\""), "{error}");
        let error = read(&config(&json!({}), &[])).unwrap_err().to_string();
        assert_eq!(
            error,
            "the image is no release: it has no label ostree.final-diffid; name one that make release pushed"
        );
    }
}
