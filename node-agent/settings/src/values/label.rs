//! Labels and taints of a node, as Kubernetes has them (kubernetes.io/docs/concepts/overview/working-with-objects/labels).

use std::fmt;

use super::{Text, is_made_of, name::is_dns_name, refusal, shown_as_text};

/// `[PREFIX/]NAME`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelKey(String);

/// The key of a label that a node may give itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeLabel(LabelKey);

/// At most 63 letters; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelValue(String);

shown_as_text!(LabelKey, LabelValue);

impl NodeLabel {
    /// It as any label's.
    pub fn key(&self) -> &LabelKey {
        &self.0
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for NodeLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// `KEY[=VALUE]:EFFECT`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    /// Its name.
    pub key: LabelKey,
    /// May be empty.
    pub value: LabelValue,
    /// What it does to pods that do not bear it.
    pub effect: TaintEffect,
}

/// What a taint does to pods that do not bear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaintEffect {
    /// None is placed here.
    NoSchedule,
    /// None is placed here as long as another node will do.
    PreferNoSchedule,
    /// None is placed here, and those that are here have to go.
    NoExecute,
}

impl Text for LabelKey {
    const EXPECTED: &'static str = "a label's key, as \"example.com/rack\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
        let is_prefix = |prefix: &str| is_dns_name(prefix) && !prefix.bytes().any(|byte| byte.is_ascii_uppercase());
        if name.is_empty() || !is_word(name) || prefix.is_some_and(|prefix| !is_prefix(prefix)) {
            return Err(refusal(text, "a label's key"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// In the domains of Kubernetes a node may give itself only these labels (NodeRestriction refuses the whole Node for any other), and of
/// those the agent gives it the rest.
const OWN_LABELS: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// Domains of Kubernetes in which a node may give itself any label.
const OWN_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Domains whose labels are others' to give: those of Kubernetes, and our own, in which the agent says what runs.
const OTHERS_DOMAINS: [&str; 3] = ["kubernetes.io", "k8s.io", "os.ballast.dev"];

impl Text for NodeLabel {
    const EXPECTED: &'static str =
        "a label that a node may give itself, as \"example.com/rack\" or \"node.kubernetes.io/class\"";

    fn parse(text: &str) -> Result<Self, String> {
        let key = LabelKey::parse(text)?;
        let domain = text.split_once('/').map_or("", |(domain, _)| domain);
        let is_in = |outer: &str| domain == outer || domain.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'));
        let is_own = OWN_LABELS.contains(&text) || OWN_DOMAINS.iter().any(|own| is_in(own));
        if !is_own && OTHERS_DOMAINS.iter().any(|others| is_in(others)) {
            return Err(format!("{text:?} is not a node's own to give"));
        }
        Ok(Self(key))
    }
}

impl Text for LabelValue {
    const EXPECTED: &'static str = "a label's value: at most 63 letters, digits, '-', '_' and '.'";

    fn parse(text: &str) -> Result<Self, String> {
        if is_word(text) { Ok(Self(text.to_owned())) } else { Err(refusal(text, "a label's value")) }
    }
}

fn is_word(text: &str) -> bool {
    let is_end = |letter: char| letter.is_ascii_alphanumeric();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.is_empty() || (is_made_of(text, 1..=63, fits) && text.starts_with(is_end) && text.ends_with(is_end))
}

impl Text for Taint {
    const EXPECTED: &'static str =
        "a taint, as \"example.com/gpu=true:NoSchedule\" (NoSchedule, PreferNoSchedule, NoExecute)";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || refusal(text, "a taint");
        let (name, effect) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (key, value) = name.split_once('=').unwrap_or((name, ""));
        let effect = match effect {
            "NoSchedule" => TaintEffect::NoSchedule,
            "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
            "NoExecute" => TaintEffect::NoExecute,
            _ => return Err(wrong()),
        };
        Ok(Self { key: LabelKey::parse(key)?, value: LabelValue::parse(value)?, effect })
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.key)?;
        if !self.value.as_str().is_empty() {
            write!(formatter, "={}", self.value)?;
        }
        formatter.write_str(match self.effect {
            TaintEffect::NoSchedule => ":NoSchedule",
            TaintEffect::PreferNoSchedule => ":PreferNoSchedule",
            TaintEffect::NoExecute => ":NoExecute",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_taints_are_those_of_kubernetes() {
        for right in ["rack", "example.com/rack", "node-role.kubernetes.io/worker", "A_b.c-1"] {
            assert!(LabelKey::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "/a", "a/", "a/b/c", "-a", "Example.com/a", "a b"] {
            assert!(LabelKey::parse(wrong).is_err(), "{wrong}");
        }
        for right in [
            "rack",
            "example.com/rack",
            "node.kubernetes.io/class",
            "topology.kubernetes.io/zone",
            "notkubernetes.io/a",
        ] {
            assert!(NodeLabel::parse(right).is_ok(), "{right}");
        }
        for wrong in
            ["-a", "node-role.kubernetes.io/worker", "kubernetes.io/hostname", "x.k8s.io/a", "os.ballast.dev/version"]
        {
            assert!(NodeLabel::parse(wrong).is_err(), "{wrong}");
        }
        assert!(LabelValue::parse("").is_ok());
        assert!(LabelValue::parse(&"a".repeat(64)).is_err());
        for right in ["gpu=true:NoSchedule", "example.com/gpu:NoExecute", "a:PreferNoSchedule"] {
            assert_eq!(Taint::parse(right).unwrap().to_string(), right);
        }
        for wrong in ["", "gpu", "gpu:Never", "=x:NoSchedule", "gpu=a b:NoSchedule"] {
            assert!(Taint::parse(wrong).is_err(), "{wrong}");
        }
    }
}
