//! N06–N08 and V07 toward the API server, and several clusters at once: one boot, in which everything is wrong first.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::cluster::{ControlPlane, Joining, TOKEN, Wanted};
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::qemu::machine::Network;
use qemu_vm::registry::Authority;
use qemu_vm::scenario::{Cases, Scenario};

use super::{NAME, SOON, is, is_connected, node_when, os_when, reported};

const HOST: &str = "worker-2";
/// A cluster that never answers, and one whose kubelet is elsewhere.
const GONE: &str = "gone";
const ELSEWHERE: &str = "elsewhere";

struct Member {
    plane: ControlPlane,
    node: Node,
    /// What the settings say beside the cluster that is changed
    others: String,
    stranger: Authority,
}

impl Member {
    /// What is said of the cluster from now on.
    fn joins(&mut self, joining: &Joining) -> Result<()> {
        let document = format!("{joining}{}", self.others);
        qemu_vm::settings::apply(&mut self.node.guest, &document).map(drop)
    }

    /// The cluster is not connected, for a reason that has `word`; the node is READY all the same.
    fn is_refused(&mut self, what: &str, word: &str) -> Result<()> {
        let status = self.node.status_when(what, SOON, |status| {
            let cluster = status.cluster(NAME).filter(|cluster| cluster.state != "connected");
            cluster.and_then(|cluster| cluster.reason.as_deref()).is_some_and(|reason| reason.contains(word))
        })?;
        ensure!(status.ready, "the node is not ready: {:?}", status.reasons);
        ensure!(status.reasons.iter().any(|reason| reason.contains(NAME)), "it is no reason: {:?}", status.reasons);
        Ok(())
    }
}

type Case = (&'static str, fn(&mut Member) -> Result<()>);

const CASES: [Case; 6] = [
    ("N08 the clock says 1970", clock_is_wrong),
    ("N06 401, then other credentials", other_credentials),
    ("N07 another authority", another_authority),
    ("two clusters, one unreachable", one_is_unreachable),
    ("report-only", report_only),
    ("V07 unreachable and back", unreachable_and_back),
];

#[test]
fn n06_n07_n08_v07_clusters_that_are_away_or_refuse() {
    Scenario::run("n06_n07_n08_v07", |scenario| {
        let plane = scenario.control_plane("cluster", Wanted::default())?;
        qemu_vm::cluster::install(&plane.kubectl)?;
        qemu_vm::cluster::trust_nodes(&plane.kubectl)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let gone = Joining::new(GONE, &[&format!("https://10.0.2.2:{port}")]).word("token", TOKEN);
        let of_node = plane.authority.sign(ELSEWHERE, &format!("/O=system:nodes/CN=system:node:{ELSEWHERE}"), None)?;
        let kubeconfig = plane.kubeconfig_for_guests()?.signed(&of_node)?.to_string();
        let elsewhere = Joining::new(ELSEWHERE, &[])
            .text("kubeconfig", &kubeconfig)
            .word("role", "report-only")
            .word("node_name", ELSEWHERE);
        let others = format!("{gone}{elsewhere}");
        let wrong = plane.joining(NAME)?.to_string().replace(TOKEN, "abcdef.fedcba9876543210");
        let options = Options {
            network: Network::User,
            clock: Some("1970-01-01T00:00:00"),
            credentials: vec![reported(HOST, &format!("{wrong}{others}"))?],
            ..Options::default()
        };
        let node = scenario.healthy(&options)?;
        let stranger = Authority::make(&scenario.lab.tools, scenario.scratch(), "stranger")?;
        let mut member = Member { plane, node, others, stranger };
        let mut cases = Cases::default();
        for (name, case) in CASES {
            cases.note(name, case(&mut member));
        }
        println!("{}", member.node.guest.ask("ballast clusters")?);
        cases.end()?;
        member.node.power_off()
    });
}

/// It says so and waits; somebody sets the clock, as a time server would.
fn clock_is_wrong(member: &mut Member) -> Result<()> {
    let what = "the node waits for the time";
    let status =
        member.node.status_when(what, SOON, |status| status.reasons.iter().any(|reason| reason.contains("clock")))?;
    ensure!(status.ready && !status.is_connected(NAME), "without the time it is {status:?}");
    ensure!(member.plane.kubectl.find(&["node", HOST])?.is_none(), "it joined without the time");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("reading the clock")?.as_secs();
    member.node.guest.ask(&format!("date --set=@{now}"))?;
    member.is_refused("N06: with the time, it is refused", "401")
}

fn other_credentials(member: &mut Member) -> Result<()> {
    let reported = member.plane.joining(NAME)?;
    member.joins(&reported)?;
    is_connected(&mut member.node, NAME)?;
    node_when(&member.plane.kubectl, HOST, "the Node is Ready", |node| is(node, "Ready", "True")).map(drop)
}

/// Whoever answers in the cluster's place gets nothing, although the node has a good certificate of its own.
fn another_authority(member: &mut Member) -> Result<()> {
    let ca = member.stranger.certificate()?;
    let wrong = Joining::new(NAME, &[&member.plane.url()]).text("ca", &ca).word("token", TOKEN);
    member.joins(&wrong)?;
    member.is_refused("N07: a server of another authority is not believed", "certificate")?;
    let right = member.plane.joining(NAME)?;
    member.joins(&right)?;
    is_connected(&mut member.node, NAME)
}

fn one_is_unreachable(member: &mut Member) -> Result<()> {
    let status = member.node.status()?;
    let gone = status.cluster(GONE).context("the status does not report the cluster that is unreachable")?;
    ensure!(
        gone.state == "unreachable" && gone.since.is_some() && gone.reason.is_some(),
        "the status reports {gone:?}"
    );
    ensure!(status.is_connected(NAME), "the other suffers: {:?}", status.cluster(NAME));
    Ok(())
}

/// No Node, only the OS.
fn report_only(member: &mut Member) -> Result<()> {
    is_connected(&mut member.node, ELSEWHERE)?;
    os_when(&member.plane.kubectl, ELSEWHERE, SOON, "its NodeOS reports the release", |os| {
        os["status"]["booted"]["version"].is_string()
    })?;
    ensure!(member.plane.kubectl.find(&["node", ELSEWHERE])?.is_none(), "there is a Node of it");
    Ok(())
}

fn unreachable_and_back(member: &mut Member) -> Result<()> {
    member.plane.stop_api()?;
    let status = member.node.status_when("V07: the status says that it is unreachable", SOON, |status| {
        status.cluster(NAME).is_some_and(|cluster| cluster.state == "unreachable" && cluster.since.is_some())
    })?;
    ensure!(status.ready && status.runs("canary"), "V07: the node suffers: {:?}", status.reasons);
    // Longer than the first back-offs.
    std::thread::sleep(Duration::from_secs(20));
    let table = member.node.guest.ask("ballast releases")?;
    ensure!(!table.is_empty(), "V07: releases cannot be looked at");
    member.plane.start_api()?;
    is_connected(&mut member.node, NAME)?;
    node_when(&member.plane.kubectl, HOST, "V07: it is Ready", |node| is(node, "Ready", "True"))?;
    let again = member.node.status()?;
    ensure!(again.cluster(NAME).is_some_and(|cluster| cluster.reason.is_none()), "{:?}", again.cluster(NAME));
    Ok(())
}
