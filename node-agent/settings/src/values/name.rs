//! Names of hosts and domains (RFC 1123), and of manifests.

use std::net::IpAddr;

use super::{Text, is_made_of, refusal, shown_as_text};

/// The longest name that the kernel takes (`HOST_NAME_MAX`).
const MAX_HOSTNAME: usize = 64;
/// The longest name in the DNS, without the point at its end.
const MAX_DOMAIN: usize = 253;
/// The longest word between two points (RFC 1035).
const MAX_LABEL: usize = 63;

/// The machine's name: words of letters, digits and `-` with points between, at most 64 letters, in small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname(String);

/// A domain in which short names are looked for; with `~` in front one that is only routed (resolved.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(String);

/// A host by name or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

/// What a manifest is called here: a word of small letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestName(String);

shown_as_text!(Hostname, Domain, Host, ManifestName);

impl Text for Hostname {
    const EXPECTED: &'static str = "a host's name of at most 64 letters, digits, '-' and '.'";

    fn parse(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        if name.len() > MAX_HOSTNAME || !is_dns_name(&name) || name.parse::<IpAddr>().is_ok() {
            return Err(refusal(text, "a host's name"));
        }
        Ok(Self(name))
    }
}

impl Text for Domain {
    const EXPECTED: &'static str = "a domain, as \"example.com\", or \"~example.com\" to route only";

    fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('~').unwrap_or(text);
        // "~." routes everything.
        if !is_dns_name(name) && text != "~." {
            return Err(refusal(text, "a domain"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Text for Host {
    const EXPECTED: &'static str = "a host's name or address";

    fn parse(text: &str) -> Result<Self, String> {
        if !is_host(text) {
            return Err(refusal(text, "a host's name or address"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Text for ManifestName {
    const EXPECTED: &'static str = "a word of a-z, 0-9 and '-'";

    fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !is_made_of(text, 1..=MAX_LABEL, fits) || !is_label(text) {
            return Err(refusal(text, "such a word"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether it is a name in the DNS or an address.
pub(super) fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_dns_name(text)
}

/// Whether it is a name in the DNS, without a point at its end.
pub(super) fn is_dns_name(text: &str) -> bool {
    text.len() <= MAX_DOMAIN && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    is_made_of(text, 1..=MAX_LABEL, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_is_what_the_kernel_and_the_dns_take() {
        let longest = "a".repeat(63);
        for right in ["node1", "NODE1", "node-1.example.com", "1node", &longest] {
            assert_eq!(Hostname::parse(right).unwrap().as_str(), right.to_lowercase());
        }
        let too_long = format!("{}.{}", "a".repeat(32), "b".repeat(32));
        for wrong in ["", "-node", "node-", "no_de", "a..b", ".a", "a.", "ü", "a b", "10.0.0.1", &too_long] {
            assert!(Hostname::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn domains_may_be_routed_only() {
        for right in ["example.com", "~example.com", "~.", "local"] {
            assert!(Domain::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "~", "a b", "~~a", "a."] {
            assert!(Domain::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for right in ["ntp.example", "192.0.2.1", "2001:db8::1"] {
            assert!(Host::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "ntp.example:123", "[::1]", "a/b", "a\nb"] {
            assert!(Host::parse(wrong).is_err(), "{wrong}");
        }
        assert!(ManifestName::parse("web-1").is_ok());
        for wrong in ["", "../web", "Web", "web.yaml", "-web"] {
            assert!(ManifestName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
