//! Whether a signature is meant for the image that was asked for: what the signer called it, and what we call it.

use std::result;

use anyhow::{Context, Result, bail};

use super::source;
use crate::content::reference::Named;

#[derive(Debug)]
pub(super) enum Identity {
    /// The same repository and tag.
    MatchExact,
    /// The same repository and tag, or, for images asked for by digest, the same repository.
    MatchRepoDigestOrExact,
    MatchRepository,
    ExactReference(Named),
    ExactRepository(Named),
    /// As MatchRepoDigestOrExact, once `prefix` of our name has been replaced.
    Remap {
        prefix: String,
        signed_prefix: String,
    },
}

impl Identity {
    pub(super) fn read(source: Option<source::Identity>) -> Result<Self> {
        use source::Identity as Source;
        Ok(match source {
            None | Some(Source::MatchRepoDigestOrExact {}) => Self::MatchRepoDigestOrExact,
            Some(Source::MatchExact {}) => Self::MatchExact,
            Some(Source::MatchRepository {}) => Self::MatchRepository,
            Some(Source::ExactReference { docker_reference }) => {
                let name = Named::parse(&docker_reference).context("dockerReference")?;
                if name.is_name_only() {
                    bail!("dockerReference: {docker_reference:?}: expected a repository with a tag or a digest");
                }
                Self::ExactReference(name)
            }
            Some(Source::ExactRepository { docker_repository }) => {
                let name = Named::parse(&docker_repository).context("dockerRepository")?;
                if !name.is_name_only() {
                    bail!("dockerRepository: {docker_repository:?}: expected a repository without tag and digest");
                }
                Self::ExactRepository(name)
            }
            Some(Source::Remap { prefix, signed_prefix }) => {
                for prefix in [&prefix, &signed_prefix] {
                    let name = format!("{prefix}/x");
                    if !Named::parse(&name).is_ok_and(|parsed| parsed.to_string() == name) {
                        bail!("remapIdentity: {prefix:?}: expected HOST or HOST/PATH");
                    }
                }
                Self::Remap { prefix, signed_prefix }
            }
        })
    }

    /// Whether a signature over the name `signed` is good for the image asked for as `asked` (which an image in a folder
    /// has not); if not, what was expected.
    pub(super) fn check(&self, asked: Option<&Named>, signed: &str) -> result::Result<(), String> {
        let expected = match (self, asked) {
            (Self::ExactReference(name) | Self::ExactRepository(name), _) => name.to_string(),
            (_, None) => {
                return Err(
                    "an image in a folder has no name: expected signedIdentity exactReference or exactRepository"
                        .to_owned(),
                );
            }
            (Self::MatchRepository, Some(asked)) => asked.name(),
            (Self::Remap { prefix, signed_prefix }, Some(asked)) => remap(asked, prefix, signed_prefix).to_string(),
            (Self::MatchExact | Self::MatchRepoDigestOrExact, Some(asked)) => asked.to_string(),
        };
        let expects = |what: &str| Err(format!("it was signed as {signed:?}, expected {what}"));
        let (Ok(signed_name), Ok(expected_name)) = (Named::parse(signed), Named::parse(&expected)) else {
            return expects(&expected);
        };
        let is_same_repository = signed_name.name() == expected_name.name();
        let (fits, what) = match self {
            Self::MatchRepository | Self::ExactRepository(_) => {
                (is_same_repository, format!("any image of {expected}"))
            }
            // The digest that was signed is compared anyway, so the repository is all that is left to compare.
            Self::MatchRepoDigestOrExact | Self::Remap { .. } if expected_name.tag.is_none() => {
                (is_same_repository && !signed_name.is_name_only(), format!("any tag of {}", expected_name.name()))
            }
            Self::MatchRepoDigestOrExact | Self::Remap { .. } | Self::MatchExact | Self::ExactReference(_) => {
                (signed_name == expected_name, expected)
            }
        };
        if fits { Ok(()) } else { expects(&what) }
    }
}

