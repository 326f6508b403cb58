//! Manifests good and bad, by table.

use std::time::Duration;

use super::*;
use crate::pods::model::{HostPathKind, MemoryDir, Mount, PullPolicy, RestartPolicy, Seccomp, Volume};

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
    let mount = Mount {
        volume: "data".to_owned(),
        path: "/data".to_owned(),
        read_only: true,
        propagation: None,
        sub_path: None,
    };
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

/// A pod's emptyDirs are found by its uid: an upgrade must not lose them. These are the uids of the first releases.
#[test]
fn the_uid_is_the_same_in_each_release() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    for (image, expected) in [
        ("busybox", "8bcf2789-587f-8bc6-89ad-0a4b8b0c2b30"),
        ("team/app:2", "97809533-0690-8045-82af-b1fff7c65edc"),
        ("localhost/a:1", "b8dfadce-111c-851b-859d-c8f6165b5815"),
        ("quay.io/a@DIGEST", "bc188912-a1a9-8cfb-8769-8be36883dd95"),
        ("quay.io/a:1@DIGEST", "858573e2-75b7-881d-86da-da3a938bf612"),
        ("a:latest@DIGEST", "7b612070-8682-8fe3-8642-d9c770e0043d"),
        ("index.docker.io/library/busybox:1", "775f1e9b-ae0c-89e5-87b9-4e274084c18c"),
        ("index.docker.io/team/app", "a502c621-d120-82b7-8ed0-f8fee7c49033"),
    ] {
        let image = image.replace("DIGEST", &digest);
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{volumes: [{{name: v, emptyDir: {{}}}}], containers: \
             [{{name: c, image: '{image}', volumeMounts: [{{name: v, mountPath: /v}}]}}]}}}}"
        );
        assert_eq!(parse("web.yaml", &text).unwrap().uid, expected, "{image}");
    }
}

#[test]
fn a_bad_manifest_is_refused_with_line_and_key() {
    let table = [
        ("    image: busybox", "    imagee: busybox", "19: spec.containers[0].imagee: unknown field, expected one of "),
        ("  hostNetwork: true", "  hostUsers: false", "9: spec.hostUsers: is not supported on this node"),
        ("  hostNetwork: true", "  hostNetwork: maybe", "9: spec.hostNetwork: expected true or false"),
        ("    image: busybox\n", "", "18: spec.containers[0]: the field `image` is missing"),
        ("kind: Pod", "kind: CronJob", "3: kind: expected Pod, found CronJob: write what stands in its template"),
        ("kind: Pod", "kind: Service", "3: kind: expected Pod, found Service, which needs a Kubernetes API server"),
        ("apiVersion: v1", "apiVersion: v2", "2: apiVersion: expected v1"),
        ("name: web\n", "name: Web\n", "5: metadata.name: expected small letters, digits and hyphens (RFC 1123)"),
        ("OnFailure", "Sometimes", "10: spec.restartPolicy: `Sometimes` is unknown, expected one of Always, OnFailure"),
        ("path: /var/data", "path: data", "14: spec.volumes[0].hostPath.path: expected an absolute path without `..`"),
        ("path: /var/data", "path: /a/../b", "14: spec.volumes[0].hostPath.path: expected an absolute path without"),
        ("hostPath: {", "nfs: {", "14: spec.volumes[0].nfs: is not supported on this node"),
        ("name: tmp", "name: data", "15: spec.volumes[1].name: this name is given to two volumes"),
        ("16Mi", "lots", "16: spec.volumes[1].emptyDir.sizeLimit: expected an amount such as 500m or 64Mi"),
        ("{name: data, mount", "{name: dat, mount", "26: spec.containers[0].volumeMounts[0].name: expected one of the"),
        ("mountPath: /data", "mountPath: data", "26: spec.containers[0].volumeMounts[0].mountPath: expected an absolu"),
        ("command: [sh, -c]", "command: sh", "20: spec.containers[0].command: expected a list"),
        (
            "value: world",
            "valueFrom: {fieldRef: {fieldPath: spec.x}}",
            "23: spec.containers[0].env[0].valueFrom.fieldRef.fieldPa",
        ),
        (
            "value: world",
            "valueFrom: {secretKeyRef: {}}",
            "23: spec.containers[0].env[0].valueFrom.secretKeyRef: the field `name` is missing",
        ),
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
        ("  labels: {app: web}", "  labels: {app: [web]}", "7: metadata.labels.app: expected a text"),
    ];
    for (good, bad, expected) in table {
        assert!(FULL.contains(good), "{good}");
        let found = problems(&FULL.replacen(good, bad, 1));
        assert!(found.iter().any(|found| found.starts_with(expected)), "{bad}\n{found:#?}\n{expected}");
    }
    let twice = FULL.replace("    image: busybox", "    image: busybox\n    image: a");
    let error = parse("web.yaml", &twice).unwrap_err().to_string();
    assert_eq!(error, "20: spec.containers[0]: the key `image` is given twice");
    let empty = parse("web.yaml", "---\n---\n").unwrap_err().to_string();
    assert_eq!(empty, " the file has nothing in it, expected a v1 Pod");
}

/// What is wrong with a text, all of it.
fn problems(text: &str) -> Vec<String> {
    read("f.yaml", text).problems.iter().map(ToString::to_string).collect()
}

