//! L13: the same manifests, run by the agent and then by a kubelet of its own on the same node: what containers see of their environment,
//! mounts, rights, limits and files, and how often they are started, is the same but for what [`EXPLAINED`] says.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::cluster::Wanted;
use qemu_vm::deadline::Deadline;
use qemu_vm::guest::quote;
use qemu_vm::installed::on_the_network;
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, READY};
use qemu_vm::qemu::network::Network;
use qemu_vm::release_server::ReleaseServer;
use qemu_vm::scenario::Scenario;
use qemu_vm::settings::set;
use serde_json::{Value, json};

use super::super::cluster::reported;

/// Where the containers write, on the node and inside; and where the node keeps manifests.
const FOLDER: &str = "/run/side";
const PODS: &str = "/var/lib/ballast/pods";
const CANARY: &str = "localhost/ballast/canary:1";
/// A kubelet is fetched and started, and starts the pods, on a busy emulated node.
const LONG: u64 = 300;
/// A container that fails is started again at once, then 10 s and 20 s later: the kubelet's back-off.
const RESTARTS: Duration = Duration::from_secs(45);

/// What differs, and why that is as it should be: the pod (or `*`), the file, how the line begins. The manual's list is `docs/pods.md`.
const EXPLAINED: &[(&str, &str, &str)] = &[
    // A static pod is called after its node, too.
    ("*", "environ", "HOSTNAME="),
    ("words", "environ", "NAME="),
    ("*", "hostname", ""),
    ("*", "hosts", "(the pod's) "),
    ("*", "content", "app="),
    // Without NET_RAW, with seccomp; a static pod is critical to a kubelet.
    ("*", "status", "Cap"),
    ("*", "status", "Seccomp:"),
    ("*", "oom_score_adj", ""),
    // The agent's own, and the same for all containers of the pod.
    ("*", "mountinfo", "/etc/hosts "),
    ("*", "mountinfo", "/etc/resolv.conf "),
    ("*", "mountinfo", "/volumes/down "),
    // A comment; on the host's network the stub, with its comments; an empty list of domains.
    ("*", "resolv.conf", "#"),
    ("*", "resolv.conf", "search"),
    ("mighty", "resolv.conf", ""),
    // Files, not links into `..data`.
    ("*", "volumes", "/volumes/down"),
];

/// What a container sees, a file for each kind, then a file that says that all are there. `$$$$` is the shell's `$$`: manifests expand variables, too.
const LOOKS: &str = "cd /out; for file in environ mountinfo status limits oom_score_adj; do cat /proc/$$$$/$file >$file; done; \
    cat /etc/hosts >hosts; cat /etc/resolv.conf >resolv.conf; uname -n >hostname; id >id; ls -ln / >root; \
    for file in memory.max memory.low memory.min memory.swap.max cpu.max cpu.weight pids.max; do \
    echo $file $(cat /sys/fs/cgroup/$file); done >cgroup 2>/dev/null; \
    if [ -e /volumes ]; then find /volumes -printf '%p %y %m %U %G %s\\n' >volumes; cat /volumes/*/* >content 2>/dev/null; fi; \
    echo done >done; ";

/// A pod of one container of the node's own shell, which runs `script`; `pod` and `container` are added to it.
fn pod(name: &str, script: &str, pod: &Value, container: &Value) -> Value {
    let host = |path: &str| json!({"path": path});
    let mut volumes = vec![
        json!({"name": "usr", "hostPath": host("/usr")}),
        json!({"name": "lib", "hostPath": host("/usr/lib")}),
        json!({"name": "lib64", "hostPath": host("/usr/lib64")}),
        json!({"name": "out", "hostPath": host(&format!("{FOLDER}/{name}"))}),
    ];
    let mut mounts = vec![
        json!({"name": "usr", "mountPath": "/usr", "readOnly": true}),
        json!({"name": "lib", "mountPath": "/lib", "readOnly": true}),
        json!({"name": "lib64", "mountPath": "/lib64", "readOnly": true}),
        json!({"name": "out", "mountPath": "/out"}),
    ];
    let mut spec = json!({"terminationGracePeriodSeconds": 2});
    let mut only = json!({"name": "main", "image": CANARY, "imagePullPolicy": "Never",
        "command": ["/usr/bin/sh", "-c", script]});
    merge(&mut spec, pod);
    merge(&mut only, container);
    volumes.extend(pod["volumes"].as_array().into_iter().flatten().cloned());
    mounts.extend(container["volumeMounts"].as_array().into_iter().flatten().cloned());
    only["volumeMounts"] = mounts.into();
    spec["volumes"] = volumes.into();
    spec["containers"] = json!([only]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name},
        "annotations": {"note": "a word"}}, "spec": spec})
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
}

