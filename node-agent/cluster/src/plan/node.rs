//! The desired Node: what the kubelet would report about this machine.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo, Taint as WireTaint,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use serde_json::{Value, json};

use super::label;
use crate::model::{Config, Facts};

/// The label with the version of the OS.
pub const VERSION_LABEL: &str = "os.ballast.dev/version";
/// The label with the first digits of the release's digest.
pub const RELEASE_LABEL: &str = "os.ballast.dev/release";
/// So many digits distinguish releases and can be read.
const RELEASE_DIGITS: usize = 12;
/// The annotation of a Node that says which labels this node set last.
const LABELS_ANNOTATION: &str = "os.ballast.dev/labels";
/// The taint of a Node on which no kubelet runs: the scheduler binds no pods to it.
pub const NO_KUBELET_TAINT: &str = "os.ballast.dev/no-kubelet";
/// What the OS keeps of the memory: the kubelet's own default threshold for evictions.
const RESERVED_MEMORY: u64 = 100 << 20;
/// What the OS keeps of /var, as a part of it: the kubelet's own default.
const RESERVED_STORAGE: u64 = 10;
/// The finest unit in which the kubelet reports memory.
const KIB: u64 = 1024;

/// Hostnames that every machine has to which nobody gave one: as names of Nodes, all such machines would be one.
const SHARED_NAMES: [&str; 3] = ["ballast", "localhost", "localhost.localdomain"];
/// So many digits of the machine id distinguish the nodes of a fleet, and can be read.
const MACHINE_ID_DIGITS: usize = 12;

/// The name of the Node: of the settings, else the hostname, in small letters as the API wants it. A hostname that many machines have is made
/// unique by the machine id. Empty: nothing is known yet.
pub fn name(config: &Config, facts: &Facts) -> String {
    if let Some(name) = &config.node_name {
        return name.to_ascii_lowercase();
    }
    if !has_shared_name(config, facts) {
        return facts.hostname.to_ascii_lowercase();
    }
    let digits: String = facts.machine_id.chars().take(MACHINE_ID_DIGITS).collect();
    let first = facts.hostname.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if digits.is_empty() { digits } else { format!("{first}-{digits}") }
}

/// Whether the name would be one that many machines have.
pub fn has_shared_name(config: &Config, facts: &Facts) -> bool {
    config.node_name.is_none() && SHARED_NAMES.iter().any(|shared| facts.hostname.eq_ignore_ascii_case(shared))
}

/// Whether `node` keeps pods away that nobody would start. A node may say so only when it makes its Node (NodeRestriction).
pub fn is_tainted(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.into_iter().any(|taint| taint.key == NO_KUBELET_TAINT)
}

/// Whether `found` was reported by another machine than the one that `wanted` is of.
pub fn is_anothers(found: &Node, wanted: &Node) -> bool {
    let machine_id = |node: &Node| {
        let id = node.status.as_ref()?.node_info.as_ref()?.machine_id.clone();
        Some(id).filter(|id| !id.is_empty())
    };
    machine_id(found).zip(machine_id(wanted)).is_some_and(|(found, wanted)| found != wanted)
}

/// The Node that is made when there is none of this name.
pub fn node(config: &Config, facts: &Facts, conditions: Vec<NodeCondition>) -> Node {
    let taint = |taint: &ballast_settings::values::Taint| WireTaint {
        key: taint.key.to_string(),
        value: Some(taint.value.to_string()).filter(|value| !value.is_empty()),
        effect: effect(taint).to_owned(),
        time_added: None,
    };
    let labels = labels(config, facts);
    let mut taints: Vec<WireTaint> = config.node_taints.iter().map(taint).collect();
    if !facts.kubelet {
        taints.push(WireTaint {
            key: NO_KUBELET_TAINT.to_owned(),
            effect: "NoSchedule".to_owned(),
            ..WireTaint::default()
        });
    }
    Node {
        metadata: ObjectMeta {
            name: Some(name(config, facts)),
            annotations: Some(BTreeMap::from([(LABELS_ANNOTATION.to_owned(), keys(&labels))])),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec { taints: Some(taints).filter(|taints| !taints.is_empty()), ..NodeSpec::default() }),
        status: Some(status(config, facts, conditions)),
    }
}

fn effect(taint: &ballast_settings::values::Taint) -> &'static str {
    use ballast_settings::values::TaintEffect;
    match taint.effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    }
}

/// The labels that this node sets: the well-known ones, ours, and those of the settings, which cannot hide the former. Only those whose value
/// is not empty.
pub fn labels(config: &Config, facts: &Facts) -> BTreeMap<String, String> {
    let digest = facts.os.booted.digest.trim_start_matches("sha256:");
    let release: String = digest.chars().take(RELEASE_DIGITS).collect();
    let ours = [
        ("kubernetes.io/hostname", label::value(&name(config, facts))),
        ("kubernetes.io/os", "linux".to_owned()),
        ("kubernetes.io/arch", label::value(&facts.architecture)),
        // The kubelet still has them, and the cluster's controllers would add them, by a write for each node that joins.
        ("beta.kubernetes.io/os", "linux".to_owned()),
        ("beta.kubernetes.io/arch", label::value(&facts.architecture)),
        (VERSION_LABEL, label::value(&facts.os_version)),
        (RELEASE_LABEL, label::value(&release)),
    ];
    let theirs = config.node_labels.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let ours = ours.into_iter().filter(|(_, value)| !value.is_empty());
    theirs.chain(ours.map(|(key, value)| (key.to_owned(), value))).collect()
}

