//! What must hold after every healthy boot, in every test (scenarios.md, first paragraph).

mod agreement;
mod mounts;
mod ports;
mod setuid;
mod warnings;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::node::Node;
use crate::workspace::Image;

/// From READY to the end of the boot, on a busy host.
const BOOT: Duration = Duration::from_secs(180);

/// Checks all of them on a node that is READY; all that fail are reported at once.
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
        ("console", warnings::check(&node.console.lines())),
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

/// READY comes before the rest of the boot, in which units may fail as well. The guest waits by itself: an emulated machine
/// that is asked again and again has little time left for its boot.
///
/// # Errors
/// When it is not in time.
pub fn boot_is_over(node: &mut Node) -> Result<()> {
    // "running" or "degraded": its exit status is that of the question, not of the asking.
    let state = node.guest.shell_within("systemctl is-system-running --wait", BOOT)?.text();
    if !matches!(state.as_str(), "running" | "degraded") {
        let jobs = node.guest.ask("systemctl --no-pager list-jobs")?;
        bail!("the boot is not over within {} s: {state} {jobs}", BOOT.as_secs());
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