/// The pods that are compared. None has a projected volume or a ConfigMap: a kubelet without an API server mounts none.
fn pods() -> BTreeMap<&'static str, Value> {
    let stays = format!("{LOOKS} while :; do sleep 1; done");
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let env = |name: &str, from: Value| json!({"name": name, "valueFrom": from});
    let of = |resource: &str| json!({"resourceFieldRef": {"resource": resource}});
    let named = json!({"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 256}]});
    let words = (
        json!({"hostname": "plover", "subdomain": "birds",
            "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["one.example", "two.example"]}],
            "dnsConfig": {"nameservers": ["192.0.2.53"], "searches": ["example.org"], "options": [{"name": "ndots", "value": "3"}]},
            "volumes": [{"name": "plain", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}},
                {"name": "down", "downwardAPI": named}]}),
        json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A) $$(A) $(NONE)"},
                env("NAME", field("metadata.name")), env("NAMESPACE", field("metadata.namespace")),
                env("LABEL", field("metadata.labels['app']")), env("NOTE", field("metadata.annotations['note']")),
                env("CPU", of("limits.cpu")), env("MEMORY", of("limits.memory")), env("ASKED", of("requests.memory"))],
            "resources": {"requests": {"cpu": "200m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
            "volumeMounts": [{"name": "plain", "mountPath": "/volumes/plain"}, {"name": "memory", "mountPath": "/volumes/memory"},
                {"name": "down", "mountPath": "/volumes/down"}]}),
    );
    let bound = (
        json!({"securityContext": {"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 3000, "supplementalGroups": [4000],
                "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "plain", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}},
                {"name": "down", "downwardAPI": named}]}),
        json!({"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false},
            "volumeMounts": [{"name": "plain", "mountPath": "/volumes/plain"}, {"name": "memory", "mountPath": "/volumes/memory"},
                {"name": "down", "mountPath": "/volumes/down"}]}),
    );
    let whole = json!({"cpu": "300m", "memory": "48Mi"});
    let fails = "n=$(cat /out/count 2>/dev/null || echo 0); echo $((n + 1)) >/out/count; echo why >/dev/termination-log; \
        [ $n -lt 2 ] && exit 3; echo done >/out/done";
    let once = format!("echo run >>/out/runs; {LOOKS}");
    BTreeMap::from([
        ("words", pod("words", &stays, &words.0, &words.1)),
        ("bound", pod("bound", &stays, &bound.0, &bound.1)),
        ("plain", pod("plain", &stays, &json!({}), &json!({}))),
        ("whole", pod("whole", &stays, &json!({}), &json!({"resources": {"limits": whole, "requests": whole}}))),
        ("asks", pod("asks", &stays, &json!({}), &json!({"resources": {"requests": {"cpu": "1", "memory": "100Mi"}}}))),
        (
            "mighty",
            pod(
                "mighty",
                &stays,
                &json!({"hostNetwork": true, "hostPID": true}),
                &json!({"securityContext": {"privileged": true}}),
            ),
        ),
        ("shares", pod("shares", &stays, &json!({"shareProcessNamespace": true, "hostIPC": true}), &json!({}))),
        ("fails", pod("fails", fails, &json!({"restartPolicy": "OnFailure"}), &json!({}))),
        ("once", pod("once", &once, &json!({"restartPolicy": "Never"}), &json!({}))),
    ])
}

/// Everything that the containers wrote, once all of them have: pod and file to lines.
type Seen = BTreeMap<(String, String), Vec<String>>;

