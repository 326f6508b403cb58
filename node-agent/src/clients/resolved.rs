//! systemd-resolved: the name servers that it knows of, as its file for those who ask them directly has it.
//! (systemd-resolved.service(8); resolv.conf(5))

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};

use super::host::Host;

/// There once resolved runs. Its own stub, which /etc/resolv.conf names, is out of reach for pods with their own network.
const FILE: &str = "/run/systemd/resolve/resolv.conf";

/// What a resolver is configured with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Addresses of name servers.
    pub servers: Vec<String>,
    /// Domains that a short name is looked for in.
    pub searches: Vec<String>,
    /// Options, as `edns0`.
    pub options: Vec<String>,
}

/// What resolved knows by now; nothing if it does not run yet.
///
/// # Errors
/// If its file cannot be read.
pub fn load_resolv_conf(host: &Host) -> Result<ResolvConf> {
    match fs::read_to_string(host.path(FILE)) {
        Ok(text) => Ok(parse_resolv_conf(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(ResolvConf::default()),
        Err(error) => Err(error).with_context(|| format!("reading {FILE}")),
    }
}

/// The last `search` line counts, as for libc.
fn parse_resolv_conf(text: &str) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => conf.servers.extend(words.next()),
            Some("search") => conf.searches = words.collect(),
            Some("options") => conf.options.extend(words),
            _ => {}
        }
    }
    conf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_resolved_writes_is_read() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        for (text, servers, searches, options) in [
            ("# No DNS servers known.\nsearch .\n", &[][..], &["."][..], &[][..]),
            (
                "nameserver 10.0.2.3\nnameserver fe80::1%eth0\noptions edns0\nsearch a b\n",
                &["10.0.2.3", "fe80::1%eth0"],
                &["a", "b"],
                &["edns0"],
            ),
            ("nameserver\nsearch a\nsearch b\n; nameserver 1.1.1.1\n", &[], &["b"], &[]),
            ("", &[], &[], &[]),
        ] {
            let expected = ResolvConf { servers: words(servers), searches: words(searches), options: words(options) };
            assert_eq!(parse_resolv_conf(text), expected, "{text}");
        }
    }
}
