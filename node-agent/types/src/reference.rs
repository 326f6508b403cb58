//! Names of images, as github.com/distribution/reference reads and completes them (`ParseDockerRef`, which containerd's CRI applies to every
//! name that it is given). Two names that mean one image become one text here.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use crate::Digest;

/// The registry of a name without one, and what it is also called.
const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";

/// The folder of a name without one in the default registry.
const OFFICIAL: &str = "library/";

/// What is meant if neither a tag nor a digest is given.
const DEFAULT_TAG: &str = "latest";

/// The limits of distribution/reference.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// `DOMAIN/PATH[:TAG][@DIGEST]`, complete: `busybox` is `docker.io/library/busybox:latest`.
///
/// A digest says which image is meant, so a tag beside it has no effect: `Display`, equality and order leave it out, as the runtime does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    domain: String,
    path: String,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Version {
    Tag(String),
    Digest(Digest),
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There is nothing.
    #[error("is empty, expected an image as busybox:1.36 or registry.example/team/app:1")]
    Empty,
    /// It is the bare digest of an image, which says nothing of where it is.
    #[error("is the id of an image, expected the name of one, as registry.example/team/app:1")]
    Id,
    /// The first part is no host.
    #[error("{0:?} is not a registry, expected HOST or HOST:PORT")]
    Domain(String),
    /// What follows it is no repository.
    #[error(
        "{0:?} is not a repository, expected words of a-z and 0-9 with single '.', '_' or '-' in them, and '/' between"
    )]
    Path(String),
    /// It is longer than registries take.
    #[error("is longer than {MAX_NAME} letters")]
    TooLong,
    /// What follows the colon is no tag.
    #[error(
        "{0:?} is not a tag, expected at most {MAX_TAG} letters, digits, '_', '.' and '-', beginning with no '.' or '-'"
    )]
    Tag(String),
    /// What follows the `@` is no digest.
    #[error(transparent)]
    Digest(#[from] crate::NotADigest),
}

/// `NAME[:TAG][@DIGEST]` in its parts, none of them checked; a colon before the last slash is a port's. Also for names that are no
/// [`ImageReference`], such as folders.
pub fn split_reference(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let slash = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[slash..].find(':') {
        None => (rest, None, digest),
        Some(colon) => (&rest[..slash + colon], Some(&rest[slash + colon + 1..]), digest),
    }
}

impl ImageReference {
    /// The image that `text` names.
    ///
    /// # Errors
    /// If it names none.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() == 64 && text.bytes().all(|letter| letter.is_ascii_digit() || matches!(letter, b'a'..=b'f')) {
            return Err(ReferenceError::Id);
        }
        let (domain, rest) = split_domain(text);
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
        };
        let (path, tag) = rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag)));
        let library = if domain == DEFAULT_DOMAIN && !path.contains('/') { OFFICIAL } else { "" };
        let path = format!("{library}{path}");
        if !is_domain(domain) {
            return Err(ReferenceError::Domain(domain.to_owned()));
        }
        if !path.split('/').all(is_path_component) {
            return Err(ReferenceError::Path(path));
        }
        if path.len() > MAX_NAME {
            return Err(ReferenceError::TooLong);
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(tag.to_owned()));
        }
        let version = digest.map_or_else(|| Version::Tag(tag.unwrap_or(DEFAULT_TAG).to_owned()), Version::Digest);
        Ok(Self { domain: domain.to_owned(), path, version })
    }

    /// `HOST` or `HOST:PORT` of its registry.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Its repository in the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `DOMAIN/PATH`
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Its tag, unless it is named by its digest.
    pub fn tag(&self) -> Option<&str> {
        match &self.version {
            Version::Tag(tag) => Some(tag),
            Version::Digest(_) => None,
        }
    }

    /// Its digest, if it is named by it.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.version {
            Version::Tag(_) => None,
            Version::Digest(digest) => Some(digest),
        }
    }

    /// The image of the same repository whose digest is `digest`.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { version: Version::Digest(digest), ..self.clone() }
    }

    /// Whether it is expected to be another image tomorrow: it has the tag `latest`, said or not (the kubelet's rule for pulling).
    pub fn is_latest(&self) -> bool {
        self.tag() == Some(DEFAULT_TAG)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.domain, self.path)?;
        match &self.version {
            Version::Tag(tag) => write!(formatter, ":{tag}"),
            Version::Digest(digest) => write!(formatter, "@{digest}"),
        }
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A first part that looks like a host is one; without one, the default registry is meant (`splitDockerDomain`).
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((LEGACY_DOMAIN, rest)) => (DEFAULT_DOMAIN, rest),
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) || has_capitals(first) => {
            (first, rest)
        }
        Some(_) | None => (DEFAULT_DOMAIN, text),
    }
}

fn has_capitals(text: &str) -> bool {
    text.to_lowercase() != text
}

