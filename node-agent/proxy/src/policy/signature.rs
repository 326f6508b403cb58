//! One sigstore signature: a small JSON document ("simple signing"), signed, that names an image and its digest.
//! (containers/image: signature-protocols.md, containers-signature(5))

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    optional: Option<Map<String, Value>>,
}

/// When the signature was made, in seconds since 1970: skopeo writes it.
const TIMESTAMP: &str = "timestamp";
/// Until when it is good, likewise: for who signs with `cosign sign -a expires=SECONDS`.
const EXPIRES: &str = "expires";

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
    pub(super) max_age: Option<Duration>,
    pub(super) now: SystemTime,
}

/// A good signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Which of the keys made it.
    pub(super) key: usize,
    /// When it runs out, in seconds since 1970, if it does.
    pub(super) until: Option<u64>,
}

/// Checks the signature (in base64) over `payload`. Nothing of the payload is believed, or read, before.
pub(super) fn check(payload: &[u8], signature: &str, wanted: &Wanted<'_>) -> Result<Accepted> {
    let signature = STANDARD.decode(signature.trim()).context("the signature is not in base64")?;
    let Some(key) = wanted.keys.iter().position(|key| key.verifies(payload, &signature)) else {
        let keys: Vec<&str> = wanted.keys.iter().map(|key| &*key.origin).collect();
        bail!("it was made with another key, expected {}", keys.join(" or "));
    };
    let Payload { critical, optional } =
        serde_json::from_slice(payload).context("what was signed is no simple signing document")?;
    if critical.r#type != TYPE {
        bail!("what was signed is a {:?}, expected a {TYPE:?}", critical.r#type);
    }
    let signed = critical.image.docker_manifest_digest;
    if signed != *wanted.digest {
        bail!("another image was signed: {signed}, expected {}", wanted.digest);
    }
    wanted.identity.check(wanted.name, &critical.identity.docker_reference).map_err(|sentence| anyhow!(sentence))?;
    let until = runs_out(&optional.unwrap_or_default(), wanted.max_age)?;
    let now = wanted.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match until {
        Some(until) if until <= now => {
            bail!("it was good until {}, and by this node's clock it is {}", date(until), date(now))
        }
        _ => Ok(Accepted { key, until }),
    }
}

/// When a signature of which `said` is said runs out. What cannot be read is not taken for "never".
fn runs_out(said: &Map<String, Value>, max_age: Option<Duration>) -> Result<Option<u64>> {
    let seconds = |key: &str| {
        let read = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let wrong = |value: &Value| format!("its {key} is {value}, expected seconds since 1970");
        said.get(key).map(|value| read(value).with_context(|| wrong(value))).transpose()
    };
    let expires = seconds(EXPIRES)?;
    let Some(max_age) = max_age else { return Ok(expires) };
    let made = seconds(TIMESTAMP)?.with_context(|| {
        format!(
            "it does not say when it was made ({TIMESTAMP}), expected at most {} days ago",
            max_age.as_secs() / 86400
        )
    })?;
    let too_old = made.saturating_add(max_age.as_secs());
    Ok(Some(expires.map_or(too_old, |expires| expires.min(too_old))))
}

