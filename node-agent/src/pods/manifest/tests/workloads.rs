//! Kinds that make pods, and what pods are called.

use super::*;

fn workload(kind: &str, version: &str, spec: &str) -> Read {
    let text = format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\nspec:\n  {spec}\n  template:\n    metadata: \
         {{labels: {{app: web}}}}\n    spec: {{restartPolicy: Always, containers: [{{name: c, image: x}}]}}\n"
    );
    let text = if kind == "Job" { text.replace("restartPolicy: Always", "restartPolicy: Never") } else { text };
    read("f.yaml", &text)
}

#[test]
fn one_replica_is_the_pod() {
    for (kind, version, spec, name) in [
        ("Deployment", "apps/v1", "replicas: 1", "web"),
        ("Deployment", "apps/v1", "selector: {}", "web"),
        ("DaemonSet", "apps/v1", "updateStrategy: {type: OnDelete}", "web"),
        ("ReplicaSet", "apps/v1", "minReadySeconds: 1", "web"),
        ("StatefulSet", "apps/v1", "serviceName: web", "web-0"),
        ("Job", "batch/v1", "backoffLimit: 4", "web"),
    ] {
        let found = workload(kind, version, spec);
        assert_eq!(found.problems, [], "{kind}");
        let pod = &found.pods[0];
        assert_eq!(pod.spec.key.to_string(), format!("shop/{name}"), "{kind}");
        assert_eq!(pod.spec.labels["app"], "web");
        let is_reported = |note: &String| note.starts_with(&format!("2: kind: of this {kind}"));
        assert!(pod.notes.iter().any(is_reported), "{:?}", pod.notes);
    }
}

#[test]
fn no_replica_is_no_pod_and_two_are_refused() {
    for (kind, version, spec) in [
        ("Deployment", "apps/v1", "replicas: 0"),
        ("Job", "batch/v1", "suspend: true"),
        ("StatefulSet", "apps/v1", "replicas: 0"),
    ] {
        let found = workload(kind, version, spec);
        assert_eq!((found.pods.len(), found.problems.len()), (0, 0), "{kind} {spec}");
    }
    for (kind, version, spec, expected) in [
        ("Deployment", "apps/v1", "replicas: 3", "5: spec.replicas: expected 1: a node runs one of each pod"),
        ("Job", "batch/v1", "completions: 2", "5: spec.completions: expected 1: a node runs one of each pod"),
        ("Deployment", "v1", "replicas: 1", "1: apiVersion: expected apps/v1"),
        (
            "StatefulSet",
            "apps/v1",
            "volumeClaimTemplates: []",
            "5: spec.volumeClaimTemplates: needs a Kubernetes API server",
        ),
        ("Deployment", "apps/v1", "colour: red", "5: spec.colour: unknown field, expected one of replicas"),
    ] {
        let found: Vec<String> = workload(kind, version, spec).problems.iter().map(ToString::to_string).collect();
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
    let job = workload("Deployment", "apps/v1", "replicas: 1").pods[0].text.replace("Deployment", "Job");
    let found = problems(&job.replace("apps/", "batch/").replace("replicas: 1", "completions: 1"));
    assert_eq!(found, ["8: spec.template.spec.restartPolicy: expected OnFailure or Never in a Job"]);
}

#[test]
fn what_only_an_api_server_reads_keeps_no_pod_from_running() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: x}]}\n";
    let text = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: a}}\n---\n{pod}---\napiVersion: v1\nkind: Service\n"
    );
    let found = read("f.yaml", &text);
    assert_eq!((found.pods.len(), found.problems.len(), found.notes.len()), (1, 1, 1));
    assert!(
        found.notes[0].to_string().starts_with("2: kind: this Namespace has no effect: only a Kubernetes API server")
    );
    assert!(found.problems[0].to_string().contains("found Service, which needs a Kubernetes API server"));
}

