//! Images as a test needs them: made here, pushed to the registry or laid into a folder, and signed.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use crate::registry::Registry;

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub(crate) fn sha256(content: &[u8]) -> String {
    let hex = hex::encode(digest(&SHA256, content));
    format!("sha256:{hex}")
}

/// An image of one layer.
pub(crate) struct Image {
    pub(crate) layer: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// `seed` makes its content another.
    pub(crate) fn new(seed: u64, layer_bytes: usize) -> Self {
        // Not compressible, and no two places alike, so that a wrong resume would show.
        let mut state = seed * 2 + 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let mut layer: Vec<u8> = std::iter::repeat_with(&mut next).take(layer_bytes / 8 + 1).flatten().collect();
        layer.truncate(layer_bytes);
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Labels": {"seed": seed.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}});
        let config = config.to_string().into_bytes();
        let manifest = manifest(descriptor(CONFIG, &config), &[descriptor(LAYER, &layer)]);
        Self { layer, config, manifest }
    }

    pub(crate) fn digest(&self) -> String {
        sha256(&self.manifest)
    }

    pub(crate) fn push(&self, registry: &Registry, repository: &str, tag: &str) {
        registry.push_blob(repository, &sha256(&self.layer), &self.layer);
        registry.push_blob(repository, &sha256(&self.config), &self.config);
        registry.push_manifest(repository, tag, IMAGE, &self.manifest);
    }

    /// Lays it into a folder, as the only image there.
    pub(crate) fn lay_out(&self, folder: &Path, tag: &str) {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for content in [&self.layer, &self.config, &self.manifest] {
            fs::write(blobs.join(&sha256(content)[7..]), content).unwrap();
        }
        let mut image = descriptor(IMAGE, &self.manifest);
        image["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": [image]}).to_string()).unwrap();
    }
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(content), "size": content.len()})
}

fn manifest(config: Value, layers: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers}).to_string().into_bytes()
}

/// Who signs.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { pair, random }
    }

    /// In PEM.
    pub(crate) fn public_key(&self) -> String {
        let mut der = STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAA").unwrap();
        // The last letters above only fill base64 up to whole bytes.
        der.truncate(26);
        der.extend_from_slice(self.pair.public_key().as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// Signs the manifest with that digest as `name`; stores the signature beside the one with the digest `beside`.
    pub(crate) fn sign(&self, registry: &Registry, repository: &str, digest: &str, name: &str, beside: &str) {
        store(registry, repository, beside, &[self.signature(registry, repository, digest, name, &json!(null))]);
    }

    /// The layer that is the signature, with what else is signed.
    pub(crate) fn signature(
        &self,
        registry: &Registry,
        repository: &str,
        digest: &str,
        name: &str,
        optional: &Value,
    ) -> Value {
        let payload = json!({"critical": {"type": "cosign container image signature",
            "image": {"docker-manifest-digest": digest}, "identity": {"docker-reference": name}}, "optional": optional});
        let payload = payload.to_string().into_bytes();
        let signature = STANDARD.encode(self.pair.sign(&self.random, &payload).unwrap().as_ref());
        let mut layer = descriptor("application/vnd.dev.cosign.simplesigning.v1+json", &payload);
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": signature});
        registry.push_blob(repository, &sha256(&payload), &payload);
        layer
    }
}

/// The signatures of the image with the digest `beside`.
pub(crate) fn store(registry: &Registry, repository: &str, beside: &str, signatures: &[Value]) {
    registry.push_blob(repository, &sha256(b"{}"), b"{}");
    let tag = format!("sha256-{}.sig", &beside[7..]);
    registry.push_manifest(repository, &tag, IMAGE, &manifest(descriptor(CONFIG, b"{}"), signatures));
}
