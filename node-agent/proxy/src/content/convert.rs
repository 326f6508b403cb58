//! Docker's schema 2 as OCI: the same documents under other media types, so that who asks us needs to know only one.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::manifest::OCI_IMAGE;

/// Docker's media types and OCI's for the same bytes.
const LAYERS: [(&str, &str); 3] = [
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
    ("application/vnd.docker.image.rootfs.diff.tar.zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ("application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"),
];

/// The OCI manifest that says what the schema 2 manifest `bytes` says.
pub(crate) fn to_oci(bytes: &[u8]) -> Result<Vec<u8>> {
    let doing = "converting Docker's manifest to OCI";
    let mut manifest: Value = serde_json::from_slice(bytes).context(doing)?;
    manifest["mediaType"] = OCI_IMAGE.into();
    manifest["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    for layer in manifest["layers"].as_array_mut().into_iter().flatten() {
        let found = layer["mediaType"].as_str().unwrap_or_default();
        let Some((_, oci)) = LAYERS.iter().find(|(docker, _)| *docker == found) else {
            bail!("{doing}: a layer has the media type {found:?}, expected a tar archive, plain, gzip or zstd");
        };
        layer["mediaType"] = (*oci).into();
    }
    serde_json::to_vec(&manifest).context(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_media_types_change() {
        let docker = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
            "config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"d","size":1},
            "layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"e","size":2}]}"#;
        let oci: Value = serde_json::from_slice(&to_oci(docker.as_bytes()).unwrap()).unwrap();
        let expected = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "d", "size": 1},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "e", "size": 2}],
        });
        assert_eq!(oci, expected);
        let foreign = docker.replace("diff.tar.gzip", "foreign.diff.tar.gzip");
        let error = to_oci(foreign.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("foreign.diff.tar.gzip\", expected a tar archive"), "{error}");
    }
}
