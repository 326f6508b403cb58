//! Three nodes in one pool with one slot: they are upgraded one after the other.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::cluster::{self, ControlPlane, Wanted};
use qemu_vm::deadline::Deadline;
use qemu_vm::installed::{on_the_network, proves_itself};
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, READY};
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::qemu::machine::{Network, OnReboot};
use qemu_vm::release::Base;
use qemu_vm::release_server::ReleaseServer;
use qemu_vm::scenario::Scenario;
use serde_json::Value;

use crate::cluster::{NAME, is, is_connected, reported, text};

const POOL: &str = "workers";
/// Each takes its time to fetch, and then boots alone.
const OVER: Duration = Duration::from_secs(900);
/// What a node and its QEMU need, in MiB.
const EACH_MIB: u64 = 1500;

#[test]
fn three_nodes_of_one_pool_upgrade_one_by_one() {
    Scenario::run("pool", |scenario| {
        let plane = scenario.control_plane("cluster", Wanted::default())?;
        cluster::install(&plane.kubectl)?;
        cluster::trust_nodes(&plane.kubectl)?;
        cluster::slots(&plane.kubectl, POOL, 1)?;
        let release_server = ReleaseServer::open(&scenario.lab.tools, scenario.scratch())?;
        let release = Base::of(&scenario.lab.image)?.release("20261122.1")?;
        let release = release.write(&release_server.folder().join("release"))?;
        let image = release_server.publish(&release)?;

        let names: Vec<String> = (1..=count()?).map(|number| format!("pool-{number}")).collect();
        let mut nodes = Vec::new();
        for name in &names {
            nodes.push(scenario.start(&options(&plane, &release_server, name)?)?);
        }
        for node in &mut nodes {
            node.ready(Deadline::after(READY))?;
            on_the_network(node)?;
            is_connected(node, NAME)?;
            proves_itself(node)?;
        }
        cluster::wants(&plane.kubectl, &names, &image)?;
        one_by_one(&plane, &names, &release.digest)?;
        println!("{}", plane.kubectl.run(&["get", "nodeos"])?);
        nodes.into_iter().for_each(Node::discard);
        Ok(())
    });
}

/// A node that stays in its QEMU over a reboot.
fn options(plane: &ControlPlane, release_server: &ReleaseServer, name: &str) -> Result<Options> {
    let joining = plane.joining(NAME)?.word("pool", POOL);
    let mut credentials = release_server.reported()?;
    credentials.push(reported(name, &joining.to_string())?);
    Ok(Options {
        firmware: FirmwareKind::Uefi,
        smp: 1,
        network: Network::User,
        on_reboot: OnReboot::Reset,
        credentials,
        ..Options::default()
    })
}

/// Looks on until all run the release and take pods: never is more than one of them out of service.
fn one_by_one(plane: &ControlPlane, names: &[String], digest: &str) -> Result<()> {
    let deadline = Deadline::after(OVER);
    let mut order: Vec<String> = Vec::new();
    loop {
        let nodes = plane.kubectl.get(&["nodes"])?;
        let nodes = nodes["items"].as_array().context("there are no nodes")?;
        let out: Vec<&str> =
            nodes.iter().filter(|node| is_out(node)).map(|node| text(node, "/metadata/name")).collect();
        if out.len() > 1 {
            bail!("two of them are out of service at once: {out:?}");
        }
        if let Some(name) = out.first().filter(|name| order.last().is_none_or(|last| last != *name)) {
            order.push((*name).to_owned());
        }
        let systems = plane.kubectl.get(&["nodeos"])?;
        let systems = systems["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let done = systems
            .iter()
            .filter(|os| text(os, "/status/booted/digest") == digest && text(os, "/status/phase") == "Idle");
        let done = done.count();
        if done == names.len() && out.is_empty() && cluster::held(&plane.kubectl, POOL)?.is_empty() {
            break;
        }
        if deadline.is_over() {
            bail!("{done} of {} run the release within {deadline}: {systems:?}", names.len());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    ensure!(order.len() == names.len(), "they went out of service in the order {order:?}");
    Ok(())
}

fn is_out(node: &Value) -> bool {
    node["spec"]["unschedulable"] == true || !is(node, "Ready", "True")
}

/// Three; two where memory is short.
fn count() -> Result<usize> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let available =
        meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse().ok());
    let available: u64 = available.context("there is no MemAvailable in /proc/meminfo")?;
    Ok(if available / 1024 > 4 * EACH_MIB { 3 } else { 2 })
}
