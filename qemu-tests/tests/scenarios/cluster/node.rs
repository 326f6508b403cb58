//! L01–L06, V09 and F03 toward the cluster: one boot, in which one thing after the other is done to the node.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::cluster::{self, ControlPlane, Joining, TOKEN, Wanted};
use qemu_vm::deadline::Deadline;
use qemu_vm::lab::Options;
use qemu_vm::memory::agent_resident;
use qemu_vm::node::Node;
use qemu_vm::qemu::machine::Network;
use qemu_vm::scenario::{Cases, Scenario, unit};
use serde_json::Value;

use super::{
    LABELS, NAME, SOON, condition, is, is_connected, is_described, is_kept, node_when, os_when, reported, says,
};

const HOST: &str = "worker-1";
/// From the last heartbeat until the cluster gives a node up (node-monitor-grace-period), twice.
const GIVEN_UP: u64 = 120;
/// Eight minutes from five minutes ago: the first renewal is due within three minutes, so none is missed here.
const CERTIFICATES: Duration = Duration::from_secs(8 * 60);

/// What the agent may take with a cluster.
const AGENT_BYTES: u64 = 20_000_000;

struct Member {
    plane: ControlPlane,
    node: Node,
}

type Case = (&'static str, fn(&mut Member) -> Result<()>);

const CASES: [Case; 12] = [
    ("L01 joins", joins),
    ("L04 what it may not do", may_not),
    ("L03 described", described),
    ("no kubelet, no pods", offers_no_pods),
    ("F03 a setting that does not apply", setting_does_not_apply),
    ("V09 a failed unit", failed_unit),
    ("events", events),
    ("L05 cordoned", stays_cordoned),
    ("L06 deleted", registers_again),
    ("L02 the heartbeat stops", heartbeat_stops),
    ("L01 rotation", rotates),
    ("the agent's memory", memory),
];

#[test]
fn l01_l02_l03_l04_l05_l06_v09_f03_what_a_node_is_to_its_cluster() {
    Scenario::run("l01_to_l06", |scenario| {
        let plane = scenario.control_plane("cluster", Wanted { certificates_last: CERTIFICATES })?;
        // CRD and no rights for it yet: L04.
        cluster::install_only_types(&plane.kubectl)?;
        // Reported the hash only, it has to find the authority by itself; what answers first is not there.
        let gone = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let servers = [format!("https://10.0.2.2:{gone}"), plane.url()];
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        let joining =
            Joining::new(NAME, &servers).word("ca_hash", &plane.authority.hash()?).word("token", TOKEN).line(LABELS);
        let broken = unit("broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")?;
        let credentials = vec![reported(HOST, &format!("colour = \"blue\"\n{joining}"))?, broken];
        let node = scenario.healthy(&Options { network: Network::User, credentials, ..Options::default() })?;
        let mut member = Member { plane, node };
        let mut cases = Cases::default();
        for (name, case) in CASES {
            cases.note(name, case(&mut member));
        }
        println!("{}", member.plane.kubectl.run(&["get", "nodes", "--output=wide"])?);
        println!("{}", member.plane.kubectl.run(&["get", "nodeos"])?);
        cases.end()?;
        member.node.power_off()
    });
}

fn joins(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    is_connected(node, NAME)?;
    node_when(&plane.kubectl, HOST, "the Node is Ready", |node| is(node, "Ready", "True"))?;
    let status = node.status()?;
    let cluster = status.cluster(NAME).context("the status does not report it")?;
    ensure!(cluster.server.as_deref() == Some(&plane.url()), "it is connected to {:?}", cluster.server);
    ensure!(cluster.certificate_until.is_some() && cluster.role == "node", "the status reports {cluster:?}");
    let table = node.guest.ask("ballast clusters")?;
    ensure!(table.contains(NAME) && table.contains("connected"), "ballast clusters prints {table}");
    is_kept(&mut node.guest, TOKEN)
}

/// Refused is what the operator did not allow yet: said once, and nothing else suffers.
fn may_not(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    let refused = |reasons: &[String]| reasons.iter().any(|reason| reason.contains("nodeos") && reason.contains(NAME));
    node.status_when("that it may not report its OS is a reason", SOON, |status| refused(&status.reasons))?;
    // Long enough for a loop to show itself: three heartbeats.
    std::thread::sleep(Duration::from_secs(30));
    let lines =
        node.guest.ask("journalctl --boot --no-pager --unit=ballast.service | grep -ci 'nodeos.*forbidden' || :")?;
    ensure!(matches!(lines.parse(), Ok(1..=2)), "the journal reports it {lines} times");
    node_when(&plane.kubectl, HOST, "it stays Ready", |node| is(node, "Ready", "True"))?;

    cluster::install(&plane.kubectl)?;
    node.guest.ask("systemctl restart ballast.service")?;
    node.agent_is_back(SOON)?;
    // It may not make its NodeOS on this version, and says so.
    let waits = |reasons: &[String]| reasons.iter().any(|reason| reason.contains("there is no NodeOS"));
    node.status_when("that nobody made its NodeOS is a reason", SOON, |status| waits(&status.reasons))?;
    cluster::node_oses(&plane.kubectl, &[HOST.to_owned()])?;
    os_when(&plane.kubectl, HOST, SOON, "the NodeOS reports the release", |os| {
        os["status"]["booted"]["version"].is_string()
    })?;
    let is_gone = |reasons: &[String]| !refused(reasons) && !waits(reasons);
    node.status_when("the reason is gone", SOON, |status| is_gone(&status.reasons)).map(drop)
}

fn described(member: &mut Member) -> Result<()> {
    is_described(&member.plane.kubectl, HOST, &mut member.node.guest)
}

fn offers_no_pods(member: &mut Member) -> Result<()> {
    cluster::offers_no_pods(&member.plane.kubectl, HOST, &["example.com/dedicated"])
}

fn setting_does_not_apply(member: &mut Member) -> Result<()> {
    let what = "the Node says which setting does not apply";
    node_when(&member.plane.kubectl, HOST, what, |node| says(node, "SettingsDegraded", "colour")).map(drop)
}

fn failed_unit(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    node.guest.shell("systemctl start broken.service")?;
    let failed = |node: &Value| says(node, "OSDegraded", "broken.service") && is(node, "Ready", "True");
    node_when(&plane.kubectl, HOST, "the Node says which unit failed", failed)?;
    node.guest.ask("systemctl reset-failed broken.service")?;
    node_when(&plane.kubectl, HOST, "the condition goes with the failure", |node| is(node, "OSDegraded", "False"))
        .map(drop)
}

/// One for each boot, one for each restart of the runtime, however often they are reported.
fn events(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    node.guest.ask("systemctl kill --signal=KILL containerd.service")?;
    let of_node = format!("--field-selector=involvedObject.name={HOST}");
    let arguments = ["events", "--namespace=default", &of_node];
    let count = |list: &Value, reason: &str| {
        list["items"].as_array().into_iter().flatten().filter(|event| event["reason"] == reason).count()
    };
    let what = "there are events of the boot and the runtime's restart";
    let list = plane.kubectl.when(what, Deadline::secs(SOON), &arguments, |list| {
        count(list, "Booted") > 0 && count(list, "RuntimeRestarted") > 0
    })?;
    // The agent was started twice in this boot.
    ensure!(count(&list, "Booted") == 1, "the boot was reported {} times", count(&list, "Booted"));
    node_when(&plane.kubectl, HOST, "it is Ready again", |node| is(node, "Ready", "True")).map(drop)
}

fn stays_cordoned(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    plane.kubectl.run(&["cordon", HOST])?;
    node.guest.ask("systemctl restart ballast.service")?;
    node.agent_is_back(SOON)?;
    is_connected(node, NAME)?;
    // Two heartbeats of the agent that was started anew.
    std::thread::sleep(Duration::from_secs(20));
    let object = plane.kubectl.get(&["node", HOST])?;
    ensure!(object["spec"]["unschedulable"] == true, "L05: somebody uncordoned it: {}", object["spec"]);
    plane.kubectl.run(&["uncordon", HOST]).map(drop)
}

fn registers_again(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    let before = plane.kubectl.get(&["node", HOST])?["metadata"]["uid"].clone();
    plane.kubectl.run(&["delete", "node", HOST])?;
    let another = |node: &Value| node["metadata"]["uid"] != before && is(node, "Ready", "True");
    node_when(&plane.kubectl, HOST, "L06: it is there again", another)?;
    is_described(&plane.kubectl, HOST, &mut node.guest)
}

fn heartbeat_stops(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    node.guest.ask("systemctl stop ballast.service")?;
    let what = "L02: without a heartbeat it is NotReady";
    let unknown = |node: &Value| is(node, "Ready", "Unknown");
    plane.kubectl.when(what, Deadline::secs(GIVEN_UP), &["node", HOST], unknown)?;
    // Deleted while nobody is there to end it.
    cluster::bind(&plane.kubectl, HOST, "hangs")?;
    plane.kubectl.run(&["delete", "pod", "hangs", "--wait=false"])?;
    ensure!(plane.kubectl.get(&["pod", "hangs"])?["metadata"]["deletionTimestamp"].is_string(), "it is not deleted");
    node.guest.ask("systemctl start ballast.service")?;
    node.agent_is_back(SOON)?;
    let ready = node_when(&plane.kubectl, HOST, "L02: with one it is Ready", |node| is(node, "Ready", "True"))?;
    let reason = condition(&ready, "Ready").map(|condition| condition["reason"].to_string());
    ensure!(reason.as_deref() == Some("\"BallastReady\""), "it is Ready because of {reason:?}");
    cluster::no_pods(&plane.kubectl)
}

/// The certificate was renewed under the running agent, by the node itself, before it ended.
fn rotates(member: &mut Member) -> Result<()> {
    let Member { plane, node } = member;
    let user = format!("system:node:{HOST}");
    let what = "the node asks for another certificate";
    plane.kubectl.when(what, Deadline::after(CERTIFICATES), &["csr"], |list| {
        let requests = list["items"].as_array().into_iter().flatten();
        requests
            .filter(|csr| csr["spec"]["username"] == user.as_str() && csr["status"]["certificate"].is_string())
            .count()
            > 0
    })?;
    is_connected(node, NAME)?;
    let until = node.status()?.cluster(NAME).and_then(|cluster| cluster.certificate_until);
    let now: u64 = node.guest.ask("date +%s")?.parse()?;
    ensure!(until.is_some_and(|until| until > now), "the certificate ended at {until:?}, it is {now}");
    node_when(&plane.kubectl, HOST, "it is still Ready", |node| is(node, "Ready", "True"))?;
    is_kept(&mut node.guest, TOKEN)
}

/// After all of that, several connections and two certificates later.
fn memory(member: &mut Member) -> Result<()> {
    let resident = agent_resident(&mut member.node.guest)?;
    println!("with a cluster, the agent takes {resident} bytes");
    ensure!(resident <= AGENT_BYTES, "the agent takes {resident} bytes of memory, more than {AGENT_BYTES}");
    Ok(())
}