fn remap(name: &Named, prefix: &str, signed_prefix: &str) -> Named {
    let repository = name.name();
    let rest = repository.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let moved = rest.and_then(|rest| Named::parse(&format!("{signed_prefix}{rest}")).ok());
    match moved {
        Some(moved) => Named { tag: name.tag.clone(), digest: name.digest.clone(), ..moved },
        None => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn identity(json: &str) -> Result<Identity> {
        Identity::read(Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn each_kind_says_what_it_accepts() {
        let by_digest = &format!("r.example/os{DIGEST}");
        let exact = r#"{"type":"matchExact"}"#;
        let usual = r#"{"type":"matchRepoDigestOrExact"}"#;
        let repository = r#"{"type":"matchRepository"}"#;
        let reference = r#"{"type":"exactReference","dockerReference":"s.example/os:1"}"#;
        let one_repository = r#"{"type":"exactRepository","dockerRepository":"s.example/os"}"#;
        let remap = r#"{"type":"remapIdentity","prefix":"r.example","signedPrefix":"s.example/up"}"#;
        // identity, asked for, signed as, whether it fits
        let table = [
            (exact, "r.example/os:1", "r.example/os:1", true),
            (exact, "r.example/os:1", "r.example/os:2", false),
            (exact, "r.example/os:1", "r.example/os", false),
            (exact, "r.example/os:1", "q.example/os:1", false),
            (exact, by_digest, "r.example/os:1", false),
            (exact, by_digest, by_digest, true),
            (usual, "r.example/os:1", "r.example/os:1", true),
            (usual, "r.example/os:1", "r.example/os:2", false),
            (usual, "r.example/os:1", "r.example/os", false),
            (usual, by_digest, "r.example/os:7", true),
            (usual, by_digest, "r.example/os", false),
            (usual, by_digest, "r.example/other:7", false),
            (repository, "r.example/os:1", "r.example/os", true),
            (repository, "r.example/os:1", "r.example/os:2", true),
            (repository, "r.example/os:1", "r.example/os2:1", false),
            (reference, "r.example/os:1", "s.example/os:1", true),
            (reference, "r.example/os:1", "r.example/os:1", false),
            (one_repository, "r.example/os:1", "s.example/os:9", true),
            (one_repository, "r.example/os:1", "s.example/os", true),
            (one_repository, "r.example/os:1", "s.example/os/x", false),
            (remap, "r.example/os:1", "s.example/up/os:1", true),
            (remap, "r.example/os:1", "r.example/os:1", false),
            (remap, "q.example/os:1", "q.example/os:1", true),
            (remap, "r.example/os:1", "", false),
            (remap, "r.example/os:1", "A B", false),
        ];
        for (kind, asked, signed, fits) in table {
            let found = identity(kind).unwrap().check(Some(&Named::parse(asked).unwrap()), signed);
            assert_eq!(found.is_ok(), fits, "{kind} {asked} {signed}: {found:?}");
            if let Err(sentence) = found {
                assert!(sentence.starts_with(&format!("it was signed as {signed:?}, expected ")), "{sentence}");
            }
        }
        // An image in a folder has no name to compare with.
        assert!(identity(one_repository).unwrap().check(None, "s.example/os:1").is_ok());
        assert!(identity(usual).unwrap().check(None, "s.example/os:1").unwrap_err().contains("exactRepository"));
    }

    #[test]
    fn identities_are_checked_when_read() {
        for bad in [
            r#"{"type":"exactReference","dockerReference":"s.example/os"}"#,
            r#"{"type":"exactRepository","dockerRepository":"s.example/os:1"}"#,
            r#"{"type":"remapIdentity","prefix":"r.example/","signedPrefix":"s.example"}"#,
            r#"{"type":"remapIdentity","prefix":"r.example","signedPrefix":"up"}"#,
        ] {
            assert!(identity(bad).is_err(), "{bad}");
        }
    }
}
