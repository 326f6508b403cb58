//! Names of clusters, of nodes and pools in them, and what a cluster's authority is known by.

use super::{Text, is_made_of, name::is_dns_name, refusal, shown_as_text};

/// What a cluster is called here: a word of small letters, digits and `-`. A folder is named so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterName(String);

/// What the node is called there: the name of a Kubernetes object, words with points between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(String);

/// Which nodes are upgraded together: the value of a label, a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolName(String);

/// `sha256:` and the hash of the authority's public key (SubjectPublicKeyInfo), as `kubeadm token create --print-join-command` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaHash(String);

shown_as_text!(ClusterName, NodeName, PoolName, CaHash);

impl CaHash {
    /// The hash alone, in small letters.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }
}

impl ClusterName {
    /// The longest: it is a label of the DNS.
    const MAX: usize = 63;
}

impl Text for ClusterName {
    const EXPECTED: &'static str = "a word of a-z, 0-9 and '-', at most 63 letters";

    fn parse(text: &str) -> Result<Self, String> {
        if is_word(text) { Ok(Self(text.to_owned())) } else { Err(refusal(text, "such a word")) }
    }
}

impl Text for NodeName {
    const EXPECTED: &'static str = "a node's name of a-z, 0-9, '-' and '.', as \"node1.example.com\"";

    fn parse(text: &str) -> Result<Self, String> {
        if !is_dns_name(text) || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refusal(text, "a node's name"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Text for PoolName {
    const EXPECTED: &'static str = ClusterName::EXPECTED;

    fn parse(text: &str) -> Result<Self, String> {
        if is_word(text) { Ok(Self(text.to_owned())) } else { Err(refusal(text, "such a word")) }
    }
}

impl Text for CaHash {
    const EXPECTED: &'static str = "\"sha256:\" and 64 digits of 0-9 and a-f";

    fn parse(text: &str) -> Result<Self, String> {
        let hash = text.strip_prefix("sha256:").unwrap_or_default();
        if !is_made_of(hash, 64..=64, |byte| byte.is_ascii_hexdigit()) {
            return Err(refusal(text, "such a hash"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    is_made_of(text, 1..=ClusterName::MAX, fits) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes() {
        let longest = "a".repeat(63);
        for right in ["prod", "prod-2", "2", &longest] {
            assert!(ClusterName::parse(right).is_ok() && PoolName::parse(right).is_ok(), "{right}");
        }
        let too_long = "a".repeat(64);
        for wrong in ["", "..", "a/b", "Prod", "-a", "a-", "a.b", &too_long] {
            assert!(ClusterName::parse(wrong).is_err() && PoolName::parse(wrong).is_err(), "{wrong}");
        }
        for right in ["node1", "node1.example.com", "10.0.0.1"] {
            assert!(NodeName::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "Node1", "node_1", "a..b", "a/b", "system:node:a"] {
            assert!(NodeName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_sha256_in_small_letters() {
        let right = format!("sha256:{}", "aB".repeat(32));
        let hash = CaHash::parse(&right).unwrap();
        assert_eq!((hash.as_str(), hash.hex()), (&*right.to_lowercase(), &*"ab".repeat(32)));
        for wrong in ["", "sha256:", "sha256:ab", &"ab".repeat(32), &format!("{right}a"), &right.replace("256", "512")]
        {
            assert!(CaHash::parse(wrong).is_err(), "{wrong}");
        }
    }
}
