//! L07: the real kubelet runs the cluster's pods: one boot, in which one thing after the other is done to it.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::cluster::{self, ControlPlane, Wanted};
use qemu_vm::deadline::Deadline;
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, READY};
use qemu_vm::qemu::machine::Network;
use qemu_vm::release_server::ReleaseServer;
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::status::Status;
use serde_json::{Value, json};

use super::{NAME, SOON, is, node_when, reported};

/// From READY to a Node that is Ready: the artifact is fetched, a certificate is signed, the kubelet starts, on a busy emulated node.
const JOINED: u64 = 300;
/// A kubelet that hangs is back within this.
const BACK: u64 = 60;

struct Hosted {
    plane: ControlPlane,
    node: Node,
    name: String,
    version: String,
    image: String,
}

type Case = (&'static str, fn(&mut Hosted) -> Result<()>);

const CASES: [Case; 6] = [
    ("L07 joins", joins),
    ("L07 a Deployment, its logs, exec", deployment),
    ("L07 the node's own pod is a static one", static_pod),
    ("L07 deleted with grace", deleted),
    ("L08 one that hangs", hangs),
    ("L09 a byte of the program", flipped),
];

#[test]
fn l07_l08_l09_a_real_kubelet_runs_the_clusters_pods() {
    run("l07_to_l09", &CASES);
}

#[cfg(feature = "soak")]
mod soak {
    use super::{Case, deployment, joins, others, run, taken_away};

    const CASES: [Case; 4] = [
        ("L07 joins", joins),
        ("L07 a Deployment, its logs, exec", deployment),
        ("L07 a DaemonSet, a Job, a forwarded port", others),
        ("L10 without the role", taken_away),
    ];

    #[test]
    fn l10_a_kubelet_is_taken_away() {
        run("l10", &CASES);
    }
}

/// A node that is READY and joins with a kubelet from the image `kubelet`, and what it is called: an address of its own that leads to it,
/// from the API server's point of view.
pub(super) fn joining(
    scenario: &mut Scenario,
    plane: &ControlPlane,
    server: &ReleaseServer,
    kubelet: &str,
) -> Result<(Node, String)> {
    /// Four nodes for each process.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let [_, high, middle, low] = (std::process::id() << 2 | COUNT.fetch_add(1, Ordering::Relaxed) & 3).to_be_bytes();
    let address = Ipv4Addr::new(127, high, middle, low);
    let joining = plane.joining(NAME)?.word("role", "kubelet").word("node_name", &address.to_string());
    let settings =
        format!("{}{joining}[kubelet]\nimage = \"{kubelet}\"\nnode_ip = \"10.0.2.15\"\n", server.setting(&[])?);
    let mut credentials = server.reported_key()?;
    credentials.push(reported("hosted", &settings)?);
    let options = Options { network: Network::Kubelet(address), credentials, memory_mib: 1536, ..Options::default() };
    let mut node = scenario.start(&options)?;
    node.ready(Deadline::after(READY))?;
    Ok((node, address.to_string()))
}

/// One boot in which one case follows the other.
fn run(name: &str, cases: &[Case]) {
    Scenario::run(name, |scenario| {
        let plane = scenario.control_plane("cluster", Wanted::default())?;
        cluster::install(&plane.kubectl)?;
        cluster::trust_nodes(&plane.kubectl)?;
        let server = ReleaseServer::open(&scenario.lab.tools, scenario.scratch())?;
        let (artifact, pods) = (scenario.scratch().join("kubelet.oci"), scenario.scratch().join("agnhost.oci"));
        let version = plane.kubelet(&artifact)?;
        let kubelet = server.publish_layout(&artifact, &format!("kubelet-{version}"))?;
        let image = server.publish_pod(&plane.agnhost(&pods)?, "agnhost")?;
        let (node, name) = joining(scenario, &plane, &server, &kubelet)?;
        let mut hosted = Hosted { plane, node, name, version, image };
        let mut noted = Cases::default();
        for (name, case) in cases {
            let outcome = case(&mut hosted);
            let is_over = outcome.is_err() && *name == "L07 joins";
            noted.note(name, outcome);
            if is_over {
                break;
            }
        }
        println!("{}", hosted.plane.kubectl.run(&["get", "nodes,pods", "--all-namespaces", "--output=wide"])?);
        noted.end()?;
        hosted.node.power_off()
    });
}

fn is_healthy(status: &Status) -> bool {
    status.kubelet.as_ref().is_some_and(|kubelet| kubelet.state == "healthy")
}

fn main_pid(node: &mut Node) -> Result<u32> {
    let pid = node.guest.ask("systemctl show --property=MainPID --value ballast-kubelet.service")?;
    pid.parse().with_context(|| format!("the kubelet's main process is {pid:?}"))
}

fn joins(hosted: &mut Hosted) -> Result<()> {
    let Hosted { plane, node, name, version, .. } = hosted;
    let status = node.status_when("the kubelet is healthy", JOINED, is_healthy)?;
    let kubelet = status.kubelet.context("the status has no kubelet")?;
    ensure!(kubelet.version.as_ref() == Some(version) && kubelet.failed.is_empty(), "the status says {kubelet:?}");
    let object = node_when(&plane.kubectl, name, "the Node is Ready", |node| is(node, "Ready", "True"))?;
    let info = &object["status"]["nodeInfo"]["kubeletVersion"];
    ensure!(info == format!("v{version}").as_str(), "the Node has kubelet {info}");
    ensure!(object["status"]["allocatable"]["pods"] == "110", "it offers {}", object["status"]["allocatable"]);
    ensure!(!object["spec"]["taints"].to_string().contains("no-kubelet"), "it is tainted: {}", object["spec"]);
    // What is the agent's stands beside it.
    node_when(&plane.kubectl, name, "the agent reports, too", |node| is(node, "OSDegraded", "False"))?;
    node_when(&plane.kubectl, name, "the agent labels it", |node| {
        node["metadata"]["labels"]["os.ballast.dev/version"].is_string()
    })?;
    let table = node.guest.ask("ballast status")?;
    ensure!(table.contains("Kubelet") && table.contains(version.as_str()), "ballast status prints {table}");
    Ok(())
}

/// The pod of the Deployment `web`, once it is ready.
fn pod(plane: &ControlPlane) -> Result<String> {
    let ready = |list: &Value| {
        let pods = list["items"].as_array().into_iter().flatten();
        pods.filter(|pod| is(pod, "Ready", "True") && pod["metadata"]["deletionTimestamp"].is_null()).count() == 1
    };
    let list =
        plane.kubectl.when("its pod is ready", Deadline::secs(JOINED), &["pods", "--selector=app=web"], ready)?;
    let pods = list["items"].as_array().into_iter().flatten();
    let alive = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).map(|pod| &pod["metadata"]["name"]);
    alive.filter_map(Value::as_str).map(str::to_owned).next().context("it has no name")
}

