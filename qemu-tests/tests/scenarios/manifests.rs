//! What a manifest from the field says is what its container has: variables, files, names, ports, limits. All of it goes with the pod.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::{containers, deadline::Deadline, guest::quote, node::Node};

const FILE: &str = "/var/lib/ballast/pods/field.yaml";

/// A Deployment with its ConfigMap and Secret. The Secret's value is nowhere in plain.
const MANIFEST: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: one, b: two}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {token: czNjcmV0LXdvcmQ=}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: field}
spec:
  replicas: 1
  template:
    metadata: {labels: {app: field}}
    spec:
      subdomain: shop
      hostAliases: [{ip: 192.0.2.7, hostnames: [alias.example]}]
      dnsPolicy: None
      dnsConfig: {nameservers: [192.0.2.53], searches: [field.example], options: [{name: ndots, value: "2"}]}
      securityContext: {fsGroup: 2000, sysctls: [{name: net.ipv4.ip_local_port_range, value: 20000 30000}]}
      containers:
      - name: c
        image: localhost/ballast/canary:1
        env:
        - {name: FIELD, valueFrom: {configMapKeyRef: {name: conf, key: a}}}
        - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}
        - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
        - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        ports: [{containerPort: 8080, hostPort: 8081}]
        resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {memory: 64Mi}}
        volumeMounts:
        - {name: run, mountPath: /run/canary}
        - {name: conf, mountPath: /conf}
        - {name: conf, mountPath: /one, subPath: b}
        - {name: keys, mountPath: /keys}
        - {name: own, mountPath: /own}
        - {name: scratch, mountPath: /part, subPathExpr: x/$(FIELD)}
        - {name: scratch, mountPath: /scratch}
      volumes:
      - {name: run, hostPath: {path: /run/field, type: DirectoryOrCreate}}
      - {name: conf, configMap: {name: conf}}
      - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
      - {name: own, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
      - {name: scratch, emptyDir: {}}
"#;

/// The value that must not be seen.
const SECRET: &str = "s3cret-word";

/// Commands, `ROOT` being the container's root and `PID` its process, and what their output has in it.
const HAS: [(&str, &str); 14] = [
    ("tr '\\0' '\\n' </proc/PID/environ", "MEMORY=64"),
    ("tr '\\0' '\\n' </proc/PID/environ", "TOKEN=s3cret-word"),
    ("tr '\\0' '\\n' </proc/PID/environ", "ADDRESS=10.88."),
    ("cat ROOT/conf/a ROOT/one ROOT/own/labels", "onetwoapp=\"field\""),
    ("stat --format='%a %g' ROOT/keys/token", "440 2000"),
    ("stat --format='%a %g' ROOT/scratch", "2777 2000"),
    ("touch ROOT/part/here; ls ROOT/scratch/x/one", "here"),
    ("! touch ROOT/conf/a 2>&1", "Read-only file system"),
    ("cat ROOT/etc/hosts", "\tfield.shop.default.svc.cluster.local\tfield\n"),
    ("cat ROOT/etc/hosts", "192.0.2.7\talias.example"),
    ("cat ROOT/etc/resolv.conf", "nameserver 192.0.2.53"),
    ("nsenter --target=PID --net cat /proc/sys/net/ipv4/ip_local_port_range", "20000\t30000"),
    ("cat /sys/fs/cgroup/$(cut -d: -f3 /proc/PID/cgroup)/../memory.max", "67108864"),
    (
        "cat /sys/fs/cgroup/$(cut -d: -f3 /proc/PID/cgroup)/../cpu.weight /sys/fs/cgroup/$(cut -d: -f3 /proc/PID/cgroup)/memory.oom.group",
        "4\n1",
    ),
];

fn process(node: &mut Node) -> Result<u32> {
    let find = |node: &mut Node| -> Result<Option<u32>> {
        for container in containers::running(&mut node.guest)? {
            let pid = container.pid;
            let environment = node.guest.ask(&format!("tr '\\0' '\\n' </proc/{pid}/environ || true"))?;
            if environment.contains("FIELD=one") {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    };
    let found = Deadline::secs(60).poll(Duration::from_secs(1), || find(node))?;
    found.context("no container has FIELD=one in its environment")
}

/// The pod of the manifest above, from its beginning to its end.
pub(super) fn say_what_a_container_has(node: &mut Node) -> Result<()> {
    let (file, text) = (FILE, quote(&[MANIFEST.to_owned()]));
    node.guest.ask(&format!("printf %s {text} >/var/tmp/field && mv /var/tmp/field {file}"))?;
    let pid = process(node)?;
    for (command, expected) in HAS {
        let command = command.replace("PID", &pid.to_string()).replace("ROOT", &format!("/proc/{pid}/root"));
        let said = node.guest.ask(&command)?;
        ensure!(said.contains(expected), "{command} says {said:?}, not {expected:?}");
    }
    let rules = node.guest.ask("nft list ruleset")?;
    ensure!(rules.contains("8081"), "no rule leads from port 8081 to the pod: {rules}");
    // It may be killed before the node's own services, and after who asked for nothing.
    let score: i64 =
        node.guest.ask(&format!("cat /proc/{pid}/oom_score_adj"))?.trim().parse().context("oom_score_adj")?;
    ensure!((3..1000).contains(&score), "oom_score_adj is {score}");
    let shown = node.guest.ask(
        "ballast status --json; journalctl --boot --no-pager; ballast pods explain /var/lib/ballast/pods/field.yaml",
    )?;
    ensure!(!shown.contains(SECRET), "a secret is shown");
    ensure!(shown.contains("pod field: is taken"), "explain says {shown:?}");

    node.guest.ask(&format!("rm {file}"))?;
    node.status_when("the pod of the field is gone", 60, |status| status.pod("field").is_none())?;
    let left = |node: &mut Node| {
        let command = "ls /run/ballast/pods; grep -o '/run/ballast/pods[^ ]*' /proc/mounts; nft list ruleset | grep 8081; \
                       ls -d /sys/fs/cgroup/ballast-pods/pod* | while read -r group; do grep -L 'populated 1' $group/cgroup.events; done";
        node.guest.ask(&format!("{{ {command}; }} 2>&1 || true"))
    };
    let gone = Deadline::secs(60)
        .poll(Duration::from_secs(2), || Ok::<_, anyhow::Error>(left(node)?.trim().is_empty().then_some(())))?;
    ensure!(gone.is_some(), "of the pod there is still {:?}", left(node)?);
    Ok(())
}
