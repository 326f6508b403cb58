//! The policy, checked: for each place that images come from, what is required of them.

use std::{collections::BTreeMap, num::NonZeroUsize, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    identity::Identity,
    key::PublicKey,
    scope,
    source::{self, Document, Unique},
};
use crate::content::{digest::Digest, reference::ImageName};

/// For each place that images come from, what is required of them.
#[derive(Debug)]
pub struct Policy {
    default: Vec<Requirement>,
    /// By transport (`docker`, `oci`), then by scope.
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

#[derive(Debug)]
pub(crate) enum Requirement {
    AcceptAnything,
    Reject,
    Signed(Signed),
}

/// Signatures by so many of the keys, over an identity that fits, none of them too old.
#[derive(Debug)]
pub(crate) struct Signed {
    key_files: Vec<String>,
    /// Each key once, in however many files it stands.
    pub(super) keys: Vec<PublicKey>,
    pub(super) identity: Identity,
    pub(super) threshold: NonZeroUsize,
    pub(super) max_age: Option<Duration>,
    revoked_keys: Vec<Digest>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Policy {
    /// Reads a policy. The keys that it names are not read yet.
    ///
    /// # Errors
    /// If anything in it is not understood.
    pub fn parse(text: &str) -> Result<Self> {
        let document: Document = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))?;
        // serde stops at the end of the object.
        serde_json::from_str::<serde::de::IgnoredAny>(text)?;
        let Unique(transports) = document.transports;
        let transport = |(transport, Unique(scopes)): (String, Unique<Vec<source::Requirement>>)| {
            let one = |(scope, requirements): (String, Vec<source::Requirement>)| {
                let place = || format!("transports.{transport}.{scope:?}");
                scope::check(&transport, &scope).with_context(place)?;
                let requirements = read_all(requirements).with_context(place)?;
                Ok((scope, requirements))
            };
            let scopes = scopes.into_iter().map(one).collect::<Result<_>>()?;
            Ok((transport, scopes))
        };
        Ok(Self {
            default: read_all(document.default).context("default")?,
            transports: transports.into_iter().map(transport).collect::<Result<_>>()?,
        })
    }

    /// Fetches the keys that the policy names by file. One that cannot be used is left out, since that makes nobody
    /// trusted; where none is left, that is an error.
    pub(crate) fn load_keys(&mut self, read: impl Fn(&str) -> Result<String>) -> Result<()> {
        let scopes = self.transports.values_mut().flat_map(BTreeMap::values_mut);
        for requirement in scopes.chain([&mut self.default]).flatten() {
            let Requirement::Signed(signed) = requirement else { continue };
            let mut unusable = None;
            for file in signed.key_files.clone() {
                let key = read(&file).and_then(|text| PublicKey::parse(&file, text.as_bytes()));
                match key.and_then(|key| signed.add(key)) {
                    Ok(()) => {}
                    Err(error) => {
                        log::warn!("a key that the policy names is left out: {error:#}");
                        unusable = unusable.or(Some(error));
                    }
                }
            }
            if let (true, Some(error)) = (signed.keys.is_empty(), unusable) {
                return Err(error.context("reading a key that the policy names"));
            }
            let (wanted, there) = (signed.threshold, signed.keys.len());
            if wanted.get() > there {
                bail!(
                    "sigstoreSigned: {wanted} keys must have signed (threshold), and there are {there} that can be used"
                );
            }
        }
        Ok(())
    }

    /// The requirements for `name`, those of the most specific scope that names it, and the place in the policy where they stand.
    pub(super) fn requirements(&self, name: &ImageName) -> (&[Requirement], String) {
        let (transport, scopes) = scope::scopes(name);
        let Some(known) = self.transports.get(transport) else { return (&self.default, "default".to_owned()) };
        for scope in scopes.iter().map(String::as_str).chain([""]) {
            if let Some(requirements) = known.get(scope) {
                return (requirements, format!("transports.{transport}.{scope:?}"));
            }
        }
        (&self.default, "default".to_owned())
    }
}

