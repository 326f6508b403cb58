//! L and what else a node is to clusters: against a real control plane, looked at with kubectl.

mod kubelet;
#[cfg(feature = "soak")]
mod soak {
    mod kubelet_versions;
}
mod node;
mod unreachable;
mod upgrade;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::cluster::Kubectl;
use qemu_vm::credentials::Credential;
use qemu_vm::deadline::Deadline;
use qemu_vm::guest::Guest;
use qemu_vm::node::Node;
use serde_json::Value;

/// Something that a node does at once, on a busy host.
const SOON: u64 = 120;
/// The cluster's name in the nodes' settings.
pub(crate) const NAME: &str = "prod";

/// A node called `hostname` with these clusters in its settings.
pub(crate) fn reported(hostname: &str, more: &str) -> Result<Credential> {
    crate::settings::user_data(&format!("hostname = \"{hostname}\"\n{more}"))
}

/// Waits until the cluster `name` answers the node.
pub(crate) fn is_connected(node: &mut Node, name: &str) -> Result<()> {
    node.status_when(&format!("{name} is connected"), SOON, |status| status.is_connected(name)).map(drop)
}

/// Waits until the Node `name` is there and as `wanted`.
fn node_when(kubectl: &Kubectl, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    kubectl.when(what, Deadline::secs(SOON), &["node", name], wanted)
}

/// Waits until the NodeOS `name` is there and as `wanted`, at most so long.
fn os_when(kubectl: &Kubectl, name: &str, secs: u64, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    kubectl.when(what, Deadline::secs(secs), &["nodeos", name], wanted)
}

/// The condition of this type.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether the condition of this type is `status`.
pub(crate) fn is(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == status)
}

/// Whether it is True with a message that has `word`.
fn says(object: &Value, kind: &str, word: &str) -> bool {
    let message = condition(object, kind).and_then(|condition| condition["message"].as_str());
    is(object, kind, "True") && message.is_some_and(|message| message.contains(word))
}

/// A text in an object; empty if it is not there.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// L03: what the Node says of the machine is what the machine says of itself.
fn is_described(kubectl: &Kubectl, name: &str, guest: &mut Guest) -> Result<()> {
    let object = node_when(kubectl, name, "the Node is Ready", |node| is(node, "Ready", "True"))?;
    let status: Value = serde_json::from_str(&guest.shell("ballast status --json")?.text())?;
    let digest = text(&status, "/os/digest").trim_start_matches("sha256:");
    let mut want = vec![
        ("/metadata/labels/kubernetes.io~1hostname", guest.ask("cat /proc/sys/kernel/hostname")?),
        ("/metadata/labels/kubernetes.io~1os", "linux".into()),
        ("/metadata/labels/kubernetes.io~1arch", "amd64".into()),
        ("/metadata/labels/os.ballast.dev~1version", text(&status, "/os/version").into()),
        ("/metadata/labels/example.com~1rack", "r7".into()),
        ("/status/nodeInfo/kernelVersion", guest.ask("uname -r")?),
        ("/status/nodeInfo/machineID", guest.ask("cat /etc/machine-id")?),
        ("/status/nodeInfo/bootID", guest.ask("cat /proc/sys/kernel/random/boot_id")?),
        ("/status/nodeInfo/osImage", guest.ask(". /usr/lib/os-release && echo \"$PRETTY_NAME\"")?),
        ("/status/capacity/cpu", guest.ask("nproc")?),
        ("/status/capacity/pods", "110".into()),
        // Nobody runs them.
        ("/status/allocatable/pods", "0".into()),
        ("/status/capacity/memory", guest.ask("sed -n 's/^MemTotal: *\\([0-9]*\\) kB$/\\1Ki/p' /proc/meminfo")?),
    ];
    if !digest.is_empty() {
        want.push(("/metadata/labels/os.ballast.dev~1release", digest.chars().take(12).collect()));
    }
    for (path, value) in want {
        ensure!(text(&object, path) == value, "L03: {path} is {:?}, on the node it is {value}", object.pointer(path));
    }
    let runtime = text(&object, "/status/nodeInfo/containerRuntimeVersion");
    ensure!(runtime.starts_with("containerd://2."), "L03: the runtime is {runtime}");
    let addresses = object["status"]["addresses"].to_string();
    let own = guest.ask("ip -4 -o address show scope global up | sed -n '1s/.* inet \\([0-9.]*\\).*/\\1/p'")?;
    ensure!(
        addresses.contains(&own) && addresses.contains("InternalIP"),
        "L03: the addresses are {addresses}, not {own}"
    );
    let taints = object["spec"]["taints"].to_string();
    ensure!(taints.contains("example.com/dedicated"), "L03: the taints are {taints}");
    ensure!(taints.contains("os.ballast.dev/no-kubelet"), "L03: the taints are {taints}");
    ensure!(
        says(&object, "NoKubelet", "no kubelet runs"),
        "L03: the conditions are {}",
        object["status"]["conditions"]
    );
    let kib =
        |path| text(&object, path).trim_end_matches("Ki").parse::<u64>().with_context(|| format!("reading {path}"));
    let (all, left) = (kib("/status/capacity/memory")?, kib("/status/allocatable/memory")?);
    ensure!(left < all && left > all / 2, "L03: {left} KiB of {all} are for pods");
    Ok(())
}

/// What [`is_described`] looks for.
const LABELS: &str =
    "node_labels = {\"example.com/rack\" = \"r7\"}\nnode_taints = [\"example.com/dedicated=tests:NoSchedule\"]";

/// A secret is kept: its files are for root alone, and it is in no report.
fn is_kept(guest: &mut Guest, secret: &str) -> Result<()> {
    let modes = guest.ask("find /var/lib/ballast/clusters -exec stat --format='%a %F %n' {} +")?;
    ensure!(modes.lines().count() > 2, "nothing is kept of the cluster: {modes}");
    for line in modes.lines() {
        let right = if line.contains(" directory ") { "700 " } else { "600 " };
        if !line.starts_with(right) {
            bail!("it is open to others: {line}");
        }
    }
    crate::settings::secrets_are_kept(guest, secret)
}