#[test]
fn all_that_is_wrong_is_reported_at_once_by_line() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: A\n  colour: red\nspec:\n  hostUsers: false\n  containers:\n  - name: \
                c\n    image: x\n    livenessProbe: {}\n  - name: c\n    image: X\n";
    let expected = [
        "4: metadata.name: expected small letters, digits and hyphens (RFC 1123)",
        "5: metadata.colour: unknown field, expected one of name",
        "7: spec.hostUsers: is not supported on this node",
        "11: spec.containers[0].livenessProbe: expected one of exec, httpGet, tcpSocket, grpc",
        "13: spec.containers[1].image: \"library/X\" is not a repository",
    ];
    let found = problems(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn an_item_of_a_list_is_named_by_its_own_line() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  securityContext:\n    supplementalGroups:\n    - 1\n    - wheel\n  \
                containers:\n  - name: c\n    image: x\n    securityContext:\n      capabilities:\n        drop:\n        - ALL\n        - \
                net_raw\n        - {}\n";
    let expected = [
        "8: spec.securityContext.supplementalGroups[1]: expected a group's number",
        "16: spec.containers[0].securityContext.capabilities.drop[1]: expected a capability such as NET_RAW, or ALL",
        "17: spec.containers[0].securityContext.capabilities.drop[2]: expected a text",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn a_file_may_have_many_documents_and_lists() {
    let pod = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: c, image: x}}]}}}}"
        )
    };
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}\n- {}\n", pod("b"), pod("c"));
    let text = format!("---\n# a chart\n---\n{}\n---\n{list}---\n", pod("a"));
    let names = |read: &Read| read.pods.iter().map(|pod| pod.spec.key.name.clone()).collect::<Vec<_>>();
    let all = read("f.yaml", &text);
    assert_eq!((names(&all), all.problems.as_slice()), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], &[][..]));
    // One that is wrong keeps no other from being taken.
    let one = read("f.yaml", &text.replace("name: b", "name: B"));
    assert_eq!((names(&one), one.problems.len()), (vec!["a".to_owned(), "c".to_owned()], 1));
    assert_eq!(one.problems[0].key, "items[0].metadata.name");
}

#[test]
fn security_is_the_pods_unless_the_container_says_otherwise() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {securityContext: {runAsUser: 1, runAsGroup: 2, runAsNonRoot: \
                true, supplementalGroups: [7], seccompProfile: {type: Unconfined}}, containers: [{name: c, image: x}, {name: d, image: \
                x, securityContext: {runAsUser: 3, seccompProfile: {type: RuntimeDefault}, allowPrivilegeEscalation: false, \
                capabilities: {add: [NET_ADMIN], drop: [ALL]}}}]}}";
    let spec = parse("f.yaml", text).unwrap().spec;
    let who = |index: usize| {
        let container: &crate::pods::model::Container = &spec.containers[index];
        (container.run_as_user, container.run_as_group, container.seccomp.clone(), container.no_new_privileges)
    };
    assert_eq!(who(0), (Some(1), Some(2), Some(Seccomp::Unconfined), false));
    assert_eq!(who(1), (Some(3), Some(2), Some(Seccomp::RuntimeDefault), true));
    let container = &spec.containers[1];
    assert_eq!(
        (container.capabilities.add.as_slice(), container.capabilities.drop.as_slice()),
        (&["NET_ADMIN".to_owned()][..], &["ALL".to_owned()][..])
    );
    assert_eq!(spec.supplemental_groups, [7]);
    for (context, expected) in [
        ("runAsNonRoot: true, runAsUser: 0", "is not possible with runAsUser: 0"),
        ("seccompProfile: {type: Localhost}", "the field `localhostProfile` is missing"),
        ("seccompProfile: {type: Localhost, localhostProfile: ../x}", "expected a path below /var/lib/ballast/seccomp"),
        ("seccompProfile: {type: Unconfined, localhostProfile: x}", "is only for the type Localhost"),
        ("privileged: true, allowPrivilegeEscalation: false", "false is not possible with privileged"),
        ("capabilities: {add: [CAP_SYS_TIME]}", "expected a capability such as NET_RAW, or ALL"),
        ("seccompProfile: {type: Local}", "`Local` is unknown, expected one of RuntimeDefault, Unconfined, Localhost"),
    ] {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{containers: [{{name: c, image: x, securityContext: \
             {{{context}}}}}]}}}}"
        );
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{context}: {found:?}");
    }
}

#[test]
fn variables_may_be_of_the_pod() {
    let variables = [
        ("metadata.name", "a"),
        ("metadata.namespace", "default"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "\0spec.nodeName\0"),
        ("status.podIP", "\0status.podIP\0"),
    ];
    for (path, expected) in variables {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a, labels: {{app: web}}}}, spec: {{containers: [{{name: c, image: x, args: \
             [x$(V)], env: [{{name: V, valueFrom: {{fieldRef: {{fieldPath: \"{path}\"}}}}}}]}}]}}}}"
        );
        let container = parse("f.yaml", &text).unwrap().spec.containers.remove(0);
        assert_eq!(
            (container.env[0].1.as_str(), container.args[0].as_str()),
            (expected, &*format!("x{expected}")),
            "{path}"
        );
    }
}

mod golden;
mod lifecycle;
mod objects;
mod properties;
mod workloads;