impl Signed {
    fn add(&mut self, key: PublicKey) -> Result<()> {
        let fingerprint = key.fingerprint();
        if self.revoked_keys.contains(&fingerprint) {
            bail!("{}: this key was revoked ({fingerprint})", key.origin);
        }
        if !self.keys.iter().any(|known| known.is_same(&key)) {
            self.keys.push(key);
        }
        Ok(())
    }
}

fn read_all(requirements: Vec<source::Requirement>) -> Result<Vec<Requirement>> {
    if requirements.is_empty() {
        bail!("there is no requirement in the list, expected at least one (insecureAcceptAnything accepts all)");
    }
    requirements.into_iter().map(read).collect()
}

fn read(requirement: source::Requirement) -> Result<Requirement> {
    use source::Requirement as Source;
    let (path, paths, data, datas, identity, threshold, max_age_days, revoked_keys) = match requirement {
        Source::InsecureAcceptAnything {} => return Ok(Requirement::AcceptAnything),
        Source::Reject {} => return Ok(Requirement::Reject),
        Source::SigstoreSigned {
            key_path,
            key_paths,
            key_data,
            key_datas,
            signed_identity,
            threshold,
            max_age_days,
            revoked_keys,
        } => (key_path, key_paths, key_data, key_datas, signed_identity, threshold, max_age_days, revoked_keys),
    };
    let given = [path.is_some(), paths.is_some(), data.is_some(), datas.is_some()];
    if given.into_iter().filter(|given| *given).count() != 1 {
        bail!("sigstoreSigned: expected exactly one of keyPath, keyPaths, keyData, keyDatas");
    }
    let key_files: Vec<String> = path.into_iter().chain(paths.into_iter().flatten()).collect();
    let identity = Identity::read(identity).context("sigstoreSigned.signedIdentity")?;
    let threshold = threshold.unwrap_or(NonZeroUsize::MIN);
    let max_age = max_age_days.map(|days| DAY.saturating_mul(days));
    let mut signed = Signed { key_files, keys: Vec::new(), identity, threshold, max_age, revoked_keys };
    let mut unusable = None;
    for (number, data) in data.into_iter().chain(datas.into_iter().flatten()).enumerate() {
        let origin = format!("key {} of keyData", number + 1);
        let pem = STANDARD.decode(data.trim()).with_context(|| format!("{origin} is not in base64"));
        if let Err(error) = pem.and_then(|pem| signed.add(PublicKey::parse(&origin, &pem)?)) {
            log::warn!("a key in the policy is left out: {error:#}");
            unusable = unusable.or(Some(error));
        }
    }
    if signed.key_files.is_empty() && signed.keys.is_empty() {
        return Err(match unusable {
            Some(error) => error.context("sigstoreSigned: none of the keys can be used"),
            None => anyhow!("sigstoreSigned: there is no key in the list, expected at least one"),
        });
    }
    Ok(Requirement::Signed(signed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::key::tests::PEM;

    #[test]
    fn a_policy_is_read_whole() {
        let data = STANDARD.encode(PEM);
        let text = format!(
            r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{
                "r.example/os":[{{"type":"sigstoreSigned","keyPaths":["/a","/b"],"signedIdentity":{{"type":"matchRepository"}}}}],
                "*.example":[{{"type":"sigstoreSigned","keyData":"{data}"}},{{"type":"insecureAcceptAnything"}}]}},
                "docker-daemon":{{"":[{{"type":"insecureAcceptAnything"}}]}}}}}}"#
        );
        let mut policy = Policy::parse(&text).unwrap();
        policy.load_keys(|_| Ok(PEM.to_owned())).unwrap();
        let Requirement::Signed(signed) = &policy.transports["docker"]["r.example/os"][0] else { panic!("{policy:?}") };
        // Twice the same key is one signer.
        assert_eq!(signed.keys.len(), 1);
        assert_eq!((signed.threshold.get(), signed.max_age), (1, None));
        assert!(matches!(signed.identity, Identity::MatchRepository));
        let Requirement::Signed(signed) = &policy.transports["docker"]["*.example"][0] else { panic!("{policy:?}") };
        assert_eq!(signed.keys.len(), 1);
        assert!(matches!(signed.identity, Identity::MatchRepoDigestOrExact));

        // A key that cannot be used costs only itself.
        let load = |usable: &'static str| {
            let mut policy = Policy::parse(&text).unwrap();
            let read = |file: &str| if file == usable { Ok(PEM.to_owned()) } else { bail!("no {file}") };
            policy.load_keys(read).map_err(|error| format!("{error:#}")).map(|()| {
                let Requirement::Signed(signed) = &policy.transports["docker"]["r.example/os"][0] else { panic!() };
                signed.keys.iter().map(|key| key.origin.clone()).collect::<Vec<_>>()
            })
        };
        assert_eq!(load("/b").unwrap(), ["/b"]);
        assert_eq!(load("none").unwrap_err(), "reading a key that the policy names: no /a");

        let two = text.replace("\"keyPaths\"", "\"threshold\":2,\"maxAgeDays\":3,\"keyPaths\"");
        let mut policy = Policy::parse(&two).unwrap();
        let error = policy.load_keys(|_| Ok(PEM.to_owned())).unwrap_err().to_string();
        assert_eq!(error, "sigstoreSigned: 2 keys must have signed (threshold), and there are 1 that can be used");
        assert!(Policy::parse(&two.replace("threshold\":2", "threshold\":0")).is_err());

        // As `openssl pkey -pubin -in key.pub -outform DER | sha256sum` says it.
        let revoked = "sha256:846d8d04784168862123d3fe8df071f22e3eb3772b011290fbe17d89edea0d22";
        let text = text.replace("\"keyPaths\"", &format!("\"revokedKeys\":[\"{revoked}\"],\"keyPaths\""));
        let error = format!("{:#}", Policy::parse(&text).unwrap().load_keys(|_| Ok(PEM.to_owned())).unwrap_err());
        assert_eq!(error, format!("reading a key that the policy names: /a: this key was revoked ({revoked})"));
    }

    #[test]
    fn a_key_in_the_policy_that_cannot_be_used_costs_only_itself() {
        let (good, revoked) = (STANDARD.encode(PEM), PublicKey::parse("k", PEM.as_bytes()).unwrap().fingerprint());
        let keys = |more: &str, keys: &[&str]| {
            let requirement = format!(r#"{{"type":"sigstoreSigned"{more},"keyDatas":{}}}"#, serde_json::json!(keys));
            let mut policy = Policy::parse(&format!(r#"{{"default":[{requirement}]}}"#))?;
            policy.load_keys(|file| panic!("{file} is asked for"))?;
            let Requirement::Signed(signed) = &policy.default[0] else { panic!("{policy:?}") };
            anyhow::Ok(signed.keys.len())
        };
        assert_eq!(keys("", &["?", "eA==", &good]).unwrap(), 1);
        let revoked = format!(r#","revokedKeys":["{revoked}"]"#);
        let error = format!("{:#}", keys(&revoked, &["eA==", &good]).unwrap_err());
        assert!(error.contains("none of the keys can be used: key 1 of keyData: it has 0 keys"), "{error}");
        let error = format!("{:#}", keys(r#","threshold":2"#, &["eA==", &good]).unwrap_err());
        assert!(error.contains("2 keys must have signed"), "{error}");
    }

    #[test]
    fn the_most_specific_scope_wins() {
        let one = r#"[{"type":"reject"}]"#;
        let docker =
            ["r.example/a/b:1", "r.example/a/b", "r.example/a", "r.example", "*.example", "q.example:5000", "*.b.c"];
        let oci = ["/media/usb:1", "/media/usb", "/media"];
        let map =
            |scopes: &[&str]| scopes.iter().map(|scope| format!("\"{scope}\":{one}")).collect::<Vec<_>>().join(",");
        let text = format!(
            r#"{{"default":{one},"transports":{{"docker":{{{}}},"oci":{{{},"":{one}}}}}}}"#,
            map(&docker),
            map(&oci)
        );
        let policy = Policy::parse(&text).unwrap();
        let table = [
            ("docker://r.example/a/b:1", "transports.docker.\"r.example/a/b:1\""),
            ("docker://r.example/a/b:2", "transports.docker.\"r.example/a/b\""),
            ("docker://r.example/a/b/c:1", "transports.docker.\"r.example/a/b\""),
            ("docker://r.example/a/bc:1", "transports.docker.\"r.example/a\""),
            ("docker://r.example/b", "transports.docker.\"r.example\""),
            ("docker://r.example:5000/a", "transports.docker.\"*.example\""),
            ("docker://q.example:5000/a", "transports.docker.\"q.example:5000\""),
            ("docker://a.b.c:5000/a", "transports.docker.\"*.b.c\""),
            ("docker://b.c/a", "default"),
            ("docker://busybox", "default"),
            ("oci:/media/usb:1", "transports.oci.\"/media/usb:1\""),
            ("oci:/media/usb:2", "transports.oci.\"/media/usb\""),
            ("oci:/media/usb2", "transports.oci.\"/media\""),
            ("oci:/other", "transports.oci.\"\""),
        ];
        for (name, expected) in table {
            assert_eq!(policy.requirements(&ImageName::parse(name).unwrap()).1, expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let signed = |more: &str| format!(r#"{{"default":[{{"type":"sigstoreSigned"{more}}}]}}"#);
        let docker = |scope: &str| {
            format!(
                r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"{scope}":[{{"type":"reject"}}]}}}}}}"#
            )
        };
        let table = [
            ("{}".to_owned(), "missing field `default`"),
            (r#"{"default":[]}"#.to_owned(), "default: there is no requirement in the list"),
            (
                r#"{"default":[{"type":"signedBy"}]}"#.to_owned(),
                "default[0].type: unknown variant `signedBy`, expected one of `insecureAcceptAnything`, `reject`, `sigstoreSigned`",
            ),
            (r#"{"default":[{"type":"reject","x":1}]}"#.to_owned(), "unknown field `x`"),
            (r#"{"default":[{"type":"reject"}],"defaults":[]}"#.to_owned(), "unknown field `defaults`"),
            (r#"{"default":[{"type":"reject"}],"default":[{"type":"reject"}]}"#.to_owned(), "duplicate field"),
            (r#"{"default":[{"type":"reject"}]} x"#.to_owned(), "trailing characters"),
            (signed(""), "expected exactly one of keyPath"),
            (signed(r#","keyPath":"/a","keyData":"eA==""#), "expected exactly one of keyPath"),
            (signed(r#","keyPaths":[]"#), "there is no key in the list"),
            (signed(r#","keyData":"?""#), "none of the keys can be used: key 1 of keyData is not in base64"),
            (signed(r#","keyData":"eA==""#), "expected an ECDSA P-256 public key"),
            (signed(r#","keyPath":"/a","fulcio":{}"#), "unknown field `fulcio`"),
            (signed(r#","keyPath":"/a","signedIdentity":{"type":"x"}"#), "unknown variant `x`"),
            (
                signed(
                    r#","keyPath":"/a","signedIdentity":{"type":"exactReference","dockerReference":"r.example/os"}"#,
                ),
                "expected a repository with a tag or a digest",
            ),
            (docker("R/"), "is no repository"),
            (
                docker(r#"r.example":[{"type":"insecureAcceptAnything"}],"r.example"#),
                "\"r.example\" stands there twice",
            ),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", Policy::parse(&text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