fn date(secs: u64) -> String {
    // What does not fit into a date is as good as never.
    match UNIX_EPOCH.checked_add(Duration::from_secs(secs)).filter(|_| secs < 253_402_300_800) {
        Some(time) => httpdate::fmt_http_date(time),
        None => format!("second {secs}"),
    }
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
        let digest: Digest = digest.parse().unwrap();
        let wanted = wanted(&digest, &name, keys);
        check(payload.as_bytes(), signature, &wanted).map_or_else(|error| format!("{error:#}"), |_| "good".to_owned())
    }

    fn wanted<'a>(digest: &'a Digest, name: &'a Named, keys: &'a [PublicKey]) -> Wanted<'a> {
        let identity = &Identity::MatchRepoDigestOrExact;
        Wanted { digest, name: Some(name), keys, identity, max_age: None, now: UNIX_EPOCH }
    }

    /// The one of skopeo says when it was made.
    #[test]
    fn a_signature_runs_out() {
        const MADE: u64 = 1_795_251_694;
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let keys = [
            PublicKey::parse("skopeo", tests::PEM.as_bytes()).unwrap(),
            PublicKey::of_point("ours", pair.public_key().as_ref()),
        ];
        let (digest, name) = (DIGEST.parse::<Digest>().unwrap(), Named::parse(NAME).unwrap());
        let verdict = |optional: Option<&str>, max_age_days: Option<u64>, now: u64| {
            let (payload, signature) = match optional {
                None => (PAYLOAD_OF_SKOPEO.to_owned(), SIGNATURE_OF_SKOPEO.to_owned()),
                Some(optional) => {
                    let (critical, _) = PAYLOAD_OF_SKOPEO.split_once("\"optional\"").unwrap();
                    let payload = format!("{critical}\"optional\":{optional}}}");
                    let signature = STANDARD.encode(pair.sign(&random, payload.as_bytes()).unwrap().as_ref());
                    (payload, signature)
                }
            };
            let max_age = max_age_days.map(|days| Duration::from_secs(days * 86400));
            let now = UNIX_EPOCH + Duration::from_secs(now);
            let wanted = Wanted { max_age, now, ..wanted(&digest, &name, &keys) };
            check(payload.as_bytes(), &signature, &wanted).map_err(|error| error.to_string())
        };
        let day = 86400;
        assert_eq!(verdict(None, None, u64::MAX / 4), Ok(Accepted { key: 0, until: None }));
        assert_eq!(verdict(None, Some(2), MADE), Ok(Accepted { key: 0, until: Some(MADE + 2 * day) }));
        let late = "it was good until Mon, 23 Nov 2026 09:01:34 GMT, and by this node's clock it is Mon, 23 Nov 2026 09:01:34 GMT";
        assert_eq!(verdict(None, Some(2), MADE + 2 * day), Err(late.to_owned()));
        // optional, how many days it is good for, when, and what comes of it
        let until = |until| Ok(Accepted { key: 1, until });
        let wrong = |text: &str| Err(text.to_owned());
        let table = [
            ("null", None, 9, until(None)),
            ("{}", None, 9, until(None)),
            ("{\"expires\":10}", None, 9, until(Some(10))),
            ("{\"expires\":\"10\"}", None, 9, until(Some(10))),
            ("{\"expires\":10,\"timestamp\":1}", Some(1), 9, until(Some(10))),
            ("{\"expires\":9999999,\"timestamp\":1}", Some(1), 9, until(Some(1 + day))),
            ("{\"expires\":\"soon\"}", None, 9, wrong("its expires is \"soon\", expected seconds since 1970")),
            ("{\"timestamp\":-1}", Some(1), 9, wrong("its timestamp is -1, expected seconds since 1970")),
            (
                "{\"expires\":10}",
                Some(1),
                9,
                wrong("it does not say when it was made (timestamp), expected at most 1 days ago"),
            ),
            ("null", Some(3), 9, wrong("it does not say when it was made (timestamp), expected at most 3 days ago")),
            (
                "{\"expires\":10}",
                None,
                10,
                wrong(
                    "it was good until Thu, 01 Jan 1970 00:00:10 GMT, and by this node's clock it is Thu, 01 Jan 1970 00:00:10 GMT",
                ),
            ),
        ];
        for (optional, days, now, expected) in table {
            assert_eq!(verdict(Some(optional), days, now), expected, "{optional} {days:?} {now}");
        }
    }

    #[test]
    fn a_signature_of_skopeo_is_good_for_its_image_alone() {
        let keys = [PublicKey::parse("key.pub", tests::PEM.as_bytes()).unwrap()];
        let (payload, signature) = (PAYLOAD_OF_SKOPEO, SIGNATURE_OF_SKOPEO);
        let other = crate::content::digest::of(b"other").to_string();
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
