//! A shell that the settings forbid: another boot alone allows it again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::installed::on_the_network;
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, READY};
use qemu_vm::qemu::network::Network;
use qemu_vm::release::PodImage;
use qemu_vm::release_server::ReleaseServer;
use qemu_vm::scenario::Scenario;

use super::{Way, Workstation, listens};
use crate::cluster::reported;

/// Nobody serves it: what is told of it says how far one came.
const IMAGE: &str = "127.0.0.1:1/toolbox:1";

const SHELL: [&str; 5] = ["shell", "--image", IMAGE, "--", "true"];

/// Forbidden, and not to be allowed in this boot.
pub(super) fn forbidden(way: &mut Way) -> Result<()> {
    let told = way.there.fails(&["shell"])?;
    ensure!(told.contains("name a toolbox with --image"), "{told}");
    way.there.says(&["settings", "set", "debug.shell", "never"])?;
    let told = way.there.fails(&SHELL)?;
    ensure!(told.contains("in the settings forbids it"), "{told}");
    way.there.says(&["settings", "unset", "debug.shell"])?;
    let told = way.there.fails(&SHELL)?;
    ensure!(told.contains("was \"never\" in this boot"), "{told}");
    way.node.guest.ask("systemctl kill --signal=KILL ballast.service")?;
    way.node.agent_is_back(60)?;
    listens(&mut way.node)?;
    let told = way.there.fails(&SHELL)?;
    ensure!(told.contains("was \"never\" in this boot"), "an agent that starts anew forgets it: {told}");
    let left = way.node.guest.ask("ls /run/ballast/shell 2>/dev/null | wc -l")?;
    ensure!(left.trim() == "0", "a shell that was not opened left {left}");
    Ok(())
}

/// In the next boot it is the toolbox that is missing.
pub(super) fn allowed_again(there: &Workstation) -> Result<()> {
    let told = there.fails(&SHELL)?;
    ensure!(!told.contains("never"), "{told}");
    Ok(())
}

/// Containers that containerd has running.
fn tasks(node: &mut Node) -> Result<String> {
    node.guest.ask("ls /run/containerd/io.containerd.runtime.v2.task/k8s.io | wc -l")
}

/// A06: from an image that is signed, on the node itself. It sees the host, shows in the status, ends with its time, and leaves nothing.
#[test]
fn a06_a_shell_from_a_signed_toolbox_ends_with_its_time() {
    Scenario::run("a06", |scenario| {
        let server = ReleaseServer::open(&scenario.lab.tools, scenario.scratch())?;
        let toolbox = PodImage::toolbox(&scenario.lab.image, &scenario.scratch().join("toolbox"))?;
        let signed = server.publish_layout(&toolbox.folder, "toolbox")?;
        let unsigned = server.publish_pod(&toolbox, "unsigned")?;
        let mut credentials = server.reported_key()?;
        credentials.push(reported("tools", &server.setting(&[])?)?);
        let options = Options { network: Network::User, credentials, ..Options::default() };
        let mut node = scenario.start(&options)?;
        node.ready(Deadline::after(READY))?;
        on_the_network(&mut node)?;
        node.status_when("the canary runs", 120, |status| status.runs("canary"))?;
        let before = tasks(&mut node)?;

        let refused = node.guest.shell(&format!("ballast shell --image {unsigned} -- /bin/true </dev/null"))?;
        ensure!(refused.status == 1 && refused.warning().contains("signature"), "unsigned: {refused:?}");

        let look = "cat /host/etc/os-release; cat /proc/1/comm; echo back >/host/run/from-the-shell; exit 7";
        let output = node.guest.shell(&format!("ballast shell --image {signed} -- /bin/sh -c '{look}' </dev/null"))?;
        let said = output.text();
        ensure!(output.status == 7, "it ended with {}: {said}{}", output.status, output.warning());
        ensure!(said.contains("ID=ballast") && said.contains("systemd"), "it does not see the host: {said}");
        ensure!(node.guest.ask("cat /run/from-the-shell")?.trim() == "back", "it cannot write on the host");
        is_over(&mut node, &before).context("after a command")?;

        // One that stays is ended with its time, whatever it does.
        let begun = Instant::now();
        node.guest.ask(&format!(
            "(ballast shell --image {signed} --minutes 1 -- /bin/sleep 10000 </dev/null; echo ended >/run/shell-ended) >/dev/null 2>&1 &"
        ))?;
        node.status_when("the status shows it", 90, |status| status.reasons.iter().any(|why| why.contains("shell")))?;
        let ended = Deadline::secs(180).poll(Duration::from_secs(1), || {
            Ok::<_, anyhow::Error>(node.guest.ask("cat /run/shell-ended || :")?.contains("ended").then_some(()))
        })?;
        ended.context("a minute later it is open still")?;
        println!("a shell of one minute was over after {} s", begun.elapsed().as_secs());
        is_over(&mut node, &before).context("after its time")?;
        node.power_off()
    });
}

/// Nothing of a shell is left.
fn is_over(node: &mut Node, tasks_before: &str) -> Result<()> {
    node.status_when("the status shows none", 60, |status| status.reasons.is_empty())?;
    ensure!(node.guest.ask("ls /run/ballast/shell 2>/dev/null | wc -l")?.trim() == "0", "its mark is left");
    let left = tasks(node)?;
    ensure!(left == tasks_before, "{left} containers run, and {tasks_before} before");
    Ok(())
}
