//! URLs: of proxies, and of the cluster's API server.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::{Text, is_made_of, name::is_dns_name, refusal, registry::is_host_and_port, shown_as_text};

/// An HTTP proxy: `http://[USER:PASSWORD@]HOST[:PORT]`. Shown without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(String);

/// What is reached without the proxy: a host, `.domain` for all in it, an address, a network, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProxy(String);

/// `https://HOST[:PORT]` and perhaps a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl(String);

shown_as_text!(NoProxy, HttpsUrl);

impl ProxyUrl {
    /// All of it, with user and password.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Text for ProxyUrl {
    const EXPECTED: &'static str = "a proxy, as \"http://proxy.example:3128\"";

    fn parse(text: &str) -> Result<Self, String> {
        // There may be a password in it: errors never quote it.
        let rest = text.strip_prefix("http://").ok_or("is not a URL that begins with http://")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        if !is_host_and_port(host) {
            return Err("does not name a host".to_owned());
        }
        // What has a meaning in a URL, in a unit file or in a shell is written as %XX.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!*+,=:".contains(&byte);
        if user.is_some_and(|user| !is_made_of(user, 1..=512, fits)) {
            return Err("has a user or password in it whose letters have to be written as %XX".to_owned());
        }
        Ok(Self(format!("http://{rest}")))
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((_, host)) => write!(formatter, "http://(secret)@{host}"),
            None => formatter.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Text for NoProxy {
    const EXPECTED: &'static str = "a host, \".domain\", an address, a network or \"*\"";

    fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('.').unwrap_or(text);
        let is_address = text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok();
        if text != "*" && !is_address && !is_dns_name(name) && !is_host_and_port(text) {
            return Err(refusal(text, "one of these"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Text for HttpsUrl {
    const EXPECTED: &'static str = "a URL, as \"https://api.example:6443\"";

    fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("https://").ok_or_else(|| refusal(text, "a URL that begins with https://"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%/:".contains(&byte);
        if !is_host_and_port(host) || !is_made_of(path, 0..=512, fits) {
            return Err(refusal(text, "a URL of a host"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let proxy = ProxyUrl::parse("http://me:pa%40ss@proxy.example:3128/").unwrap();
        assert_eq!(proxy.reveal(), "http://me:pa%40ss@proxy.example:3128");
        assert_eq!(
            format!("{proxy} {proxy:?}"),
            "http://(secret)@proxy.example:3128 http://(secret)@proxy.example:3128"
        );
        for wrong in ["", "proxy:3128", "https://proxy", "http://", "http://a b", "http://me:p$w@proxy", "http://@p"] {
            let error = ProxyUrl::parse(wrong).unwrap_err();
            assert!(!error.contains("p$w"), "{error}");
        }
    }

    #[test]
    fn what_is_not_proxied_is_a_host_a_domain_or_a_network() {
        for right in ["localhost", ".example.com", "10.0.0.0/8", "::1", "*", "r.example:5000"] {
            assert!(NoProxy::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "a,b", "a b", "*.example", "http://a"] {
            assert!(NoProxy::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_api_server_is_reached_over_tls() {
        assert_eq!(HttpsUrl::parse("https://[2001:db8::1]:6443/").unwrap().as_str(), "https://[2001:db8::1]:6443");
        for wrong in ["", "http://api", "https://", "https://a b", "https://me@api", "https://api/?x", "api:6443"] {
            assert!(HttpsUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