fn is_domain(domain: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|letter| letter.is_ascii_digit());
    if let Some((address, port)) = domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().is_ok() && has_port;
    }
    let (host, port) = domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let is_component = |part: &str| {
        part.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
            && part.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            && part.ends_with(|letter: char| letter.is_ascii_alphanumeric())
    };
    host.split('.').all(is_component) && port.is_none_or(is_port)
}

/// Words of letters and digits, between them one of `.`, `_`, `__`, or any number of `-`.
fn is_path_component(part: &str) -> bool {
    let is_alphanumeric = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_gap = |gap: &str| matches!(gap, "." | "_" | "__") || gap.bytes().all(|letter| letter == b'-');
    part.starts_with(is_alphanumeric) && part.ends_with(is_alphanumeric) && part.split(is_alphanumeric).all(is_gap)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    tag.bytes().next().is_some_and(is_word)
        && tag.len() <= MAX_TAG
        && tag.bytes().all(|letter| is_word(letter) || b".-".contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_own_colon_and_at() {
        for (text, expected) in [
            ("r.example:5000/a", ("r.example:5000/a", None, None)),
            ("r.example:5000/a:1", ("r.example:5000/a", Some("1"), None)),
            ("r.example/a:1@sha256:b", ("r.example/a", Some("1"), Some("sha256:b"))),
            ("r.example:5000/a@sha256:b", ("r.example:5000/a", None, Some("sha256:b"))),
            ("a:", ("a", Some(""), None)),
            ("/folder.d/x:2", ("/folder.d/x", Some("2"), None)),
            ("", ("", None, None)),
        ] {
            assert_eq!(split_reference(text), expected, "{text}");
        }
    }

    #[test]
    fn names_are_completed_as_containerd_does() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let at = |name: &str| format!("{name}@{digest}");
        let table = [
            ("busybox", "docker.io/library/busybox:latest".to_owned(), true),
            ("busybox:1.36", "docker.io/library/busybox:1.36".to_owned(), false),
            ("team/app", "docker.io/team/app:latest".to_owned(), true),
            ("docker.io/busybox", "docker.io/library/busybox:latest".to_owned(), true),
            ("index.docker.io/busybox:1", "docker.io/library/busybox:1".to_owned(), false),
            ("index.docker.io/library/busybox:1", "docker.io/library/busybox:1".to_owned(), false),
            ("localhost/ballast/pause:1", "localhost/ballast/pause:1".to_owned(), false),
            ("quay.io:443/a/b", "quay.io:443/a/b:latest".to_owned(), true),
            ("127.0.0.1:5000/a/b/c:v1.2-x_y", "127.0.0.1:5000/a/b/c:v1.2-x_y".to_owned(), false),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned(), true),
            ("Registry/a", "Registry/a:latest".to_owned(), true),
            ("r.example/a__b-c--d.e", "r.example/a__b-c--d.e:latest".to_owned(), true),
            (&at("quay.io/a"), at("quay.io/a"), false),
            (&at("quay.io/a:latest"), at("quay.io/a"), false),
            (&at("busybox:1.36"), at("docker.io/library/busybox"), false),
        ];
        for (text, expected, is_latest) in table {
            let reference = ImageReference::parse(text).unwrap();
            assert_eq!((reference.to_string(), reference.is_latest()), (expected, is_latest), "{text}");
        }
    }

    #[test]
    fn parts_are_reported() {
        let digest: Digest = format!("sha256:{}", "0a".repeat(32)).parse().unwrap();
        let tagged: ImageReference = "r.example:5000/os/app:1".parse().unwrap();
        let parts = (tagged.domain(), tagged.path(), tagged.tag(), tagged.digest());
        assert_eq!(parts, ("r.example:5000", "os/app", Some("1"), None));
        let exact = tagged.with_digest(digest.clone());
        assert_eq!(
            (exact.name().as_str(), exact.tag(), exact.digest()),
            ("r.example:5000/os/app", None, Some(&digest))
        );
    }

    #[test]
    fn what_names_no_image_is_refused_with_what_was_expected() {
        let table = [
            ("", "is empty"),
            (&*"0a".repeat(32), "is the id of an image"),
            ("r.example/A", "\"A\" is not a repository"),
            ("r.example/a//b", "is not a repository"),
            ("r.example/../b", "is not a repository"),
            ("r.example/a..b", "is not a repository"),
            ("r.example/-a", "is not a repository"),
            ("r.example/", "is not a repository"),
            ("r.example:x/a", "\"r.example:x\" is not a registry"),
            ("r.exa mple/a", "is not a registry"),
            ("-r.example/a", "is not a registry"),
            ("user@r.example/a", "is not a registry"),
            ("r.example/a:", "\"\" is not a tag"),
            ("r.example/a:.b", "\".b\" is not a tag"),
            ("r.example/a@sha256:12", "is not a digest"),
            ("https://r.example/a", "is not a registry"),
            ("busybox latest", "is not a repository"),
        ];
        for (text, expected) in table {
            let error = ImageReference::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = format!("r.example/{}", "a".repeat(256));
        assert_eq!(ImageReference::parse(&long), Err(ReferenceError::TooLong));
    }
}