fn seen(node: &mut Node, names: &[&str]) -> Result<Seen> {
    let all = format!("ls {FOLDER}/*/done 2>/dev/null | wc -l");
    let wanted = names.len().to_string();
    let there = Deadline::secs(LONG)
        .poll(Duration::from_secs(2), || Ok::<_, anyhow::Error>((node.guest.ask(&all)? == wanted).then_some(())))?;
    if there.is_none() {
        let there = node.guest.ask(&format!("ls {FOLDER}/*/done; ballast status"))?;
        anyhow::bail!("not all {} pods wrote what they see: {there}", names.len());
    }
    // Whether what has ended is started again.
    std::thread::sleep(RESTARTS);
    let mut seen = Seen::new();
    for name in names {
        let text = node.guest.ask(&format!(
            "cd {FOLDER}/{name}; for file in *; do echo \"{FILE}$file\"; tr '\\0' '\\n' <$file; echo; done"
        ))?;
        for part in text.split(FILE).skip(1) {
            let (file, text) = part.split_once('\n').with_context(|| format!("{name} wrote {part:?}"))?;
            if file != "done" {
                seen.insert(((*name).to_owned(), file.to_owned()), lines(file, text));
            }
        }
    }
    Ok(seen)
}

/// Comes before a file's name when all are read at once.
const FILE: &str = "file-of-a-pod ";

/// What is compared of a file: without what differs from start to start.
fn lines(file: &str, text: &str) -> Vec<String> {
    let is_pod = |word: &str| word.starts_with("10.88.") || word.len() == 36 && word.matches('-').count() == 4;
    let same = |line: &str| {
        let words = line.split_whitespace().map(|word| if is_pod(word) { "(the pod's)" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<String> = match file {
        // Mount point, its options, and after the dash the file system; not what it is called on the node.
        "mountinfo" => text
            .lines()
            .filter_map(|line| {
                let (before, after) = line.split_once(" - ")?;
                let fields: Vec<&str> = before.split(' ').collect();
                Some(format!("{} {} {}", fields.get(4)?, fields.get(5)?, after.split(' ').next()?))
            })
            .collect(),
        "status" => {
            let kept = ["Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp:"];
            text.lines().filter(|line| kept.iter().any(|key| line.starts_with(key))).map(same).collect()
        }
        "hosts" => text.lines().filter(|line| !line.starts_with('#')).map(same).collect(),
        // A folder's time is when it was made.
        "root" => text
            .lines()
            .map(|line| line.split_whitespace().filter(|word| !word.contains(':')).collect::<Vec<_>>())
            .map(|words| {
                [words.first().copied().unwrap_or_default(), words.last().copied().unwrap_or_default()].join(" ")
            })
            .collect(),
        _ => text.lines().map(same).collect(),
    };
    lines.retain(|line| !line.is_empty());
    if file != "content" && file != "resolv.conf" {
        lines.sort();
    }
    lines
}

/// What is in one and not in the other: `-` of the agent, `+` of the kubelet.
fn differences(ours: &Seen, theirs: &Seen) -> Vec<Difference> {
    let mut found = Vec::new();
    let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let none = Vec::new();
        let (one, other) = (ours.get(key).unwrap_or(&none), theirs.get(key).unwrap_or(&none));
        let only = |these: &[String], those: &[String], sign: &str| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign}{line}")).collect()
        };
        let lines = only(one, other, "-").into_iter().chain(only(other, one, "+"));
        found.extend(lines.map(|line| (key.0.clone(), key.1.clone(), line)));
    }
    found
}

/// A difference: the pod, the file, the line.
type Difference = (String, String, String);

/// Whether a row of [`EXPLAINED`] speaks of it.
fn explains((of, in_file, begins): &(&str, &str, &str), (pod, file, line): &Difference) -> bool {
    (*of == "*" || of == pod) && in_file == file && line[1..].starts_with(begins)
}

fn is_explained(found: &Difference) -> bool {
    EXPLAINED.iter().any(|row| explains(row, found))
}

