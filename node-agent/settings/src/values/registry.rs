//! Registries as image names have them, and the names of releases.

use std::net::Ipv6Addr;

use super::{Text, is_made_of, name::is_host, refusal, shown_as_text};

/// What [`image`] takes.
pub(crate) const IMAGE: &str = "where a release is, as \"registry.example/ballast:stable\" or \"oci:/run/media/stick\"";

/// `HOST[:PORT]`, as the first part of an image's name, or `*` for all registries without an entry of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryHost(String);

/// Where the repositories of a registry are mirrored: `HOST[:PORT][/PATH]`, where PATH stands before the repository's name (Harbor), or
/// `https://HOST[:PORT]/BASE/v2[/PATH]`, where the registry's API lies below BASE (Nexus, Artifactory).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorPlace {
    /// As it is written, in its one form.
    text: String,
    host: String,
    base: String,
    path: String,
}

/// Who we are at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

shown_as_text!(RegistryHost, Username);

/// Docker Hub's name in images, and the other names that it goes by.
const DOCKER: &str = "docker.io";
const DOCKER_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// All registries, and what containerd calls them.
const ALL: &str = "*";
const ALL_ALIAS: &str = "_default";

impl RegistryHost {
    /// Whether it stands for all registries without an entry of their own.
    pub fn is_all(&self) -> bool {
        self.0 == ALL
    }
}

impl MirrorPlace {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `HOST[:PORT]`
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Below which path the registry's API (`/v2/`) lies, without a `/` in front; empty if it lies at the root.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What stands before the repository's name, without a `/` in front; empty if the mirror has the registry's own names.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl std::fmt::Display for MirrorPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether `text` is a URL that begins with `http://`, which says that there is no TLS.
pub(crate) fn is_plain_url(text: &str) -> bool {
    text.starts_with("http://")
}

/// `text` without `http://` or `https://`, and whether it had one.
fn without_scheme(text: &str) -> (&str, bool) {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    (rest.unwrap_or(text), rest.is_some())
}

impl Text for RegistryHost {
    const EXPECTED: &'static str =
        "a registry as image names have it, HOST or HOST:PORT, or \"*\" for all without an entry of their own";

    /// Also in the spellings of other programs: `https://HOST`, `https://index.docker.io/v1/`, `_default`.
    fn parse(text: &str) -> Result<Self, String> {
        if matches!(text, ALL | ALL_ALIAS) {
            return Ok(Self(ALL.to_owned()));
        }
        let (rest, _) = without_scheme(text);
        let host = rest.trim_end_matches('/');
        let host = ["/v1", "/v2"].iter().find_map(|version| host.strip_suffix(version)).unwrap_or(host);
        match host.split_once('/') {
            Some((before, _)) if is_registry(before) && !text.contains('@') => {
                Err(format!("{text:?} has a path; an entry holds for a whole registry: write {before:?}"))
            }
            _ if !is_registry(host) => Err(refusal(text, "a registry")),
            _ if DOCKER_ALIASES.contains(&host) => Ok(Self(DOCKER.to_owned())),
            _ => Ok(Self(host.to_owned())),
        }
    }
}

/// A part of a repository's name, as the distribution specification has it.
fn is_repository_word(part: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    is_made_of(part, 1..=128, fits)
        && part.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && part.ends_with(|letter: char| letter.is_ascii_alphanumeric())
        && !part.contains("..")
}

/// A part of a URL's path that means only itself.
fn is_url_word(part: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    is_made_of(part, 1..=128, fits) && !matches!(part, "." | "..")
}

impl Text for MirrorPlace {
    const EXPECTED: &'static str = "a mirror: HOST, HOST:PORT, HOST/PATH where PATH stands before the repository, or https://HOST/BASE where /v2/ lies below BASE";

    fn parse(text: &str) -> Result<Self, String> {
        let (rest, is_url) = without_scheme(text);
        // A slash at the end of a URL means nothing; at the end of a path something is missing.
        let rest = if is_url { rest.trim_end_matches('/') } else { rest };
        let mut parts = rest.split('/');
        let host = parts.next().unwrap_or_default();
        let words: Vec<&str> = parts.collect();
        let (base, path) = match words.iter().position(|word| *word == "v2") {
            Some(api) => (words.get(..api).unwrap_or_default(), words.get(api + 1..).unwrap_or_default()),
            None if is_url => (words.as_slice(), &[][..]),
            None => (&[][..], words.as_slice()),
        };
        if !is_registry(host) || !base.iter().all(|word| is_url_word(word)) {
            return Err(refusal(text, "a mirror"));
        }
        if let Some(word) = path.iter().find(|word| !is_repository_word(word)) {
            if is_url_word(word) && word.bytes().any(|byte| byte.is_ascii_uppercase()) {
                let hint = format!("if its API lies below that path, write \"https://{rest}\"");
                return Err(format!(
                    "{text:?} has {word:?} in it, and no repository's name has capital letters; {hint}"
                ));
            }
            return Err(refusal(text, "a mirror"));
        }
        let (base, path) = (base.join("/"), path.join("/"));
        let behind = |words: &str| if words.is_empty() { String::new() } else { format!("/{words}") };
        let text = if base.is_empty() {
            format!("{host}{}", behind(&path))
        } else {
            format!("https://{host}/{base}/v2{}", behind(&path))
        };
        Ok(Self { text, host: host.to_owned(), base, path })
    }
}

impl Text for Username {
    const EXPECTED: &'static str = "a user's name without ':'";

