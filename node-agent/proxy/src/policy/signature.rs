//! One sigstore signature: a small JSON document ("simple signing"), signed, that names an image and its digest.
//! (containers/image: signature-protocols.md, containers-signature(5))

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};

use super::{identity::Identity, key::PublicKey};
use crate::content::{digest::Digest, reference::Named};

pub(super) const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(super) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What `critical.type` has to be: another kind of signed document is no signature of an image.
const TYPE: &str = "cosign container image signature";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    #[serde(rename = "optional")]
    _optional: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    r#type: String,
    image: Image,
    identity: Signed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: Digest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Signed {
    docker_reference: String,
}

/// What a signature has to be good for.
pub(super) struct Wanted<'a> {
    pub(super) digest: &'a Digest,
    pub(super) name: Option<&'a Named>,
    pub(super) keys: &'a [PublicKey],
    pub(super) identity: &'a Identity,
}

/// Checks the signature (in base64) over `payload`. Nothing of the payload is believed, or read, before.
pub(super) fn check(payload: &[u8], signature: &str, wanted: &Wanted<'_>) -> Result<()> {
    let signature = STANDARD.decode(signature.trim()).context("the signature is not in base64")?;
    if !wanted.keys.iter().any(|key| key.verifies(payload, &signature)) {
        let keys: Vec<&str> = wanted.keys.iter().map(|key| &*key.origin).collect();
        bail!("it was made with another key, expected {}", keys.join(" or "));
    }
    let Payload { critical, .. } =
        serde_json::from_slice(payload).context("what was signed is no simple signing document")?;
    if critical.r#type != TYPE {
        bail!("what was signed is a {:?}, expected a {TYPE:?}", critical.r#type);
    }
    let signed = critical.image.docker_manifest_digest;
    if signed != *wanted.digest {
        bail!("another image was signed: {signed}, expected {}", wanted.digest);
    }
    wanted.identity.check(wanted.name, &critical.identity.docker_reference).map_err(|sentence| anyhow!(sentence))
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
    };

    use super::{super::key::tests, *};

    /// What `skopeo copy --sign-by-sigstore-private-key` (1.18.0) stored for an image.
    const PAYLOAD_OF_SKOPEO: &str = include_str!("../../tests/fixtures/skopeo/payload.json");
    const SIGNATURE_OF_SKOPEO: &str = include_str!("../../tests/fixtures/skopeo/payload.json.sig");
    const NAME: &str = "127.0.0.1:5999/os/ballast:1";
    const DIGEST: &str = "sha256:b74964322669c39e2b5d879a78d206ba6b2950a4195fb590ff06e06221eeadea";

    fn check_as(name: &str, digest: &str, keys: &[PublicKey], payload: &str, signature: &str) -> String {
        let name = Named::parse(name).unwrap();
        let digest = Digest::parse(digest).unwrap();
        let wanted = Wanted { digest: &digest, name: Some(&name), keys, identity: &Identity::MatchRepoDigestOrExact };
        check(payload.as_bytes(), signature, &wanted).map_or_else(|error| format!("{error:#}"), |()| "good".to_owned())
    }

    #[test]
    fn a_signature_of_skopeo_is_good_for_its_image_alone() {
        let keys = [PublicKey::parse("key.pub", tests::PEM.as_bytes()).unwrap()];
        let (payload, signature) = (PAYLOAD_OF_SKOPEO, SIGNATURE_OF_SKOPEO);
        let other = Digest::of(b"other").to_string();
        let forged = payload.replace("ballast:1", "ballast:2");
        let table = [
            (check_as(NAME, DIGEST, &keys, payload, signature), "good"),
            (check_as(NAME, &other, &keys, payload, signature), "another image was signed: sha256:b749"),
            (
                check_as("r.example/os:1", DIGEST, &keys, payload, signature),
                "it was signed as \"127.0.0.1:5999/os/ballast:1\"",
            ),
            (check_as(NAME, DIGEST, &keys, &forged, signature), "it was made with another key, expected key.pub"),
            (check_as(NAME, DIGEST, &keys, payload, "AAAA"), "it was made with another key"),
            (check_as(NAME, DIGEST, &keys, payload, "?"), "the signature is not in base64"),
        ];
        for (found, expected) in table {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn what_is_signed_has_to_be_an_image_signature() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let keys = [PublicKey::of_point("ours", pair.public_key().as_ref())];
        let table = [
            (PAYLOAD_OF_SKOPEO.to_owned(), "good"),
            (
                PAYLOAD_OF_SKOPEO.replace("cosign container image signature", "attestation"),
                "what was signed is a \"attestation\"",
            ),
            (PAYLOAD_OF_SKOPEO.replace("\"optional\"", "\"more\""), "what was signed is no simple signing document"),
            (PAYLOAD_OF_SKOPEO.replace("\"type\"", "\"kind\""), "what was signed is no simple signing document"),
            ("{}".to_owned(), "what was signed is no simple signing document"),
        ];
        for (payload, expected) in table {
            let signature = STANDARD.encode(pair.sign(&random, payload.as_bytes()).unwrap().as_ref());
            let found = check_as(NAME, DIGEST, &keys, &payload, &signature);
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
