//! Manifests: one image (OCI, or Docker's schema 2, which is the same thing under other names) or an index of them.
//! (opencontainers/image-spec: manifest.md, image-index.md)

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde::Deserialize;

use super::digest::{self, Digest};

/// Manifests are held in memory. Real ones have some kilobytes; registries themselves refuse more than 4 MiB.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A manifest as it was fetched, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Index(Vec<Descriptor>),
    Image { config: Descriptor, layers: Vec<Descriptor>, is_docker: bool },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Manifest {
    /// `declared` is the media type that it was sent with, if any.
    pub(crate) fn parse(bytes: Bytes, declared: Option<&str>) -> Result<Self> {
        let document: Document = serde_json::from_slice(&bytes).context("the manifest is not as the OCI specifies")?;
        if document.schema_version != 2 {
            bail!("the manifest has schema version {}, expected 2", document.schema_version);
        }
        let known = [OCI_INDEX, OCI_IMAGE, DOCKER_LIST, DOCKER_IMAGE];
        // What the manifest says of itself is covered by its digest, what the transport says is not.
        let declared = declared.filter(|declared| known.contains(declared)).map(str::to_owned);
        let media_type = document.media_type.or(declared).unwrap_or_default();
        let is_index = matches!(&*media_type, OCI_INDEX | DOCKER_LIST);
        let is_docker = matches!(&*media_type, DOCKER_LIST | DOCKER_IMAGE);
        if !media_type.is_empty() && !known.contains(&&*media_type) {
            bail!("the manifest has the media type {media_type:?}, expected one of {}", known.join(", "));
        }
        // Both at once could be shown to one program as an index and to another as an image (CVE-2021-41190).
        let kind = match (document.manifests, document.config, document.layers) {
            (Some(manifests), None, None) if is_index || media_type.is_empty() => Kind::Index(manifests),
            (None, Some(config), Some(layers)) if !is_index => Kind::Image { config, layers, is_docker },
            _ => {
                bail!("the manifest is neither an image (config and layers) nor an index (manifests), or both at once")
            }
        };
        Ok(Self { digest: digest::of(&bytes), bytes, kind })
    }
}

/// The image of an index that runs on this machine.
pub(crate) fn choose(manifests: &[Descriptor]) -> Result<&Descriptor> {
    // Go's names, which the OCI uses.
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == architecture;
    let chosen = manifests.iter().find(|descriptor| descriptor.platform.as_ref().is_some_and(fits));
    chosen.with_context(|| {
        let platforms = manifests.iter().filter_map(|descriptor| descriptor.platform.as_ref());
        let found: Vec<String> = platforms.map(|found| format!("{}/{}", found.os, found.architecture)).collect();
        format!("the index has no image for linux/{architecture}, it has [{}]", found.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(media_type: &str, more: &str) -> String {
        let digest = digest::of(more.as_bytes());
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":3{more}}}"#)
    }

    fn parse(text: &str, declared: Option<&str>) -> Result<Manifest> {
        Manifest::parse(Bytes::copy_from_slice(text.as_bytes()), declared)
    }

    #[test]
    fn an_image_and_an_index_are_distinguished() {
        let image = format!(r#"{{"schemaVersion":2,"config":{},"layers":[]}}"#, descriptor("c", ""));
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, descriptor(OCI_IMAGE, ""));
        assert!(matches!(parse(&image, None).unwrap().kind, Kind::Image { is_docker: false, .. }));
        assert!(matches!(parse(&image, Some(DOCKER_IMAGE)).unwrap().kind, Kind::Image { is_docker: true, .. }));
        assert!(matches!(parse(&image, Some("text/plain")).unwrap().kind, Kind::Image { is_docker: false, .. }));
        assert!(matches!(parse(&index, None).unwrap().kind, Kind::Index(_)));
        assert!(parse(&image, Some(OCI_INDEX)).is_err());
        assert!(parse(&index, Some(OCI_IMAGE)).is_err());
        assert_eq!(parse(&image, None).unwrap().digest, digest::of(image.as_bytes()));
    }

    #[test]
    fn what_is_neither_is_refused() {
        let both = format!(
            r#"{{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}}"#,
            descriptor("application/vnd.oci.image.config.v1+json", "")
        );
        let table = [
            ("[]", "is not as the OCI specifies"),
            (r#"{"schemaVersion":1}"#, "has schema version 1, expected 2"),
            (r#"{"schemaVersion":2,"mediaType":"x/y","manifests":[]}"#, "has the media type \"x/y\", expected one of"),
            (r#"{"schemaVersion":2}"#, "is neither an image"),
            (&both, "or both at once"),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", parse(text, None).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_image_for_this_machine_is_chosen() {
        let platform = |os: &str, architecture: &str| {
            let more = format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#);
            serde_json::from_str::<Descriptor>(&descriptor(OCI_IMAGE, &more)).unwrap()
        };
        let ours = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let all = [platform("linux", "riscv64"), platform("windows", ours), platform("linux", ours)];
        assert_eq!(choose(&all).unwrap().digest, all[2].digest);
        let error = choose(&all[..2]).unwrap_err().to_string();
        assert!(error.ends_with(&format!("it has [linux/riscv64, windows/{ours}]")), "{error}");
    }
}