fn deployment(hosted: &mut Hosted) -> Result<()> {
    let Hosted { plane, name, image, .. } = hosted;
    plane.kubectl.when("pods can be made", Deadline::secs(SOON), &["serviceaccount", "default"], |_| true)?;
    let container = json!({"name": "web", "image": image, "args": ["netexec"],
        // It ends only when its grace is over.
        "lifecycle": {"preStop": {"exec": {"command": ["/agnhost", "pause"]}}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2}});
    let template = json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 10}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}});
    plane.kubectl.apply(&deployment.to_string())?;
    let pod = pod(plane)?;
    let object = plane.kubectl.get(&["pod", &pod])?;
    ensure!(object["spec"]["nodeName"] == name.as_str(), "the scheduler put it on {}", object["spec"]["nodeName"]);
    let logs = plane.kubectl.run(&["logs", &pod])?;
    ensure!(logs.contains("HTTP server"), "its log is {logs:?}");
    let said = plane.kubectl.run(&["exec", &pod, "--", "/agnhost", "help"])?;
    ensure!(said.contains("netexec"), "exec prints {said:?}");
    Ok(())
}

#[cfg(feature = "soak")]
fn others(hosted: &mut Hosted) -> Result<()> {
    let Hosted { plane, image, .. } = hosted;
    let labels = json!({"app": "each"});
    let pod = |arguments: &[&str], policy: &str| {
        json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": policy, "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "c", "image": image, "args": arguments}]}})
    };
    let each = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "each"},
        "spec": {"selector": {"matchLabels": labels}, "template": pod(&["pause"], "Always")}});
    let once = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"template": pod(&["help"], "Never")}});
    plane.kubectl.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [each, once]}).to_string())?;
    let answer = plane.kubectl.forwarded("deployment/web", 8080, "/healthz")?;
    ensure!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "the forwarded port answers {answer:?}");
    let deadline = Deadline::secs(SOON);
    plane.kubectl.when("the Job is complete", deadline, &["job", "once"], |job| is(job, "Complete", "True"))?;
    let runs = |set: &Value| set["status"]["numberReady"] == 1;
    plane.kubectl.when("the DaemonSet's pod is ready", deadline, &["daemonset", "each"], runs).map(drop)
}

/// The canary runs on, in the kubelet's hands.
fn static_pod(hosted: &mut Hosted) -> Result<()> {
    let Hosted { plane, name, .. } = hosted;
    plane.kubectl.run(&["create", "namespace", "ballast"])?;
    let mirror = format!("canary-{name}");
    let arguments = ["pod", &mirror, "--namespace=ballast"];
    let running = |pod: &Value| pod["status"]["phase"] == "Running";
    plane.kubectl.when("the canary is shown by the API", Deadline::secs(SOON), &arguments, running).map(drop)
}