/// The labels that a node set, as [`LABELS_ANNOTATION`] has them.
fn keys(labels: &BTreeMap<String, String>) -> String {
    labels.keys().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// The merge patch that makes a Node's labels right. Of those that its annotation says this node set last, what is not said any more
/// goes; labels of others stay. None: they are right.
pub fn labels_patch(found: &Node, wanted: &BTreeMap<String, String>) -> Option<Value> {
    let annotations = found.metadata.annotations.as_ref();
    let (set, wanted_set) = (annotations.and_then(|all| all.get(LABELS_ANNOTATION)), keys(wanted));
    let set_before = set.iter().flat_map(|set| set.split(','));
    let there = found.metadata.labels.as_ref();
    let has = |key: &str| there.and_then(|labels| labels.get(key));
    let wrong =
        wanted.iter().filter(|(key, value)| has(key) != Some(value)).map(|(key, value)| (key.clone(), json!(value)));
    let gone = set_before.filter(|key| !wanted.contains_key(*key) && has(key).is_some());
    let patch: serde_json::Map<String, Value> = wrong.chain(gone.map(|key| (key.to_owned(), Value::Null))).collect();
    let is_right = patch.is_empty() && set == Some(&wanted_set);
    (!is_right).then(|| json!({ "metadata": { "labels": patch, "annotations": { LABELS_ANNOTATION: wanted_set } } }))
}

/// The Node's status: as a strategic merge patch of the status subresource it leaves conditions of others as they are.
pub fn status(config: &Config, facts: &Facts, conditions: Vec<NodeCondition>) -> NodeStatus {
    let capacity = &facts.capacity;
    // Also what tolerates every taint, as DaemonSets do, does not fit where there is room for no pod.
    let pods = if facts.kubelet { capacity.pods } else { 0 };
    let resources = |memory: u64, storage: u64, pods: u32| {
        BTreeMap::from([
            ("cpu".to_owned(), Quantity(capacity.cpus.to_string())),
            ("memory".to_owned(), Quantity(format!("{}Ki", memory / KIB))),
            ("ephemeral-storage".to_owned(), Quantity(format!("{}Ki", storage / KIB))),
            ("pods".to_owned(), Quantity(pods.to_string())),
        ])
    };
    let memory = capacity.memory_bytes.saturating_sub(RESERVED_MEMORY);
    let storage = capacity.storage_bytes - capacity.storage_bytes / RESERVED_STORAGE;
    let address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    let mut addresses: Vec<NodeAddress> =
        facts.addresses.iter().map(|ip| address("InternalIP", ip.to_string())).collect();
    addresses.push(address("Hostname", name(config, facts)));
    NodeStatus {
        addresses: Some(addresses),
        capacity: Some(resources(capacity.memory_bytes, capacity.storage_bytes, capacity.pods)),
        allocatable: Some(resources(memory, storage, pods)),
        conditions: Some(conditions),
        daemon_endpoints: Some(NodeDaemonEndpoints::default()),
        node_info: Some(NodeSystemInfo {
            architecture: facts.architecture.clone(),
            boot_id: facts.boot_id.clone(),
            container_runtime_version: facts.runtime_version.clone(),
            kernel_version: facts.kernel_version.clone(),
            // Required; the agent of this release stands in for both.
            kube_proxy_version: String::new(),
            kubelet_version: format!("ballast-{}", label::value(&facts.os_version)),
            machine_id: facts.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: facts.os_name.clone(),
            system_uuid: facts.system_uuid.clone(),
        }),
        ..NodeStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use ballast_settings::values::{LabelKey, LabelValue, Taint, Text};

    use super::*;
    use crate::model::{Authority, Capacity, Credentials, Os, Release, Role, Secret};

    fn config() -> Config {
        let label = |key: &str, value: &str| (LabelKey::parse(key).unwrap(), LabelValue::parse(value).unwrap());
        Config {
            name: "prod".to_owned(),
            servers: Vec::new(),
            authority: Authority::Image,
            credentials: Credentials::Token(Secret::new("")),
            role: Role::Node,
            pool: "default".to_owned(),
            node_name: None,
            node_labels: BTreeMap::from([label("example.com/rack", "r7"), label("kubernetes.io/os", "plan9")]),
            node_taints: vec![Taint::parse("example.com/gpu=true:NoSchedule").unwrap()],
        }
    }

    fn facts() -> Facts {
        Facts {
            hostname: "Node-1".to_owned(),
            architecture: "amd64".to_owned(),
            os_version: "20261121.1".to_owned(),
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            capacity: Capacity {
                cpus: 2,
                memory_bytes: 1 << 30,
                storage_bytes: 10 << 30,
                pids_max: 1 << 22,
                pods: 110,
            },
            os: Os {
                booted: Release { digest: format!("sha256:{}", "0a".repeat(32)), ..Release::default() },
                ..Os::default()
            },
            ..Facts::default()
        }
    }

    #[test]
    fn the_node_is_what_a_kubelet_would_say() {
        let node = node(&config(), &facts(), Vec::new());
        assert_eq!(node.metadata.name.as_deref(), Some("node-1"));
        let labels = node.metadata.labels.unwrap();
        for (key, value) in [
            ("kubernetes.io/hostname", "node-1"),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            ("beta.kubernetes.io/os", "linux"),
            ("beta.kubernetes.io/arch", "amd64"),
            (VERSION_LABEL, "20261121.1"),
            (RELEASE_LABEL, "0a0a0a0a0a0a"),
            ("example.com/rack", "r7"),
        ] {
            assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key}");
        }
        let taints = node.spec.unwrap().taints.unwrap();
        let shown = |taint: &WireTaint| {
            format!("{}={}:{}", taint.key, taint.value.as_deref().unwrap_or_default(), taint.effect)
        };
        let taints: Vec<String> = taints.iter().map(shown).collect();
        assert_eq!(taints, ["example.com/gpu=true:NoSchedule", "os.ballast.dev/no-kubelet=:NoSchedule"]);
        let status = node.status.unwrap();
        let quantity = |of: &Option<BTreeMap<String, Quantity>>, what: &str| of.as_ref().unwrap()[what].0.clone();
        for (what, capacity, allocatable) in [
            ("cpu", "2", "2"),
            ("memory", "1048576Ki", "946176Ki"),
            ("ephemeral-storage", "10485760Ki", "9437184Ki"),
            ("pods", "110", "0"),
        ] {
            assert_eq!(
                (quantity(&status.capacity, what), quantity(&status.allocatable, what)),
                (capacity.to_owned(), allocatable.to_owned())
            );
        }
        let addresses: Vec<String> = status.addresses.unwrap().into_iter().map(|one| one.address).collect();
        assert_eq!(addresses, ["192.0.2.1", "2001:db8::1", "node-1"]);
    }

    #[test]
    fn a_node_with_a_kubelet_offers_its_pods() {
        let facts = Facts { kubelet: true, ..facts() };
        let node = node(&config(), &facts, Vec::new());
        assert!(!is_tainted(&node));
        assert_eq!(node.status.unwrap().allocatable.unwrap()["pods"].0, "110");
        assert!(is_tainted(&super::node(&config(), &self::facts(), Vec::new())));
    }

    #[test]
    fn a_name_that_many_machines_have_gets_the_machine_id() {
        let name = |hostname: &str, machine_id: &str, node_name: Option<&str>| {
            let config = Config { node_name: node_name.map(str::to_owned), ..config() };
            let (hostname, machine_id) = (hostname.to_owned(), machine_id.to_owned());
            name(&config, &Facts { hostname, machine_id, ..facts() })
        };
        let id = "0123456789abcdef0123456789abcdef";
        for (hostname, expected) in [
            ("ballast", "ballast-0123456789ab"),
            ("localhost", "localhost-0123456789ab"),
            ("localhost.localdomain", "localhost-0123456789ab"),
            ("Ballast", "ballast-0123456789ab"),
            ("ballast-7", "ballast-7"),
            ("ballast.example.com", "ballast.example.com"),
            ("", ""),
        ] {
            assert_eq!(name(hostname, id, None), expected, "{hostname}");
        }
        assert_eq!(name("ballast", "", None), "", "it waits for its machine id");
        assert_eq!(name("ballast", id, Some("ballast")), "ballast", "somebody named this one");
    }

    #[test]
    fn labels_of_others_stay_and_ours_go_when_they_are_not_said_any_more() {
        let wanted = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let found = |labels: &[(&str, &str)]| Node {
            metadata: ObjectMeta {
                annotations: Some(BTreeMap::from([(LABELS_ANNOTATION.to_owned(), "a,b".to_owned())])),
                labels: Some(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
                ..ObjectMeta::default()
            },
            ..Node::default()
        };
        let patch = |found: &Node| {
            let patch = labels_patch(found, &wanted)?;
            assert_eq!(patch["metadata"]["annotations"], json!({ LABELS_ANNOTATION: "a" }));
            Some(patch["metadata"]["labels"].to_string())
        };
        let mut right = found(&[("a", "1"), ("theirs", "x")]);
        right.metadata.annotations.as_mut().unwrap().insert(LABELS_ANNOTATION.to_owned(), "a".to_owned());
        assert_eq!(patch(&right), None);
        assert_eq!(patch(&found(&[("a", "2")])).unwrap(), r#"{"a":"1"}"#);
        assert_eq!(patch(&found(&[("a", "1"), ("b", "2")])).unwrap(), r#"{"b":null}"#);
        assert_eq!(patch(&Node::default()).unwrap(), r#"{"a":"1"}"#);
    }
}
