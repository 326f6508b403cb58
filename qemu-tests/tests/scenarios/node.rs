//! N, F and the node's own surface: without a network and without user-data it is READY; who may see what of it.

use anyhow::{Result, ensure};
use qemu_tests::budget::{Budget, Figure};
use qemu_tests::lab::Options;
use qemu_tests::memory::agent_resident;
use qemu_tests::node::Node;
use qemu_tests::scenario::Scenario;

/// One boot, looked at from all sides: it has neither network nor user-data, as all boots here, but says so and checks.
#[test]
fn n13_f01_ready_without_network_and_user_data() {
    Scenario::run("n13_f01", |scenario| {
        let mut node = scenario.healthy(&Options::default())?;
        let interfaces = node.guest.ask("ls /sys/class/net")?;
        ensure!(interfaces == "lo", "the node has a network: {interfaces}");
        let reasons = node.status()?.reasons;
        ensure!(reasons.is_empty(), "without user-data the node complains: {reasons:?}");
        canary_tells_the_boot(&mut node)?;
        status_is_for_root_only(&mut node)?;
        ostree_shows_the_booted_deployment(&mut node, &scenario.lab.image.commit)?;
        let resident = agent_resident(&mut node.guest)?;
        println!("agent, resident: {:.1} MB", resident as f64 / 1e6);
        let limit = Budget::load()?.entry(Figure::AgentMemoryBytes).limit;
        ensure!(resident <= limit, "the agent takes {resident} bytes of memory");
        let person = node.guest.ask("ballast status")?;
        ensure!(person.contains("ready") && person.contains("canary"), "the report for a person says: {person}");
        node.power_off()
    });
}

/// The preloaded pod really ran in this boot, not in another.
fn canary_tells_the_boot(node: &mut Node) -> Result<()> {
    let told = node.guest.ask("cat /run/ballast/canary/boot_id")?;
    let boot = node.guest.ask("cat /proc/sys/kernel/random/boot_id")?;
    ensure!(told == boot, "the canary wrote {told:?}, the boot is {boot}");
    Ok(())
}

fn status_is_for_root_only(node: &mut Node) -> Result<()> {
    let socket = node.guest.ask("stat --format='%a %u %g %F' /run/ballast/agent.sock")?;
    ensure!(socket == "600 0 0 socket", "the status socket is {socket}");
    let other = node.guest.shell("setpriv --reuid=65534 --regid=65534 --clear-groups ballast status --json")?;
    ensure!(other.status != 0 && other.stdout.is_empty(), "nobody may read the status: {}", other.text());
    ensure!(other.complaint().contains("root"), "the refusal names no remedy: {}", other.complaint());
    Ok(())
}

fn ostree_shows_the_booted_deployment(node: &mut Node, commit: &str) -> Result<()> {
    let text = node.guest.ask("ostree admin status")?;
    let booted = text.lines().find(|line| line.trim_start().starts_with("* "));
    ensure!(booted.is_some_and(|line| line.contains(commit)), "ostree does not show {commit} as booted: {text}");
    Ok(())
}
