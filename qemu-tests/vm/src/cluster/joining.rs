//! What a node's settings say of a cluster: one `[[cluster]]` of node-agent/settings.

use std::fmt;

/// Keys in their order; printed as TOML.
#[derive(Clone, Debug)]
pub struct Joining {
    lines: Vec<String>,
}

impl Joining {
    /// The cluster `name`; its servers are tried in this order.
    pub fn new(name: &str, servers: &[&str]) -> Self {
        let quoted: Vec<_> = servers.iter().map(|server| format!("\"{server}\"")).collect();
        let servers = if servers.is_empty() { None } else { Some(format!("servers = [{}]", quoted.join(", "))) };
        Self { lines: std::iter::once(format!("name = \"{name}\"")).chain(servers).collect() }
    }

    /// With a text, which may have lines and quotation marks of its own: a certificate, a whole kubeconfig.
    #[must_use]
    pub fn text(self, key: &str, text: &str) -> Self {
        self.line(&format!("{key} = '''\n{}\n'''", text.trim_end()))
    }

    /// With a word: a token, a hash, a role, a pool.
    #[must_use]
    pub fn word(self, key: &str, word: &str) -> Self {
        self.line(&format!("{key} = \"{word}\""))
    }

    /// With a line of TOML as it is.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}

impl fmt::Display for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[cluster]]\n{}", self.lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_table_of_toml() {
        let joining = Joining::new("prod", &["https://10.0.2.2:1", "https://10.0.2.2:2"])
            .text("ca", "-----BEGIN\nx\n")
            .word("token", "a.b")
            .line("node_labels = {rack = \"7\"}");
        let value: toml::Table = toml::from_str(&joining.to_string()).unwrap();
        let cluster = &value["cluster"][0];
        assert_eq!(cluster["servers"][1].as_str(), Some("https://10.0.2.2:2"));
        assert_eq!(cluster["ca"].as_str(), Some("-----BEGIN\nx\n"));
        assert_eq!(cluster["node_labels"]["rack"].as_str(), Some("7"));
        let by_file = Joining::new("other", &[]).text("kubeconfig", "{\"a\": 1}").to_string();
        assert!(!by_file.contains("servers") && toml::from_str::<toml::Table>(&by_file).is_ok(), "{by_file}");
    }
}
