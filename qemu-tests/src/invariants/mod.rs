//! What must hold after every healthy boot, in every test (scenarios.md, first paragraph).

mod agreement;
mod complaints;
mod mounts;
mod ports;
mod setuid;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::deadline::Deadline;
use crate::node::Node;
use crate::workspace::Image;

/// Checks all of them on a node that is READY; all that fail are told at once.
///
/// # Errors
/// One line for each that does not hold.
pub fn check(node: &mut Node, image: &Image) -> Result<()> {
    check_but(node, image, &[])
}

/// The same, where a test has broken the units `broken` on purpose.
///
/// # Errors
/// As [`check`].
pub fn check_but(node: &mut Node, image: &Image, broken: &[&str]) -> Result<()> {
    check_release(node, Some(&image.commit), broken)
}

/// The same, for a node that runs the release `commit`, or whichever it says it does.
///
/// # Errors
/// As [`check`].
pub fn check_release(node: &mut Node, commit: Option<&str>, broken: &[&str]) -> Result<()> {
    boot_is_over(node)?;
    let checks = [
        ("failed units", failed_units(node, broken)),
        ("console", complaints::check(&node.console.lines())),
        ("immutable /usr", mounts::check(&mut node.guest)),
        ("setuid files", setuid::check(&mut node.guest)),
        ("listening ports", ports::check(&mut node.guest)),
        ("status", agreement::check(node, commit)),
    ];
    let broken: Vec<String> = checks
        .into_iter()
        .filter_map(|(what, result)| result.err().map(|error| format!("{what}: {error:#}")))
        .collect();
    if !broken.is_empty() {
        bail!("what must hold after every boot does not:\n  {}", broken.join("\n  "));
    }
    Ok(())
}

/// READY comes before the rest of the boot, in which units may fail as well.
fn boot_is_over(node: &mut Node) -> Result<()> {
    let deadline = Deadline::secs(180);
    let over = deadline.poll(Duration::from_millis(500), || {
        // "running" or "degraded": its exit status is that of the question, not of the asking.
        let state = node.guest.shell("systemctl is-system-running")?.text();
        Ok::<_, anyhow::Error>((!matches!(state.as_str(), "initializing" | "starting")).then_some(()))
    })?;
    if over.is_none() {
        bail!("the boot is not over within {deadline}: {}", node.guest.ask("systemctl --no-pager list-jobs")?);
    }
    Ok(())
}

fn failed_units(node: &mut Node, broken: &[&str]) -> Result<()> {
    let text =
        node.guest.ask("systemctl list-units --failed --plain --no-legend --no-pager").context("asking systemd")?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    let failed: Vec<&str> = names.filter(|name| !broken.contains(name)).collect();
    if !failed.is_empty() {
        bail!("{} failed", failed.join(", "));
    }
    Ok(())
}
