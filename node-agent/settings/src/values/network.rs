//! Interfaces and addresses.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use ipnet::{IpNet, Ipv4Net};

use super::{Text, is_made_of, refusal, shown_as_text};

/// The longest name of an interface (`IFNAMSIZ`) is 15 letters; a pattern may be longer.
const MAX_PATTERN: usize = 64;

/// An interface's name, or a pattern as networkd's `Name=` takes it: `*`, `?` and `[…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName(String);

shown_as_text!(InterfaceName);

/// The name of one interface that networkd makes: a bond or a VLAN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkName(String);

shown_as_text!(LinkName);

/// An interface's hardware address, in small letters with `:` between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac([u8; 6]);

/// A network of version 4 for pods, with room for thirteen of them or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodSubnet(Ipv4Net);

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// `default`: to all that no other route leads to, in the gateway's family.
    Default,
    /// To a network.
    Network(IpNet),
}

impl Text for InterfaceName {
    const EXPECTED: &'static str = "an interface's name or pattern, as \"eth0\" or \"en*\"";

    fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@*?[]".contains(&byte);
        let has_pattern = text.contains(['*', '?', '[']);
        if !is_made_of(text, 1..=if has_pattern { MAX_PATTERN } else { 15 }, fits) || matches!(text, "." | "..") {
            return Err(refusal(text, "an interface's name"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl InterfaceName {
    /// Whether it may mean several.
    pub fn is_pattern(&self) -> bool {
        self.0.contains(['*', '?', '['])
    }

    /// Whether `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        if self.is_pattern() { matches(self.0.as_bytes(), name.as_bytes()) } else { self.0 == name }
    }
}

/// As fnmatch(3) without flags does.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        ([b'*', rest @ ..], name) => (0..=name.len()).any(|skip| matches(rest, name.get(skip..).unwrap_or_default())),
        ([b'?', rest @ ..], [_, name @ ..]) => matches(rest, name),
        ([b'[', rest @ ..], [letter, name @ ..]) if rest.iter().skip(1).any(|byte| *byte == b']') => {
            // A `]` that stands first is one of the letters.
            let end = 1 + rest.iter().skip(1).position(|byte| *byte == b']').unwrap_or_default();
            let (set, behind) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default());
            in_set(set, *letter) && matches(behind, name)
        }
        ([byte, rest @ ..], [letter, name @ ..]) => byte == letter && matches(rest, name),
        ([_, ..], []) => false,
    }
}

/// Whether `letter` is in what stands between `[` and `]`.
fn in_set(set: &[u8], letter: u8) -> bool {
    match set {
        [] => false,
        [from, b'-', to, rest @ ..] => (from..=to).contains(&&letter) || in_set(rest, letter),
        [one, rest @ ..] => *one == letter || in_set(rest, letter),
    }
}

impl Text for LinkName {
    const EXPECTED: &'static str =
        "the name of one interface, at most 15 of a-z, A-Z, 0-9, '.', '_' and '-', as \"bond0\"";

    fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        // The kernel has folders of these names beside those of the interfaces.
        let is_taken = matches!(text, "." | ".." | "all" | "default" | "lo");
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        if is_taken || is_number || !is_made_of(text, 1..=15, fits) {
            return Err(refusal(text, "an interface's name"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Text for Mac {
    const EXPECTED: &'static str = "a hardware address, as \"52:54:00:12:34:56\"";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || refusal(text, "a hardware address");
        let mut mac = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut mac {
            let part = parts.next().filter(|part| is_made_of(part, 2..=2, |letter| letter.is_ascii_hexdigit()));
            *byte = part.and_then(|part| u8::from_str_radix(part, 16).ok()).ok_or_else(wrong)?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(mac)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl Text for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, as \"192.0.2.10:9100\" or \"[::]:9100\"";

    fn parse(text: &str) -> Result<Self, String> {
        let address: Option<Self> = text.parse().ok();
        address.filter(|address| address.port() != 0).ok_or_else(|| refusal(text, "an address and a port"))
    }
}

impl Text for IpAddr {
    const EXPECTED: &'static str = "an IP address";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| refusal(text, "an IP address"))
    }
}

impl Text for IpNet {
    const EXPECTED: &'static str = "an address and its prefix, as \"192.0.2.10/24\"";

    fn parse(text: &str) -> Result<Self, String> {
        let without = || if text.parse::<IpAddr>().is_ok() { ": it has no prefix" } else { "" };
        text.parse().map_err(|_| refusal(text, format_args!("an address with its prefix{}", without())))
    }
}

impl PodSubnet {
    /// How long its prefix may be.
    const PREFIXES: std::ops::RangeInclusive<u8> = 8..=28;

    /// The name of a bridge that no other subnet has.
    #[must_use]
    pub fn bridge(self) -> String {
        format!("pods{:08x}", self.0.network().to_bits())
    }
}

impl Text for PodSubnet {
    const EXPECTED: &'static str = "an IPv4 network with a prefix from 8 to 28, as \"10.88.0.0/16\"";

    fn parse(text: &str) -> Result<Self, String> {
        let network: Ipv4Net = text.parse().map_err(|_| refusal(text, "an IPv4 network"))?;
        if !Self::PREFIXES.contains(&network.prefix_len()) {
            return Err(refusal(text, "of that size"));
        }
        if network.trunc() != network {
            return Err(refusal(text, format_args!("a network, but an address in {}", network.trunc())));
        }
        Ok(Self(network))
    }
}

impl fmt::Display for PodSubnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Text for Destination {
    const EXPECTED: &'static str = "\"default\" or a network, as \"10.0.0.0/8\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            network => IpNet::parse(network).map(|network| Self::Network(network.trunc())),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Network(network) => network.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_names_or_patterns() {
        for right in ["eth0", "en*", "enp[0-9]s?", "eth0.100"] {
            assert!(InterfaceName::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "eth 0", "eth0\nName=*", "a/b", "..", "sixteen-letters-", "!eth0"] {
            assert!(InterfaceName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_means_what_networkd_takes_it_for() {
        for (pattern, name, expected) in [
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("e*", "enp1s0", true),
            ("e*0", "enp1s0", true),
            ("e*1", "enp1s0", false),
            ("eth?", "eth7", true),
            ("eth?", "eth10", false),
            ("enp[0-3]s0", "enp2s0", true),
            ("enp[0-3]s0", "enp4s0", false),
            ("eth[", "eth[", true),
        ] {
            assert_eq!(InterfaceName::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        for wrong in ["", "e*", "bond 0", "sixteen-letters-", "lo", "all", "7", "a:b"] {
            assert!(LinkName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hardware_address_has_one_form() {
        for text in ["52:54:00:AB:cd:ef", "52-54-00-ab-cd-ef"] {
            assert_eq!(Mac::parse(text).unwrap().to_string(), "52:54:00:ab:cd:ef");
        }
        for wrong in ["", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:00", "5:54:00:ab:cd:ef", "+1:54:00:ab:cd:ef"] {
            assert!(Mac::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_a_prefix_and_routes_lead_to_networks() {
        assert_eq!(IpNet::parse("192.0.2.10/24").unwrap().to_string(), "192.0.2.10/24");
        let error = IpNet::parse("192.0.2.10").unwrap_err();
        assert_eq!(error, "\"192.0.2.10\" is not an address with its prefix: it has no prefix");
        assert!(IpNet::parse("192.0.2.10/33").is_err());
        assert_eq!(Destination::parse("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(Destination::parse("default").unwrap(), Destination::Default);
    }

    #[test]
    fn pods_have_a_network_of_version_4_with_room_in_it() {
        let subnet = PodSubnet::parse("10.88.0.0/16").unwrap();
        assert_eq!((subnet.to_string().as_str(), subnet.bridge().as_str()), ("10.88.0.0/16", "pods0a580000"));
        for (wrong, why) in [
            ("10.88.0.0", "is not an IPv4 network"),
            ("fd00::/64", "is not an IPv4 network"),
            ("10.88.0.0/29", "is not of that size"),
            ("10.88.0.1/16", "is not a network, but an address in 10.88.0.0/16"),
        ] {
            assert_eq!(PodSubnet::parse(wrong).unwrap_err(), format!("{wrong:?} {why}"));
        }
    }
}
