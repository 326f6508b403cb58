//! Registries as image names have them, and the names of releases.

use std::net::Ipv6Addr;

use super::{Text, is_made_of, is_not, name::is_host, shown_as_text};

/// What [`image`] takes.
pub(crate) const IMAGE: &str = "where a release is, as \"registry.example/ballast:stable\" or \"oci:/run/media/stick\"";

/// `HOST[:PORT]`, as the first part of an image's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryHost(String);

/// `HOST[:PORT][/PATH]`: where the repositories of a registry are mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorPlace(String);

/// Who we are at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

shown_as_text!(RegistryHost, MirrorPlace, Username);

impl MirrorPlace {
    /// `HOST[:PORT]`
    pub fn host(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// What stands behind the host, without a `/` in front; empty if the mirror has the registry's own paths.
    pub fn path(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, path)| path)
    }
}

impl Text for RegistryHost {
    const EXPECTED: &'static str = "a registry as image names have it, HOST or HOST:PORT";

    fn parse(text: &str) -> Result<Self, String> {
        if !is_registry(text) {
            return Err(is_not(text, "a registry"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Text for MirrorPlace {
    const EXPECTED: &'static str = "a mirror, HOST, HOST:PORT or HOST/PATH";

    fn parse(text: &str) -> Result<Self, String> {
        let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
        let is_word = |part: &str| {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
            is_made_of(part, 1..=128, fits)
                && part.starts_with(|letter: char| letter.is_ascii_alphanumeric())
                && part.ends_with(|letter: char| letter.is_ascii_alphanumeric())
                && !part.contains("..")
        };
        if !is_registry(host) || path.is_some_and(|path| !path.split('/').all(is_word)) {
            return Err(is_not(text, "a mirror"));
        }
        Ok(Self(text.to_owned()))
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

/// `HOST[:PORT]/PATH[:TAG][@DIGEST]` or `oci:FOLDER[:TAG]`; whoever fetches it looks closer.
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
            "https://r.example",
            "r.example:",
            "r.example:0",
            "r.example:99999",
            "a_b.c",
        ] {
            assert!(RegistryHost::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mirror_may_lie_in_a_path() {
        let mirror = MirrorPlace::parse("harbor.example:443/proxy/docker.io").unwrap();
        assert_eq!((mirror.host(), mirror.path()), ("harbor.example:443", "proxy/docker.io"));
        let mirror = MirrorPlace::parse("m.example").unwrap();
        assert_eq!((mirror.host(), mirror.path()), ("m.example", ""));
        for wrong in ["", "m.example/", "m.example/..", "m.example/A", "m.example//a", "m.example/a\"b"] {
            assert!(MirrorPlace::parse(wrong).is_err(), "{wrong}");
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