    fn parse(text: &str) -> Result<Self, String> {
        // Behind a ':' there may be the password: nothing is quoted.
        if text.is_empty() || text.contains(':') || text.chars().any(char::is_control) {
            return Err("is empty, or has a ':' or a control character in it".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// As [`is_host_and_port`]; a word alone could be a folder in an image's name and is none, but for `localhost`.
fn is_registry(text: &str) -> bool {
    is_host_and_port(text) && (text.contains(['.', ':']) || text == "localhost")
}

/// `HOST` or `HOST:PORT`; an IPv6 address stands in `[]`.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let is_port = |port: &str| {
        is_made_of(port, 1..=5, |byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().is_ok() && has_port;
    }
    match text.split_once(':') {
        Some((host, port)) => is_host(host) && is_port(port),
        None => is_host(text),
    }
}

/// `HOST[:PORT]/PATH[:TAG][@DIGEST]` or `oci:FOLDER[:TAG]`; the fetcher checks the rest.
pub(crate) fn image(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(letter) = text.chars().find(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(format!("has {letter:?} in it"));
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("{scheme}:// does not belong to it"));
    }
    if let Some(folder) = text.strip_prefix("oci:") {
        return if folder.starts_with('/') { Ok(text.to_owned()) } else { Err("names no absolute folder".to_owned()) };
    }
    let (host, path) = text.split_once('/').ok_or("names no registry")?;
    // As for containers: a first part without a point or a port would be a folder of a registry that is not named.
    let is_host = host.contains(['.', ':']) || host == "localhost";
    if !is_host || path.is_empty() {
        return Err("names no registry".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_what_stands_first_in_an_image_name() {
        for right in ["docker.io", "r.example:5000", "localhost", "10.0.2.2:5000", "[::1]:5000", "registry:5000"] {
            assert!(RegistryHost::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "registry",
            "r.example/a",
            "https://r.example/a",
            "https://",
            "r.example:",
            "r.example:0",
            "r.example:99999",
            "a_b.c",
        ] {
            assert!(RegistryHost::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// As Docker's, containerd's and Podman's files have them.
    #[test]
    fn a_registry_is_known_by_its_other_spellings() {
        for (text, host) in [
            ("https://ghcr.io", "ghcr.io"),
            ("http://10.0.2.2:5000", "10.0.2.2:5000"),
            ("quay.io/", "quay.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("_default", "*"),
            ("*", "*"),
        ] {
            assert_eq!(RegistryHost::parse(text).unwrap().as_str(), host, "{text}");
        }
        let reported = RegistryHost::parse("ghcr.io/team").unwrap_err();
        assert_eq!(reported, "\"ghcr.io/team\" has a path; an entry holds for a whole registry: write \"ghcr.io\"");
    }

    #[test]
    fn a_mirror_may_lie_in_a_path() {
        let mirror = MirrorPlace::parse("harbor.example:443/proxy/docker.io").unwrap();
        assert_eq!((mirror.host(), mirror.path()), ("harbor.example:443", "proxy/docker.io"));
        let mirror = MirrorPlace::parse("m.example").unwrap();
        assert_eq!((mirror.host(), mirror.path()), ("m.example", ""));
        for wrong in [
            "",
            "m.example/",
            "m.example/..",
            "m.example/A",
            "m.example//a",
            "m.example/a\"b",
            "https://m.example/a?b",
            "https://m.example/../b",
            "https://",
        ] {
            assert!(MirrorPlace::parse(wrong).is_err(), "{wrong}");
        }
        let reported = MirrorPlace::parse("artifactory.example/api/docker/Docker-Remote").unwrap_err();
        assert!(reported.ends_with("write \"https://artifactory.example/api/docker/Docker-Remote\""), "{reported}");
    }

    #[test]
    fn a_mirror_s_api_may_lie_below_a_path() {
        for (text, base, path, written) in [
            ("https://mirror.example", "", "", "mirror.example"),
            ("http://10.0.2.2:5005", "", "", "10.0.2.2:5005"),
            ("10.0.2.2:5005/v2/proxy/hub", "", "proxy/hub", "10.0.2.2:5005/proxy/hub"),
            ("https://n.example/repository/hub/", "repository/hub", "", "https://n.example/repository/hub/v2"),
            ("https://a.example/api/Remote/v2/x", "api/Remote", "x", "https://a.example/api/Remote/v2/x"),
        ] {
            let mirror = MirrorPlace::parse(text).unwrap();
            assert_eq!((mirror.base(), mirror.path(), mirror.as_str()), (base, path, written), "{text}");
            assert_eq!(MirrorPlace::parse(mirror.as_str()), Ok(mirror));
        }
    }

    #[test]
    fn an_image_has_a_registry_or_a_folder() {
        let digest = format!("r.example/a@sha256:{}", "0".repeat(64));
        for right in ["r.example/a", "r.example:5000/a/b:1", "10.0.2.2:5000/a", "localhost/a:1", "oci:/a/b:1", &digest]
        {
            assert_eq!(image(right).as_deref(), Ok(right));
        }
        for wrong in
            ["", "ballast", "team/ballast", "r.example", "r.example/", "docker://r.example/a", "r.example/a b", "oci:a"]
        {
            assert!(image(wrong).is_err(), "{wrong}");
        }
    }
}
