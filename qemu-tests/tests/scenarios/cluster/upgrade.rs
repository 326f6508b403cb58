//! An upgrade by `NodeOS`, end to end: another node has the slot, then good, then a release that falls back.

use anyhow::{Context, Result, ensure};
use qemu_vm::cluster::{self, ControlPlane, Wanted};
use qemu_vm::deadline::Deadline;
use qemu_vm::installed::{Boot, Installed};
use qemu_vm::node::{Node, READY};
use qemu_vm::release::Release;
use qemu_vm::scenario::Scenario;
use serde_json::{Value, json};

use super::{LABELS, NAME, SOON, is_connected, is_described, node_when, os_when, reported, text};

const HOST: &str = "worker-3";
const POOL: &str = "default";
/// A node of the pool that is not there.
const OTHER: &str = "worker-9";
/// Fetching, deploying and looking whether it is in order, on a busy emulated node.
const PREPARED: u64 = 300;

#[test]
fn upgrade_by_node_os_blocked_good_and_bad() {
    Scenario::run("upgrade_by_node_os", |scenario| {
        let plane = scenario.control_plane("cluster", Wanted::default())?;
        cluster::install(&plane.kubectl)?;
        cluster::trust_nodes(&plane.kubectl)?;
        cluster::slots(&plane.kubectl, POOL, 1)?;
        let mut host = Installed::on(scenario)?;
        let joining = plane.joining(NAME)?.line(LABELS);
        host.options.credentials.push(reported(HOST, &joining.to_string())?);
        let (good, good_name) = host.publish(host.release("20261122.1")?)?;
        let (bad, bad_name) = host.publish(Release::without_init(host.release("20261122.2")?)?)?;

        let mut node = host.boot()?;
        is_connected(&mut node, NAME)?;
        is_described(&plane.kubectl, HOST, &mut node.guest)?;
        let node = waits(&plane, node, &good_name).context("another node has the slot")?;
        node.ends(Deadline::after(READY))?;

        let mut node = host.boot().context("the new release")?;
        crate::upgrade::runs(&mut node, &good.digest)?;
        is_well(&plane, &good.digest)?;
        is_described(&plane.kubectl, HOST, &mut node.guest).context("after an upgrade")?;

        cluster::wants(&plane.kubectl, &[HOST.into()], &bad_name)?;
        node.ends(Deadline::secs(PREPARED))?;
        host.leave_one_try()?;
        ensure!(matches!(host.try_boot()?, Boot::Ended(_)), "a release without /init came up");
        let mut node = host.boot().context("the release before it")?;
        crate::upgrade::runs(&mut node, &good.digest)?;
        reports_why(&plane, &bad.digest)?;
        gives_up(&plane)?;
        node.power_off()
    });
}

/// The release is prepared; while another node has the only slot nothing goes on, and everyone sees why. A slot that names this node as its
/// holder, as anybody could write it who may write slots, changes nothing.
fn waits(plane: &ControlPlane, mut node: Node, image: &str) -> Result<Node> {
    let kubectl = &plane.kubectl;
    let slot = format!("{POOL}-0");
    cluster::claims(kubectl, OTHER, &slot, "a test keeps it")?;
    kubectl.patch(&["lease", &slot, "--namespace=ballast-system"], &json!({"spec": {"holderIdentity": HOST}}))?;
    cluster::wants(kubectl, &[HOST.into()], image)?;
    let waiting = os_when(kubectl, HOST, PREPARED, "it waits for the slot", |os| {
        let message = text(os, "/status/message");
        text(os, "/status/phase") == "WaitingForSlot" && message.contains(OTHER) && message.contains("a test keeps it")
    })?;
    ensure!(waiting["status"]["next"]["version"] == "20261122.1", "prepared is {}", waiting["status"]);
    let object = kubectl.get(&["node", HOST])?;
    ensure!(object["spec"]["unschedulable"] != true, "it is cordoned without a slot: {}", object["spec"]);
    ensure!(node.status()?.ready, "a node that waits is not ready");
    cluster::frees(kubectl, OTHER)?;
    Ok(node)
}

/// It runs what is wanted, takes pods, and holds up nobody.
fn is_well(plane: &ControlPlane, digest: &str) -> Result<()> {
    os_when(&plane.kubectl, HOST, SOON, "the rollout is over", |os| {
        text(os, "/status/phase") == "Idle" && text(os, "/status/booted/digest") == digest
    })?;
    node_when(&plane.kubectl, HOST, "it is uncordoned", is_schedulable)?;
    let held = cluster::held(&plane.kubectl, POOL)?;
    ensure!(held.is_empty(), "a slot is still held: {held:?}");
    Ok(())
}

/// What `kubectl get nodeos` shows of a release that did not come up. The old one serves; the slot stays taken, with the reason.
fn reports_why(plane: &ControlPlane, bad: &str) -> Result<()> {
    let kubectl = &plane.kubectl;
    let failed =
        os_when(kubectl, HOST, SOON, "the NodeOS says that it failed", |os| text(os, "/status/phase") == "Failed")?;
    let failed = failed["status"]["failed"].as_array().context("nothing has failed")?;
    let failed = failed.iter().find(|failed| failed["digest"] == bad);
    let reason = failed.and_then(|failed| failed["reason"].as_str()).filter(|reason| !reason.is_empty());
    let reason = reason.with_context(|| format!("it is not among the failed: {failed:?}"))?;
    let table = kubectl.run(&["get", "nodeos", "--output=wide"])?;
    let claims = ["get", "leases", "--namespace=kube-node-lease", "--label-columns=os.ballast.dev/slot"];
    println!("{table}\n{}", kubectl.run(&claims)?);
    ensure!(table.contains(reason), "kubectl does not show {reason:?}: {table}");
    node_when(kubectl, HOST, "the node takes pods again", is_schedulable)?;
    let held = cluster::held(kubectl, POOL)?;
    let reported = held.iter().any(|slot| slot.holder == HOST && slot.reason.is_some());
    ensure!(reported, "the slot does not say why it is held: {held:?}");
    let events = kubectl.run(&["get", "events", "--namespace=default"])?;
    ensure!(events.contains("RolledBack"), "there is no event of the rollback: {events}");
    Ok(())
}

/// Nothing is wanted any more: the slot is free for others.
fn gives_up(plane: &ControlPlane) -> Result<()> {
    let change = json!({"spec": {"image": null}});
    plane.kubectl.patch(&["nodeos", HOST], &change)?;
    os_when(&plane.kubectl, HOST, SOON, "it is idle", |os| text(os, "/status/phase") == "Idle")?;
    let free = Deadline::secs(SOON).poll(std::time::Duration::from_secs(1), || {
        Ok::<_, anyhow::Error>(cluster::held(&plane.kubectl, POOL)?.is_empty().then_some(()))
    })?;
    free.context("the slot is still held")
}

fn is_schedulable(node: &Value) -> bool {
    node["spec"]["unschedulable"] != true
}