/// A pod that takes all of its ten seconds to end has them: nobody removes it before.
fn deleted(hosted: &mut Hosted) -> Result<()> {
    let Hosted { plane, .. } = hosted;
    let first = pod(plane)?;
    plane.kubectl.run(&["delete", "pod", &first, "--wait=false"])?;
    std::thread::sleep(Duration::from_secs(3));
    let object = plane.kubectl.find(&["pod", &first])?.context("it is gone before its containers ended")?;
    ensure!(object["metadata"]["deletionTimestamp"].is_string(), "it is not deleted: {}", object["metadata"]);
    let deadline = Deadline::secs(SOON);
    while plane.kubectl.find(&["pod", &first])?.is_some() {
        if deadline.is_over() {
            bail!("it is still there after {deadline}");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let second = pod(plane)?;
    ensure!(second != first, "no other pod came in its place");
    Ok(())
}

fn hangs(hosted: &mut Hosted) -> Result<()> {
    let Hosted { node, plane, name, .. } = hosted;
    let before = main_pid(node)?;
    node.guest.ask(&format!("kill -STOP {before}"))?;
    let started = std::time::Instant::now();
    node.status_when("the status says that it does not answer", BACK, |status| {
        status.reasons.iter().any(|reason| reason.contains("the kubelet does not answer"))
    })?;
    node.status_when("it is back", BACK.saturating_sub(started.elapsed().as_secs()).max(1), is_healthy)?;
    let after = main_pid(node)?;
    ensure!(after != before, "the process {before} runs on");
    println!("a kubelet that hung was back after {} s", started.elapsed().as_secs());
    pod(plane)?;
    node_when(&plane.kubectl, name, "the Node is Ready", |node| is(node, "Ready", "True")).map(drop)
}

/// Who writes to /var changes no program unnoticed: it is refused before it runs, and fetched anew.
fn flipped(hosted: &mut Hosted) -> Result<()> {
    let Hosted { node, .. } = hosted;
    let digest = node.status()?.kubelet.and_then(|kubelet| kubelet.digest).context("no digest is reported")?;
    let hex = digest.trim_start_matches("sha256:");
    let file = format!("/var/lib/ballast/artifacts/{hex}/files/kubelet");
    // Sealed, nobody writes to it, root neither; and it runs.
    let denied = node.guest.ask(&format!("printf x | dd of={file} bs=1 seek=4096 conv=notrunc 2>&1 || :"))?;
    let is_denied = ["not permitted", "denied", "busy"].iter().any(|word| denied.contains(word));
    ensure!(is_denied, "it was written to: {denied}");
    let change = format!(
        "cp {file} /var/tmp/k && printf x | dd of=/var/tmp/k bs=1 seek=4096 conv=notrunc 2>/dev/null && chmod 555 /var/tmp/k \
         && mv /var/tmp/k {file}"
    );
    node.guest.ask(&change)?;
    let before = main_pid(node)?;
    node.guest.ask("systemctl kill --kill-whom=main --signal=KILL ballast-kubelet.service")?;
    let refused =
        "journalctl --boot --no-pager --unit=ballast-kubelet.service | grep 'kubelet is not started.*not sealed' || :";
    let deadline = Deadline::secs(JOINED);
    while node.guest.ask(refused)?.is_empty() {
        ensure!(!deadline.is_over(), "the journal does not say within {deadline} that it was refused");
        std::thread::sleep(Duration::from_secs(1));
    }
    let is_another = |pid: u32| pid != 0 && pid != before;
    while !is_another(main_pid(node)?) {
        ensure!(!deadline.is_over(), "it was not started again within {deadline}");
        std::thread::sleep(Duration::from_secs(1));
    }
    node.status_when("it is healthy again", JOINED, |status| is_healthy(status) && status.runtime.ready)?;
    let failed = node.status()?.kubelet.map(|kubelet| kubelet.failed.len());
    ensure!(failed == Some(0), "what was damaged here is blamed on the version");
    Ok(())
}

/// The kubelet's pods end, and the agent runs the node's own.
#[cfg(feature = "soak")]
fn taken_away(hosted: &mut Hosted) -> Result<()> {
    let Hosted { node, .. } = hosted;
    node.guest.ask(&format!("ballast settings set cluster.{NAME}.role node"))?;
    node.status_when("no kubelet is left, and the node's own pods run", JOINED, |status| {
        status.kubelet.is_none() && status.ready && status.pods.iter().any(|pod| pod.phase == "Running")
    })?;
    // The agent's own lie in another control group.
    let processes =
        node.guest.ask("find /sys/fs/cgroup/kubepods -name cgroup.procs -exec cat {} + 2>/dev/null || :")?;
    ensure!(processes.is_empty(), "processes of the kubelet's pods are left: {processes}");
    let logs = node.guest.ask("ls /var/log/pods")?;
    ensure!(!logs.contains("default_web") && logs.contains("ballast_canary"), "/var/log/pods has {logs}");
    let left = node.guest.ask("systemctl is-active ballast-kubelet.service || :; ls /run/ballast/kubelet 2>&1 || :")?;
    ensure!(left.starts_with("inactive") && left.contains("No such file"), "it is left: {left}");
    Ok(())
}
