//! Names of images: `docker://HOST/REPOSITORY:TAG` (or `@DIGEST`) and `oci:FOLDER:TAG`, read as the containers tools
//! read them (containers-transports(5), the grammar of distribution/reference).

use std::fmt;

use anyhow::{Context, Result, bail};
use ballast_types::split_reference;

use super::digest::Digest;

const DOCKER: &str = "docker://";
const OCI: &str = "oci:";
const DEFAULT_HOST: &str = "docker.io";
/// The limits of distribution/reference.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// What OpenImage is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageName {
    /// In a registry: with a tag or a digest, never both or none.
    Docker(Named),
    /// In an OCI layout; without a tag the layout must hold one image.
    Oci { folder: String, tag: Option<String> },
}

impl ImageName {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix(DOCKER) {
            let mut name = Named::parse(name)?;
            match (&name.tag, &name.digest) {
                (Some(_), Some(_)) => bail!("{text:?} has both a tag and a digest, expected one of them"),
                (None, None) => name.tag = Some("latest".to_owned()),
                (Some(_), None) | (None, Some(_)) => {}
            }
            return Ok(Self::Docker(name));
        }
        if let Some(place) = text.strip_prefix(OCI) {
            let (folder, tag) = place.split_once(':').map_or((place, None), |(folder, tag)| (folder, Some(tag)));
            if folder.is_empty() {
                bail!("{text:?} names no folder, expected oci:FOLDER or oci:FOLDER:TAG");
            }
            return Ok(Self::Oci { folder: folder.to_owned(), tag: tag.map(str::to_owned) });
        }
        bail!("{text:?} names no image that can be fetched, expected docker://HOST/REPOSITORY:TAG or oci:FOLDER:TAG")
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker(name) => write!(formatter, "{DOCKER}{name}"),
            Self::Oci { folder, tag: None } => write!(formatter, "{OCI}{folder}"),
            Self::Oci { folder, tag: Some(tag) } => write!(formatter, "{OCI}{folder}:{tag}"),
        }
    }
}

/// A repository, and perhaps which image in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// With its port, if one is given.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<Digest>,
}

impl Named {
    /// Reads `[HOST/]PATH[:TAG][@DIGEST]`.
    ///
    /// # Errors
    /// If it is no such name.
    pub fn parse(text: &str) -> Result<Self> {
        let doing = || format!("reading the image's name {text:?}");
        let (name, tag, digest) = split_reference(text);
        let digest = digest.map(str::parse).transpose().with_context(doing)?;
        let (host, path) = split_host(name);
        check_host(&host).and_then(|()| check_path(&path)).with_context(doing)?;
        if host.len() + path.len() > MAX_NAME {
            bail!("reading the image's name {text:?}: it is longer than {MAX_NAME} letters");
        }
        if let Some(tag) = tag {
            check_tag(tag).with_context(doing)?;
        }
        Ok(Self { host, path, tag: tag.map(str::to_owned), digest })
    }

    /// The repository: host and path.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    pub(crate) fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The part of a URL that names the manifest in its repository.
    pub(crate) fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
    }
}

/// Whether repositories can be there: HOST, HOST:PORT or HOST/PATH.
pub(crate) fn is_place(text: &str) -> bool {
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    reads_as_host(host) && is_host(host) && path.is_none_or(|path| check_path(path).is_ok())
}

/// Whether the first part of an image's name is a host, and not already a part of the path.
fn reads_as_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.to_lowercase() != part
}

/// `busybox` is docker.io/library/busybox, as for all of the containers tools.
fn split_host(name: &str) -> (String, String) {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if reads_as_host(host) => (host, path),
        Some(_) | None => (DEFAULT_HOST, name),
    };
    let host = if host == "index.docker.io" { DEFAULT_HOST } else { host };
    let library = if host == DEFAULT_HOST && !path.contains('/') { "library/" } else { "" };
    (host.to_owned(), format!("{library}{path}"))
}

fn check_host(host: &str) -> Result<()> {
    if !is_host(host) {
        bail!("{host:?} is no host, expected a name or an address, and a port if it is not the usual one");
    }
    Ok(())
}

