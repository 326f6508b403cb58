//! N, F and the node's own surface: without a network and without user-data it is READY; who may see what of it.

use anyhow::{Context, Result, ensure};
use qemu_bench::budget::{Budget, Figure};
use qemu_vm::lab::Options;
use qemu_vm::memory::agent_resident;
use qemu_vm::node::Node;
use qemu_vm::scenario::Scenario;

/// One boot, looked at from all sides: it has neither network nor user-data, as all boots here, but says so and checks.
#[test]
fn n13_f01_ready_without_network_and_user_data() {
    Scenario::run("n13_f01", |scenario| {
        let mut node = scenario.healthy(&Options::default())?;
        let interfaces = node.guest.ask("ls /sys/class/net")?;
        ensure!(interfaces == "lo", "the node has a network: {interfaces}");
        let name = node.guest.ask("cat /proc/sys/kernel/hostname")?;
        ensure!(name == "ballast", "without DHCP and settings the node is called {name}");
        let reasons = node.status()?.reasons;
        ensure!(reasons.is_empty(), "without user-data the node warns: {reasons:?}");
        nobody_looked_for_settings(&mut node)?;
        canary_reports_the_boot(&mut node)?;
        status_is_for_root_only(&mut node)?;
        ostree_shows_the_booted_deployment(&mut node, &scenario.lab.image.commit)?;
        let resident = agent_resident(&mut node.guest)?;
        println!("agent, resident: {:.1} MB", resident as f64 / 1e6);
        let limit = Budget::load()?.entry(Figure::AgentMemoryBytes).limit;
        ensure!(resident <= limit, "the agent takes {resident} bytes of memory");
        boot_agrees_with_the_status(&mut node)?;
        let person = node.guest.ask("ballast status")?;
        ensure!(person.contains("ready") && person.contains("canary"), "the report for a person says: {person}");
        node.power_off()
    });
}

/// F01: there is nothing to read, so nothing was read, rendered or started for it on the way to READY.
fn nobody_looked_for_settings(node: &mut Node) -> Result<()> {
    let settings = node.status()?.settings;
    ensure!(
        settings.sources.is_empty() && settings.problems.is_empty(),
        "F01: without user-data there is {settings:?}"
    );
    let early = node
        .guest
        .ask("systemctl show --property=ConditionResult,ExecMainStartTimestampMonotonic ballast-settings.service")?;
    ensure!(early.contains("ConditionResult=no") && early.contains("Monotonic=0"), "F01: it was started: {early}");
    Ok(())
}

/// The preloaded pod really ran in this boot, not in another.
fn canary_reports_the_boot(node: &mut Node) -> Result<()> {
    let reported = node.guest.ask("cat /run/ballast/canary/boot_id")?;
    let boot = node.guest.ask("cat /proc/sys/kernel/random/boot_id")?;
    ensure!(reported == boot, "the canary wrote {reported:?}, the boot is {boot}");
    Ok(())
}

fn status_is_for_root_only(node: &mut Node) -> Result<()> {
    let socket = node.guest.ask("stat --format='%a %u %g %F' /run/ballast/agent.sock")?;
    ensure!(socket == "600 0 0 socket", "the status socket is {socket}");
    let other = node.guest.shell("setpriv --reuid=65534 --regid=65534 --clear-groups ballast status --json")?;
    ensure!(other.status != 0 && other.stdout.is_empty(), "nobody may read the status: {}", other.text());
    ensure!(other.warning().contains("root"), "the refusal names no remedy: {}", other.warning());
    Ok(())
}

fn ostree_shows_the_booted_deployment(node: &mut Node, commit: &str) -> Result<()> {
    let text = node.guest.ask("ostree admin status")?;
    let booted = text.lines().find(|line| line.trim_start().starts_with("* "));
    ensure!(booted.is_some_and(|line| line.contains(commit)), "ostree does not show {commit} as booted: {text}");
    Ok(())
}

/// `ballast boot` reports the same boot as the status, and has the rows that every boot has.
fn boot_agrees_with_the_status(node: &mut Node) -> Result<()> {
    let status = node.status()?.boot;
    let text = node.guest.ask("ballast boot --json")?;
    let boot: serde_json::Value = serde_json::from_str(&text).with_context(|| format!("reading {text}"))?;
    ensure!(
        boot["ready_us"] == status.ready_ms * 1000,
        "READY is {} there, {} ms here",
        boot["ready_us"],
        status.ready_ms
    );
    let parts = boot["parts"].as_array().context("there are no parts")?;
    let part =
        |name: &str| parts.iter().find(|part| part["name"] == name).with_context(|| format!("no {name} in {text}"));
    for name in ["kernel", "/init", "root", "composefs", "switch root", "systemd", "systemd-journald.service"] {
        part(name)?;
    }
    for name in ["containerd.service", "ballast.service"] {
        let unit = part(name)?;
        let (start, cpu) = (unit["start_us"].as_u64(), unit["cpu_us"].as_u64());
        ensure!(start.is_some_and(|at| at > 0 && at < status.ready_ms * 1000), "{name} starts at {start:?}");
        ensure!(cpu.is_some_and(|us| us > 0 && us < status.busy_ms * 1000), "{name} has {cpu:?} of CPU time");
    }
    let init = part("/init")?;
    ensure!(
        init["end_us"] == (status.kernel_ms + status.initramfs_ms) * 1000,
        "/init is {init}, the status {status:?}"
    );
    let by = boot["busy_by"].as_array().context("there is no busy_by")?;
    let sum: u64 = by.iter().filter_map(|one| one["cpu_us"].as_u64()).sum();
    // Ticks of a hundredth of a second for each CPU on one side, exact time on the other.
    ensure!(sum.abs_diff(status.busy_ms * 1000) <= 50_000, "of {} ms, {sum} us are accounted for", status.busy_ms);
    let table = node.guest.ask("ballast boot")?;
    let ready = format!("{}.{:03} s", status.ready_ms / 1000, status.ready_ms % 1000);
    ensure!(table.contains(&format!("READY in {ready}")), "the table does not say READY in {ready}: {table}");
    let row =
        |name: &str| table.lines().position(|line| line.ends_with(name)).with_context(|| format!("no {name}: {table}"));
    ensure!(row("containerd.service")? < row("---- READY ----")?, "containerd is not above READY: {table}");
    Ok(())
}
