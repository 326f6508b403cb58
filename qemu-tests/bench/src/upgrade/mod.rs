//! What an upgrade costs, for a release in which one package changed, and what a bad release costs: `target/bench/upgrade.json`.

mod release;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::report;
use qemu_vm::deadline::Deadline;
use qemu_vm::installed::Installed;
use qemu_vm::lab::Lab;
use qemu_vm::node::{Node, READY};
use qemu_vm::releases::Ended;
use qemu_vm::scenario::Scenario;

/// The package that changes: two libraries, the only ones of their source, some 2 MB as a layer.
const PACKAGE: &str = "libssl3t64";
const NEXT: &str = "20991231.1";
const BAD: &str = "20991231.2";

/// Bytes are those on the wire, compressed; seconds are of this host.
#[derive(Debug, Default, Serialize)]
struct Figures {
    /// The layer of the package that changed
    changed_bytes: u64,
    /// All that the registry sent: manifests, configuration, signature, layers
    fetched_bytes: u64,
    /// All layers of the release
    image_bytes: u64,
    /// `ballast upgrade --fetch-only`
    fetch_s: f64,
    /// `ballast upgrade` of what is fetched: deployment, kernel, boot entry
    deploy_s: f64,
    /// From the reboot's being asked for until READY, QEMU's own start among it
    reboot_to_ready_s: f64,
    /// From the first start of a release whose kernel panics until READY on the one before, three tries later
    failed_to_old_ready_s: f64,
}

/// Measures all of it and writes `upgrade.json` into `folder`.
///
/// # Errors
/// When a release cannot be made, or an upgrade fails.
pub(super) fn measure(folder: &Path) -> Result<()> {
    println!("bench: an upgrade of one package, and a release that fails (some minutes)");
    let mut figures = Figures::default();
    Scenario::try_run("bench-upgrade", |scenario| figures_of(scenario, &mut figures))?;
    println!("bench: upgrade: {}", serde_json::to_string(&figures).context("writing figures as JSON")?);
    report::write(&folder.join("upgrade.json"), &figures)?;
    figures.check()
}

fn figures_of(scenario: &mut Scenario, figures: &mut Figures) -> Result<()> {
    let lab: Lab = scenario.lab.clone();
    let mut host = Installed::on(scenario)?;
    host.options.smp = 2;
    let made = release::with_changed(&lab, PACKAGE, NEXT, host.release_server.folder())?;
    (figures.changed_bytes, figures.image_bytes) = (made.changed_bytes, made.image_bytes);
    let name = host.release_server.publish_layout(&made.layout, NEXT)?;

    let mut node = host.boot()?;
    let mark = host.release_server.fault_proxy.mark();
    figures.fetch_s = timed(|| Ended::of(&mut node.guest, &["upgrade", "--fetch-only", &name])?.done())?;
    figures.fetched_bytes = host.release_server.fault_proxy.served_since(mark).iter().map(|one| one.sent).sum();
    figures.deploy_s = timed(|| Ended::of(&mut node.guest, &["upgrade", &name])?.done())?;
    let asked = Instant::now();
    node.reboot_to_exit()?;
    let node = ready(&mut host)?;
    figures.reboot_to_ready_s = seconds(asked);
    let node = host.settled(node)?;

    let (_, bad) = host.publish(host.release(BAD)?.without_init()?)?;
    host.upgrade_and_reboot(node, &bad)?;
    let began = Instant::now();
    for _ in 0..qemu_vm::installed::TRIES {
        host.scenario.start(&host.options)?.ends(Deadline::after(READY)).context("a release that fails")?;
    }
    let node = ready(&mut host)?;
    figures.failed_to_old_ready_s = seconds(began);
    host.settled(node)?.power_off()
}

fn ready(host: &mut Installed<'_>) -> Result<Node> {
    let mut node = host.scenario.start(&host.options)?;
    node.ready(Deadline::after(READY))?;
    Ok(node)
}

fn timed<T>(what: impl FnOnce() -> Result<T>) -> Result<f64> {
    let began = Instant::now();
    what()?;
    Ok(seconds(began))
}

fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

impl Figures {
    /// What the issue promises: not much more is fetched than what changed, and little of the whole.
    fn check(&self) -> Result<()> {
        let most = self.changed_bytes * 3 / 2 + 200_000;
        ensure!(self.fetched_bytes <= most, "{} bytes were fetched, more than {most}", self.fetched_bytes);
        let share = self.image_bytes / 20;
        ensure!(
            self.fetched_bytes <= share,
            "{} bytes were fetched, more than a twentieth of the image",
            self.fetched_bytes
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_is_checked() {
        let figures = |fetched_bytes, image_bytes| Figures {
            changed_bytes: 2_000_000,
            fetched_bytes,
            image_bytes,
            ..Figures::default()
        };
        assert!(figures(3_200_000, 70_000_000).check().is_ok());
        assert!(figures(3_200_001, 70_000_000).check().is_err());
        assert!(figures(3_200_000, 60_000_000).check().is_err());
    }
}