/// Whether it is a name or an address, perhaps with a port.
pub(crate) fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.replace(':', ""), port.strip_prefix(':')),
        None => match host.split_once(':') {
            Some((name, port)) => (name.to_owned(), Some(port)),
            None => (host.to_owned(), None),
        },
    };
    let is_name =
        !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b".-".contains(&letter));
    is_name && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn check_path(path: &str) -> Result<()> {
    let is_word = |part: &str| {
        // Words of letters and digits, between them one of: `.` `_` `__` or any number of `-`.
        let is_alphanumeric = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let is_gap = |gap: &str| matches!(gap, "." | "_" | "__") || gap.bytes().all(|letter| letter == b'-');
        part.starts_with(is_alphanumeric) && part.ends_with(is_alphanumeric) && part.split(is_alphanumeric).all(is_gap)
    };
    if !path.split('/').all(is_word) {
        bail!(
            "{path:?} is no repository, expected words of a-z and 0-9 with single '.', '_' or '-' in them, and '/' between"
        );
    }
    Ok(())
}

fn check_tag(tag: &str) -> Result<()> {
    let is_word = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    let starts = tag.bytes().next().is_some_and(is_word);
    if !starts || tag.len() > MAX_TAG || !tag.bytes().all(|letter| is_word(letter) || b".-".contains(&letter)) {
        bail!(
            "{tag:?} is no tag, expected at most {MAX_TAG} letters, digits, '_', '.' and '-', the first no '.' or '-'"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_read_as_everywhere() {
        let table = [
            ("docker://r.example/os/ballast:1", "docker://r.example/os/ballast:1"),
            ("docker://r.example:5000/os", "docker://r.example:5000/os:latest"),
            ("docker://127.0.0.1:5000/a/b/c:v1.2-x_y", "docker://127.0.0.1:5000/a/b/c:v1.2-x_y"),
            ("docker://[::1]:5000/a", "docker://[::1]:5000/a:latest"),
            ("docker://localhost/a", "docker://localhost/a:latest"),
            ("docker://busybox", "docker://docker.io/library/busybox:latest"),
            ("docker://index.docker.io/a/b", "docker://docker.io/a/b:latest"),
            ("docker://r.example/a__b-c--d.e", "docker://r.example/a__b-c--d.e:latest"),
            ("oci:/media/usb", "oci:/media/usb"),
            ("oci:/media/usb:20261121.1", "oci:/media/usb:20261121.1"),
        ];
        for (text, expected) in table {
            assert_eq!(ImageName::parse(text).unwrap().to_string(), expected);
        }
        let name = ImageName::parse(&format!("docker://r.example/a@{DIGEST}")).unwrap();
        assert_eq!(name.to_string(), format!("docker://r.example/a@{DIGEST}"));
    }

    #[test]
    fn places_are_hosts_with_or_without_a_path() {
        for good in
            ["docker.io", "index.docker.io", "r.example:5000/a/b", "localhost", "[::1]:5000", "docker.io/library"]
        {
            assert!(is_place(good), "{good}");
        }
        for bad in
            ["", "r", "https://r.example", "r.example/", "r.example/A", "r.example:x", "r.example/a:1", "*.example"]
        {
            assert!(!is_place(bad), "{bad}");
        }
    }

    #[test]
    fn other_names_are_refused_with_what_was_expected() {
        let both = format!("docker://r.example/a:1@{DIGEST}");
        let table = [
            ("r.example/a", "expected docker://HOST/REPOSITORY:TAG or oci:FOLDER:TAG"),
            ("containers-storage:a", "expected docker://HOST/REPOSITORY:TAG or oci:FOLDER:TAG"),
            ("oci:", "names no folder"),
            (&both, "has both a tag and a digest"),
            ("docker://r.example/A", "\"A\" is no repository"),
            ("docker://r.example/a//b", "is no repository"),
            ("docker://r.example/../b", "is no repository"),
            ("docker://r.example/a..b", "is no repository"),
            ("docker://r.example/-a", "is no repository"),
            ("docker://r.example/", "is no repository"),
            ("docker://r.example:x/a", "\"r.example:x\" is no host"),
            ("docker://r.exa mple/a", "is no host"),
            ("docker://user@r.example/a", "is no digest"),
            ("docker://r.example/a:", "\"\" is no tag"),
            ("docker://r.example/a:.b", "\".b\" is no tag"),
            ("docker://r.example/a@sha256:12", "is no digest"),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", ImageName::parse(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