/// Folders that anybody may write to, empty.
fn folders(node: &mut Node, names: &[&str]) -> Result<()> {
    let all = names.iter().map(|name| format!("{FOLDER}/{name}")).collect::<Vec<_>>().join(" ");
    node.guest.ask(&format!("mkdir -p {all} && rm -rf {FOLDER}/*/* && chmod 777 {all}")).map(drop)
}

/// Running pods with a network of their own ask the servers that the node asks now, and those of the host's network its stub.
fn other_servers(node: &mut Node) -> Result<()> {
    let link = node.guest.ask("ip -o route show default | sed -E 's/.* dev ([^ ]+).*/\\1/' | head -n 1")?;
    let servers = node.guest.ask(&format!("resolvectl dns {link} | sed 's/.*: //'"))?;
    node.guest.ask(&format!("resolvectl dns {link} 192.0.2.99"))?;
    let has = |node: &mut Node, pod: &str, server: &str| {
        let text = node.guest.ask(&format!("ballast exec {pod} -- cat /etc/resolv.conf"))?;
        Ok::<_, anyhow::Error>(text.lines().any(|line| line == format!("nameserver {server}")).then_some(()))
    };
    let followed = Deadline::secs(60).poll(Duration::from_secs(1), || has(node, "plain", "192.0.2.99"))?;
    followed.context("a running pod does not get other name servers")?;
    has(node, "words", "192.0.2.53")?.context("a pod's own name server is gone")?;
    node.guest.ask(&format!("resolvectl revert {link}"))?;
    let back = Deadline::secs(60).poll(Duration::from_secs(1), || has(node, "plain", &servers))?;
    back.context("a running pod does not get the first name server back")
}

#[test]
fn l13_the_same_pods_beside_a_kubelet() {
    Scenario::run("l13", |scenario| {
        let plane = scenario.control_plane("cluster", Wanted::default())?;
        let server = ReleaseServer::open(&scenario.lab.tools, scenario.scratch())?;
        let artifact = scenario.scratch().join("kubelet.oci");
        let version = plane.kubelet(&artifact)?;
        let kubelet = server.publish_layout(&artifact, &format!("kubelet-{version}"))?;
        let mut credentials = server.reported_key()?;
        credentials.push(reported("beside", &server.setting(&[])?)?);
        let options = Options { network: Network::User, credentials, memory_mib: 1536, ..Options::default() };
        let mut node = scenario.start(&options)?;
        node.ready(Deadline::after(READY))?;
        on_the_network(&mut node)?;

        let pods = pods();
        let names: Vec<&str> = pods.keys().copied().collect();
        folders(&mut node, &names)?;
        for (name, pod) in &pods {
            let text = quote(&[pod.to_string()]);
            node.guest.ask(&format!("printf %s {text} >/var/tmp/pod && mv /var/tmp/pod {PODS}/{name}.yaml"))?;
        }
        let ours = seen(&mut node, &names).context("run by the agent")?;

        other_servers(&mut node)?;
        folders(&mut node, &names)?;
        set(&mut node.guest, "kubelet.image", &kubelet)?;
        node.status_when("the kubelet is healthy", LONG, |status| {
            status.kubelet.as_ref().is_some_and(|kubelet| kubelet.state == "healthy")
        })?;
        let theirs = seen(&mut node, &names).context("run by the kubelet")?;

        let (explained, others): (Vec<_>, Vec<_>) = differences(&ours, &theirs).into_iter().partition(is_explained);
        for (pod, file, line) in &explained {
            println!("explained: {pod} {file}: {line}");
        }
        let of = ours.values().map(Vec::len).sum::<usize>();
        println!("{of} lines of {} files are compared: {} differ as explained", ours.len(), explained.len());
        let others: Vec<_> = others.iter().map(|(pod, file, line)| format!("  {pod} {file}: {line}")).collect();
        ensure!(others.is_empty(), "- the agent, + the kubelet:\n{}", others.join("\n"));
        let idle: Vec<_> = EXPLAINED.iter().filter(|row| !explained.iter().any(|found| explains(row, found))).collect();
        ensure!(idle.is_empty(), "these differ no more: {idle:?}");
        node.power_off()
    });
}