#[test]
fn a_pod_has_names_servers_and_ports_of_its_own() {
    let spec = |fields: &str, ports: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{{fields} containers: [{{name: c, image: x, ports: [{ports}]}}]}}}}"
        )
    };
    let text = spec(
        "hostname: web, subdomain: shop, setHostnameAsFQDN: true, hostAliases: [{ip: 192.0.2.1, hostnames: [a, b.example]}], dnsPolicy: \
         None, dnsConfig: {nameservers: [192.0.2.53], searches: [example], options: [{name: ndots, value: '2'}, {name: edns0}]},",
        "{name: http, containerPort: 8080, hostPort: 80}, {containerPort: 53, protocol: UDP}",
    );
    let found = parse("f.yaml", &text).unwrap().spec;
    assert_eq!(
        (found.hostname.as_deref(), found.subdomain.as_deref(), found.has_full_name),
        (Some("web"), Some("shop"), true)
    );
    assert_eq!(found.host_aliases[0].names, ["a", "b.example"]);
    assert_eq!((found.dns.servers.as_slice(), found.dns.is_alone), (&["192.0.2.53".to_owned()][..], true));
    assert_eq!(found.dns.options, ["ndots:2", "edns0"]);
    let container = &found.containers[0];
    assert_eq!((container.ports.len(), container.host_ports.len(), container.host_ports[0].host), (2, 1, Some(80)));
    // A port that only informs makes no other pod.
    let uid = |ports: &str| parse("f.yaml", &spec("", ports)).unwrap().uid;
    assert_eq!(uid(""), uid("{containerPort: 80, name: http}"));
    assert_ne!(uid(""), uid("{containerPort: 80, hostPort: 80}"));
    let on_the_host = |ports: &str| parse("f.yaml", &spec("hostNetwork: true,", ports)).unwrap().spec;
    assert_eq!(on_the_host("{containerPort: 80, hostPort: 80}").containers[0].host_ports, []);
    let mapped = parse("f.yaml", &spec("", "{containerPort: 1, hostPort: 80}")).unwrap().spec;
    let listens = on_the_host("{containerPort: 80, hostPort: 80}");
    assert!(listens.names_a_port_of(&mapped) && !listens.is_in_the_way_of(&mapped) && mapped.is_in_the_way_of(&mapped));
    // What only informs is noted.
    for (fields, ports, expected) in [
        (
            "hostNetwork: true,",
            "{containerPort: 80, hostPort: 80}, {containerPort: 80, hostPort: 80}",
            "is given twice",
        ),
        ("hostNetwork: true,", "{containerPort: 80, hostIP: node}", "hostIP: expected an IP address"),
        ("", "{containerPort: 80, hostIP: node}", "hostIP: expected an IP address"),
        ("", "{name: http}", "the field `containerPort` is missing"),
    ] {
        let notes = parse("f.yaml", &spec(fields, ports)).unwrap().notes;
        assert!(notes.len() == 1 && notes[0].contains(expected), "{ports}: {notes:?}");
    }
    for (fields, ports, expected) in [
        ("dnsPolicy: None,", "", "None needs nameservers in dnsConfig"),
        ("dnsConfig: {nameservers: [a]},", "", "expected an IP address"),
        ("hostAliases: [{ip: 1, hostnames: [a]}],", "", "expected an IP address"),
        ("hostname: A,", "", "expected small letters"),
        ("", "{hostPort: 80}", "the field `containerPort` is missing"),
        ("hostNetwork: true,", "{containerPort: 80, hostPort: 81}", "has to be containerPort with hostNetwork: true"),
        (
            "",
            "{containerPort: 1, hostPort: 80}, {containerPort: 2, hostPort: 80}",
            "this port of the host is given twice",
        ),
        ("securityContext: {sysctls: [{name: vm.swappiness, value: '1'}]},", "", "it belongs into the settings"),
        (
            "hostNetwork: true, securityContext: {sysctls: [{name: net.core.somaxconn, value: '1'}]},",
            "",
            "shares it with the node",
        ),
    ] {
        let found = problems(&spec(fields, ports));
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
    }
}
