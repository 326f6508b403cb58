//! Manifests good and bad, by table.

use std::time::Duration;

use super::*;
use crate::pods::model::{HostPathKind, MemoryDir, Mount, PullPolicy, RestartPolicy, Volume};

const FULL: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: {app: web}
spec:
  hostNetwork: true
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 5
  volumes:
  - name: data
    hostPath: {path: /var/data, type: DirectoryOrCreate}
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 16Mi}
  containers:
  - name: main
    image: busybox
    command: [sh, -c]
    args: ["echo $(WHO)"]
    env:
    - {name: WHO, value: world}
    workingDir: /srv
    volumeMounts:
    - {name: data, mountPath: /data, readOnly: true}
    securityContext: {runAsUser: 1000, readOnlyRootFilesystem: true, capabilities: {add: [NET_RAW]}}
    resources: {limits: {cpu: 2, memory: 64Mi}}
"#;

#[test]
fn a_full_manifest_is_understood() {
    let pod = parse("web.yaml", FULL).unwrap();
    let spec = pod.spec;
    assert_eq!((spec.key.to_string().as_str(), spec.host_network), ("shop/web", true));
    assert_eq!((spec.restart_policy, spec.grace), (RestartPolicy::OnFailure, Duration::from_secs(5)));
    assert_eq!(
        spec.volumes["data"],
        Volume::HostPath { path: "/var/data".to_owned(), kind: HostPathKind::DirectoryOrCreate }
    );
    let memory = Some(MemoryDir { size_bytes: Some(16 << 20) });
    assert_eq!(spec.volumes["tmp"], Volume::EmptyDir { memory, limit_bytes: None });
    let container = &spec.containers[0];
    assert_eq!(container.image.to_string(), "docker.io/library/busybox:latest");
    assert_eq!(container.pull, PullPolicy::Always);
    assert_eq!(container.args, ["echo world"]);
    let mount = Mount { volume: "data".to_owned(), path: "/data".to_owned(), read_only: true };
    assert_eq!(container.mounts, [mount]);
    assert_eq!((container.run_as_user, container.read_only_root), (Some(1000), true));
    assert_eq!(container.capabilities.add, ["NET_RAW"]);
    assert_eq!(container.resources.cpu_limit_milli, Some(2000));
}

#[test]
fn json_is_a_manifest_too() {
    let text = "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"},\n\t\"spec\": \
                {\"containers\": [{\"name\": \"a\", \"image\": \"localhost/a:1\"}]}}";
    let spec = parse("a.json", text).unwrap().spec;
    assert_eq!((spec.key.to_string().as_str(), spec.restart_policy), ("a", RestartPolicy::Always));
}

#[test]
fn the_uid_follows_the_meaning() {
    let uid = |text: &str| parse("web.yaml", text).unwrap().uid;
    let plain = uid(FULL);
    assert!(is_own_uid(&plain), "{plain}");
    // A kubelet's: of the API server, and of a static pod.
    for other in ["7d0c2b1e-9f5b-4c55-9a53-3f0f1c8b8a11", "0123456789abcdef0123456789abcdef", "", "-8-8-"] {
        assert!(!is_own_uid(other), "{other}");
    }
    assert_eq!(plain, uid(&format!("# a comment\n{FULL}")));
    assert_ne!(plain, uid(&FULL.replace("world", "moon")));
}

#[test]
fn a_bad_manifest_is_refused_with_line_and_key() {
    let table = [
        ("    image: busybox", "    imagee: busybox", "19: spec.containers[0].imagee: unknown field, expected one of "),
        ("  hostNetwork: true", "  hostPID: true", "9: spec.hostPID: is not supported on this node, expected one of "),
        ("  hostNetwork: true", "  hostNetwork: maybe", "9: spec.hostNetwork: expected true or false"),
        ("    image: busybox\n", "", " spec.containers[0]: the field `image` is missing"),
        ("kind: Pod", "kind: Deployment", "3: kind: expected Pod"),
        ("apiVersion: v1", "apiVersion: v2", "2: apiVersion: expected v1"),
        ("name: web\n", "name: Web\n", "5: metadata.name: expected small letters, digits and hyphens (RFC 1123)"),
        ("OnFailure", "Sometimes", "10: spec.restartPolicy: `Sometimes` is unknown, expected one of Always, OnFailure"),
        ("path: /var/data", "path: data", "14: spec.volumes[0].hostPath.path: expected an absolute path without `..`"),
        ("path: /var/data", "path: /a/../b", "14: spec.volumes[0].hostPath.path: expected an absolute path without"),
        ("hostPath: {", "secret: {", "14: spec.volumes[0].secret: is not supported on this node, expected one of name"),
        ("name: tmp", "name: data", "15: spec.volumes[1].name: this name is given to two volumes"),
        ("16Mi", "lots", "16: spec.volumes[1].emptyDir.sizeLimit: expected an amount such as 500m or 64Mi"),
        ("{name: data, mount", "{name: dat, mount", "26: spec.containers[0].volumeMounts[0].name: expected one of the"),
        ("mountPath: /data", "mountPath: data", "26: spec.containers[0].volumeMounts[0].mountPath: expected an absolu"),
        ("command: [sh, -c]", "command: sh", "20: spec.containers[0].command: expected a list"),
        ("value: world", "valueFrom: {}", "23: spec.containers[0].env[0].valueFrom: is not supported on this node, "),
        ("value: world", "value: [a]", "23: spec.containers[0].env[0].value: expected a text"),
        ("cpu: 2", "cpu: two", "28: spec.containers[0].resources.limits.cpu: expected an amount such as 500m or 64Mi"),
        ("runAsUser: 1000", "runAsUser: root", "27: spec.containers[0].securityContext.runAsUser: "),
        (
            "NET_RAW",
            "CAP_NET_RAW",
            "27: spec.containers[0].securityContext.capabilities.add[0]: expected a capability such",
        ),
        (
            "NET_RAW",
            "net_raw",
            "27: spec.containers[0].securityContext.capabilities.add[0]: expected a capability such as",
        ),
        ("  labels: {app: web}", "  labels: {app: [web}", "7: metadata.labels.app: expected a text"),
    ];
    for (good, bad, expected) in table {
        assert!(FULL.contains(good), "{good}");
        let error = parse("web.yaml", &FULL.replacen(good, bad, 1)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{bad}\n{error}\n{expected}");
    }
    let twice = FULL.replace("    image: busybox", "    image: busybox\n    image: a");
    let error = parse("web.yaml", &twice).unwrap_err().to_string();
    assert_eq!(error, "20: spec.containers[0]: the key `image` is given twice");
    let empty = parse("web.yaml", "").unwrap_err().to_string();
    assert_eq!(empty, "1: the file is empty or ends too early");
}
