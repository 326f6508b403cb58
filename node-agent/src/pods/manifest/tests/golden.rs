//! Manifests that people have.

use super::*;

/// What people have: made after public reports.
pub(super) const CASES: [(&str, &str, &[&str]); 10] = [
    ("p01-kubectl-run", include_str!("../../../../tests/manifests/p01-kubectl-run.yaml"), &[]),
    ("p02-static-web", include_str!("../../../../tests/manifests/p02-static-web.yaml"), &[]),
    ("p03-node-exporter", include_str!("../../../../tests/manifests/p03-node-exporter.yaml"), &[]),
    ("p05-etcd", include_str!("../../../../tests/manifests/p05-etcd.yaml"), &[]),
    (
        "p06-fluent-bit",
        include_str!("../../../../tests/manifests/p06-fluent-bit.yaml"),
        &["spec.serviceAccountName", "spec.containers[0].envFrom[0].secretRef.name", "spec.volumes[0].configMap.name"],
    ),
    ("p07-app", include_str!("../../../../tests/manifests/p07-app.yaml"), &[]),
    ("p10-docstart-end", include_str!("../../../../tests/manifests/p10-docstart-end.yaml"), &[]),
    ("p11-two-docs", include_str!("../../../../tests/manifests/p11-two-docs.yaml"), &[]),
    ("p14-kubectl-get", include_str!("../../../../tests/manifests/p14-kubectl-get.yaml"), &[]),
    ("p18-digest", include_str!("../../../../tests/manifests/p18-digest.yaml"), &[]),
];

#[test]
fn manifests_that_people_have_are_taken_or_refused_for_what_is_missing_alone() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    for (name, text, expected) in CASES {
        let read = read(name, &text.replace("DIGEST", &digest));
        let refused: Vec<&str> = read.problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(refused, expected, "{name}: {:#?}", read.problems);
        assert_eq!(read.pods.len(), usize::from(expected.is_empty()), "{name}");
    }
    let read = read("p14", CASES[8].1);
    let notes = &read.pods[0].notes;
    for key in ["metadata.creationTimestamp", "metadata.uid", "spec.enableServiceLinks", "spec.schedulerName"] {
        assert!(
            notes.iter().any(|note| note.ends_with(&format!(": {key}: without effect on this node"))),
            "{key}: {notes:?}"
        );
    }
}

macro_rules! upstream {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../tests/manifests/upstream/", $name, ".yaml")))
    };
}

/// What a node that has no API server refuses of the kinds of manifests that people have: by name, what is missing, and nothing else.
pub(super) const UPSTREAM: [((&str, &str), &[&str]); 14] = [
    (upstream!("nginx"), &[]),
    (upstream!("node-exporter"), &[]),
    (upstream!("etcd"), &[]),
    (upstream!("kube-apiserver"), &[]),
    (upstream!("coredns"), &["serviceAccountName"]),
    (upstream!("kube-proxy"), &["serviceAccountName"]),
    (upstream!("flannel"), &["serviceAccountName"]),
    (upstream!("cilium"), &["serviceAccountName"]),
    (upstream!("fluent-bit"), &[]),
    (upstream!("redis"), &[]),
    (upstream!("job"), &[]),
    (upstream!("sidecar"), &[]),
    (upstream!("csi-node"), &["serviceAccountName"]),
    (upstream!("kubectl-run"), &[]),
];

#[test]
fn of_the_manifests_of_upstream_only_what_needs_an_api_server_is_refused() {
    for ((name, text), expected) in UPSTREAM {
        let read = read(name, text);
        let field = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let mut refused: Vec<String> = read.problems.iter().map(|problem| field(&problem.key)).collect();
        refused.sort();
        assert_eq!(refused, expected, "{name}: {:#?}", read.problems);
        assert_eq!(read.pods.len(), usize::from(expected.is_empty()), "{name}");
        assert!(read.missing.is_empty() || name == "cilium", "{name}: {:?}", read.missing);
    }
}

#[test]
fn no_text_is_too_much() {
    let texts = CASES.into_iter().map(|(_, text, _)| text);
    for text in texts.chain(UPSTREAM.into_iter().map(|((_, text), _)| text).filter(|text| text.len() < 1200)) {
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            let without: Vec<&str> =
                lines.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, line)| *line).collect();
            read("f.yaml", &without.join("\n"));
            read("f.yaml", &lines[..index].join("\n"));
            read("f.yaml", &lines[index..].join("\n"));
        }
        for (end, _) in text.char_indices() {
            read("f.yaml", &text[..end]);
        }
    }
}
