//! Values of `[kubelet]`.

use serde_json::{Map, Value as Json};

use super::{Text, is_made_of, name::is_dns_name, refusal, shown_as_text};

/// An amount as Kubernetes writes it: `100m`, `256Mi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(String);

/// Where a cluster's services are: `cluster.local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDomain(String);

/// Keys of a KubeletConfiguration in YAML, none of them one that the agent writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeletConfig {
    text: String,
    keys: Map<String, Json>,
}

shown_as_text!(Quantity, ClusterDomain);

impl Default for ClusterDomain {
    fn default() -> Self {
        Self("cluster.local".to_owned())
    }
}

impl KubeletConfig {
    /// The keys that may not stand there, since the agent writes them: another value would undo what the node is.
    pub const OWNED: [&str; 19] = [
        "apiVersion",
        "kind",
        "staticPodPath",
        "staticPodURL",
        "staticPodURLHeader",
        "volumePluginDir",
        "authentication",
        "authorization",
        "enableServer",
        "containerRuntimeEndpoint",
        "resolvConf",
        "rotateCertificates",
        "cgroupDriver",
        "healthzBindAddress",
        "healthzPort",
        "readOnlyPort",
        "clusterDNS",
        "clusterDomain",
        "registerWithTaints",
    ];

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it says.
    pub fn keys(&self) -> &Map<String, Json> {
        &self.keys
    }
}

impl Text for Quantity {
    const EXPECTED: &'static str = "an amount as Kubernetes writes it, as \"100m\" or \"256Mi\"";

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let is_known = matches!(unit, "" | "m" | "k" | "K" | "M" | "G" | "T" | "Ki" | "Mi" | "Gi" | "Ti");
        if !is_known || !number.starts_with(|letter: char| letter.is_ascii_digit()) || number.parse::<f64>().is_err() {
            return Err(refusal(text, "such an amount"));
        }
        // Kubernetes knows thousands only by a small k.
        Ok(Self(text.replace('K', if unit == "K" { "k" } else { "K" })))
    }
}

impl Text for ClusterDomain {
    const EXPECTED: &'static str = "a domain, as \"cluster.local\"";

    fn parse(text: &str) -> Result<Self, String> {
        if !is_dns_name(text) || !is_made_of(text, 1..=253, |byte| !byte.is_ascii_uppercase()) {
            return Err(refusal(text, "a domain"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// More nodes than any configuration of a kubelet has; what has more is not read.
const MAX_NODES: usize = 1000;

impl Text for KubeletConfig {
    const EXPECTED: &'static str = "keys of a KubeletConfiguration in YAML, as \"maxPods: 50\"";

    fn parse(text: &str) -> Result<Self, String> {
        // None has aliases, and what they unfold to could be of any size.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: 16, max_nodes: MAX_NODES, max_anchors: 0, max_aliases: 0 },
        };
        let document: Json = serde_saphyr::from_str_with_options(text, options)
            .map_err(|_| "is not YAML that can be read".to_owned())?;
        let Json::Object(keys) = document else { return Err("has no keys in it".to_owned()) };
        if let Some(owned) = Self::OWNED.iter().find(|owned| keys.contains_key(**owned)) {
            return Err(format!("has {owned} in it, which the node writes itself"));
        }
        Ok(Self { text: text.to_owned(), keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_those_of_kubernetes() {
        for (text, expected) in [("100m", "100m"), ("1.5", "1.5"), ("256Mi", "256Mi"), ("2Ki", "2Ki"), ("3K", "3k")] {
            assert_eq!(Quantity::parse(text).unwrap().as_str(), expected);
        }
        for text in ["", "m", "-1", "1MiB", "1 Gi", ".5.", "1.2.3"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_the_node_writes_is_refused_by_name() {
        let config = KubeletConfig::parse("maxPods: 50\nfeatureGates: {A: true}\n").unwrap();
        assert_eq!(config.keys()["maxPods"], 50);
        for owned in KubeletConfig::OWNED {
            let error = KubeletConfig::parse(&format!("{owned}: x")).unwrap_err();
            assert!(error.contains(owned) && error.contains("writes itself"), "{error}");
        }
        for text in ["", "[]", "a: [", "a: &x 1\nb: *x"] {
            assert!(KubeletConfig::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_domain_is_one() {
        assert_eq!(ClusterDomain::default(), ClusterDomain::parse("cluster.local").unwrap());
        assert!(ClusterDomain::parse("Cluster.local").is_err() && ClusterDomain::parse("a b").is_err());
    }
}
