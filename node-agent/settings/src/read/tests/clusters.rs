//! Clusters, and the kubelet.

use super::{reported, settings};
use crate::model::ClusterRole;

/// What is said of `keys` of the cluster a, and whether there is such a cluster.
fn cluster(keys: &str) -> (Vec<String>, bool) {
    let text = format!("[[cluster]]\nname = \"a\"\n{keys}");
    (reported(&text), !settings("f", text.as_bytes()).0.clusters.is_empty())
}

#[test]
fn a_cluster_is_never_joined_otherwise_than_was_wanted() {
    const SERVERS: &str = "servers = [\"https://a.example\"]\n";
    let refused = [
        ("", "f:1:1: cluster.a: names no server that fits; it does not apply, expected servers, or a kubeconfig"),
        ("servers = [\"http://a\"]", "f:3:12: cluster.a.servers: \"http://a\" is not a URL that begins with https://"),
        ("SERVERSca = \"x\"", "f:4:6: cluster.a.ca: has no certificate in it"),
        ("SERVERSca_hash = \"sha1:ab\"", "f:4:11: cluster.a.ca_hash: \"sha1:ab\" is not such a hash"),
        (
            "SERVERSrole = \"report_only\"",
            "f:4:8: cluster.a.role: is \"report_only\", expected \"node\", \"kubelet\" or \"report-only\"",
        ),
        ("SERVERSpool = \"A\"", "f:4:8: cluster.a.pool: \"A\" is not such a word"),
        ("SERVERSnode_name = \"A\"", "f:4:13: cluster.a.node_name: \"A\" is not a node's name"),
        ("SERVERStoken = \"a\"\nclient_key = \"b\"", "f:5:14: cluster.a.client_key: has no private key in it"),
        (
            "SERVERStoken = \"a\"\nkubeconfig = \"clusters: [{cluster: {server: https://a}}]\"",
            "f:4:9: cluster.a: has credentials that do not belong together",
        ),
    ];
    for (keys, expected) in refused {
        let (reported, is_there) = cluster(&keys.replace("SERVERS", SERVERS));
        assert!(reported.iter().any(|reported| reported.starts_with(expected)) && !is_there, "{keys}: {reported:#?}");
    }
    let only_named = [
        (
            "SERVERS[cluster.node_labels]\nrack = 7",
            "f:5:8: cluster.a.node_labels.rack: is a number, expected a label's value",
        ),
        (
            "SERVERS[cluster.node_labels]\n\"kubernetes.io/x\" = \"7\"",
            "f:5:1: cluster.a.node_labels.\"kubernetes.io/x\": \"kubernetes.io/x\" is not a node's own to give",
        ),
        ("SERVERSnode_taints = [\"a\"]", "f:4:16: cluster.a.node_taints: \"a\" is not a taint"),
    ];
    for (keys, expected) in only_named {
        let (reported, is_there) = cluster(&keys.replace("SERVERS", SERVERS));
        assert!(reported.iter().any(|reported| reported.starts_with(expected)) && is_there, "{keys}: {reported:#?}");
    }
    assert_eq!(cluster(SERVERS), (vec![], true));
}

#[test]
fn there_are_eight_clusters_at_most() {
    let text: String =
        (0..9).map(|index| format!("[[cluster]]\nname = \"c{index}\"\nservers = [\"https://a.example\"]\n")).collect();
    assert_eq!(reported(&text), ["f:25:1: cluster.c8: is one cluster too many; it does not apply, expected at most 8"]);
    assert_eq!(settings("f", text.as_bytes()).0.clusters.len(), 8);
}

#[test]
fn one_cluster_has_the_nodes_pods() {
    let cluster =
        |name: &str| format!("[[cluster]]\nname = \"{name}\"\nservers = [\"https://a.example\"]\nrole = \"kubelet\"\n");
    let (found, problems) = settings("f", format!("{}{}", cluster("one"), cluster("two")).as_bytes());
    assert_eq!((found.clusters.len(), found.clusters[0].role), (1, ClusterRole::Kubelet));
    assert!(problems[0].to_string().contains("cluster.two: is a second cluster with the role kubelet"), "{problems:?}");
}

#[test]
fn what_is_peculiar_to_a_kubelet_is_read() {
    let (found, problems) = settings(
        "f",
        b"[kubelet]\nimage = \"r.example/kubelet:1.33\"\ncluster_dns = \"10.96.0.10\"\nconfig = \"maxPods: 50\"\nnode_ip = \"x\"\n\
          reserved = { cpu = \"100m\", memory = \"lots\" }\n",
    );
    let kubelet = &found.kubelet;
    assert_eq!((kubelet.image.as_deref(), kubelet.cluster_dns.len()), (Some("r.example/kubelet:1.33"), 1));
    assert_eq!((kubelet.config.keys().len(), kubelet.cluster_domain.as_str()), (1, "cluster.local"));
    assert_eq!(kubelet.reserved.cpu.as_ref().map(|cpu| cpu.as_str()), Some("100m"));
    let keys: Vec<Option<&str>> = problems.iter().map(|problem| problem.key.as_deref()).collect();
    assert_eq!(keys, [Some("kubelet.node_ip"), Some("kubelet.reserved.memory")]);
    let (_, problems) = settings("f", b"[kubelet]\nconfig = \"staticPodPath: /x\"\n");
    assert!(problems[0].to_string().contains("has staticPodPath in it, which the node writes itself"), "{problems:?}");
}
