//! Where a node is: `HOST` or `HOST:PORT`.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// Where nodes listen if nobody says otherwise.
const PORT: u16 = 9600;

/// A node's host and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    /// A name or an IP address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no node's address, expected HOST or HOST:PORT, as 192.0.2.10 or [2001:db8::1]:9600")
        };
        let (host, port) = if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) })
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(fits) {
            return Err(wrong());
        }
        let port = port.map_or(Ok(PORT), |port| port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out() {
        for (text, expected) in [
            ("node-1", "node-1:9600"),
            ("192.0.2.10:443", "192.0.2.10:443"),
            ("2001:db8::1", "[2001:db8::1]:9600"),
            ("[2001:db8::1]", "[2001:db8::1]:9600"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), expected, "{text}");
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        for wrong in ["", ":1", "a:", "a:0", "a:65536", "a b", "https://a", "[a]:1", "[2001:db8::1]1", "a/b"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
