//! A node on a disk of its own, through UEFI, with a network and a release server to upgrade from; booted as often as a test needs.
//!
//! A reset ends QEMU, so each boot is one run, and boots are counted exactly (R16).

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::console::Line;
use crate::crash::run::Recording;
use crate::deadline::Deadline;
use crate::disk::Disk;
use crate::disk::entries::{EntryName, Tries};
use crate::disk::esp::Esp;
use crate::guest::quote;
use crate::invariants;
use crate::lab::Options;
use crate::node::{Node, PODS_SECS, READY, READY_LINE};
use crate::qemu::firmware::FirmwareKind;
use crate::qemu::machine::Network;
use crate::release::{Base, Release, Written};
use crate::release_server::ReleaseServer;
use crate::releases::{AGAIN, Ended, Releases, when};
use crate::scenario::Scenario;
use crate::snapshot::Recipe;

/// From READY until health checks are done and the entry is blessed, on a busy host.
const BLESSED: u64 = 240;
/// The slowest way to fail: the whole time that a release on trial has, and a boot before it.
const TRIAL: u64 = 900;

/// As many as the boot loader has for a new entry.
pub const TRIES: usize = 3;

/// A node that outlives its boots.
pub struct Installed<'a> {
    /// The test that it belongs to
    pub scenario: &'a mut Scenario,
    /// Where it gets releases
    pub release_server: ReleaseServer,
    /// The release that is installed
    pub base: Base,
    /// Its disk
    pub disk: Disk,
    /// How it boots
    pub options: Options,
    // As it was made, before anybody booted it or wrote to its disk.
    fresh: (Options, SystemTime),
}

/// How a boot ended.
pub enum Boot {
    /// It is healthy and stays
    Settled(Box<Node>),
    /// It ended by itself
    Ended(Vec<Line>),
}

impl<'a> Installed<'a> {
    /// A fresh node, not booted yet.
    ///
    /// # Errors
    /// When disk, registry or release cannot be made or found.
    pub fn on(scenario: &'a mut Scenario) -> Result<Self> {
        let release_server = ReleaseServer::open(&scenario.lab.tools, scenario.scratch())?;
        let base = Base::of(&scenario.lab.image)?;
        let disk = scenario.disk()?;
        let options = Options {
            firmware: FirmwareKind::Uefi,
            disk: Some(disk.clone()),
            // Several nodes run side by side, and more than once for each test; the boards' matrix has more CPUs.
            smp: 1,
            network: Network::User,
            credentials: release_server.reported()?,
            ..Options::default()
        };
        let fresh = (options.clone(), disk.modified()?);
        Ok(Self { scenario, release_server, base, disk, options, fresh })
    }

    /// Records all that is written to its disk, from its next boot on.
    pub fn record(&mut self, recording: &Recording) {
        let disk = self.disk.clone().recorded(recording);
        for options in [&mut self.options, &mut self.fresh.0] {
            options.disk = Some(disk.clone());
        }
        self.disk = disk;
    }

    /// A release that differs from the installed one in its version.
    ///
    /// # Errors
    /// When the installed one cannot be read.
    pub fn release(&self, version: &str) -> Result<Release> {
        self.base.release(version)
    }

    /// Writes a release.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, release: Release) -> Result<Written> {
        let folder = tempfile::Builder::new().prefix("release-").tempdir_in(self.release_server.folder());
        release.write(&folder.context("making a folder for a release")?.keep().join("oci"))
    }

    /// Writes a release and publishes it, signed; gives it and its name.
    ///
    /// # Errors
    /// When one of these fails.
    pub fn publish(&self, release: Release) -> Result<(Written, String)> {
        let written = self.write(release)?;
        let name = self.release_server.publish(&written)?;
        Ok((written, name))
    }

    /// Boots it, and waits until it is READY, on the network and proved healthy.
    ///
    /// # Errors
    /// When it is not in time, or what must hold after every boot does not.
    pub fn boot(&mut self) -> Result<Node> {
        let mut node = self.scenario.start(&self.options)?;
        node.ready(Deadline::after(READY))?;
        self.settled(node)
    }

    /// The first boot of a fresh node, restored: for what is not about that boot. It was booted and proved itself once, without a release server, for
    /// the first scenario that wanted it; what it must know of this one's release server it is given now, as each later boot is given it by its credential.
    ///
    /// # Errors
    /// When the node was booted before, has other options, or a disk that somebody wrote to: such a one is no saved one.
    /// When the one that is saved does not boot or prove itself, or cannot be restored; it is not booted instead.
    pub fn restored(&mut self) -> Result<Node> {
        let (options, written) = &self.fresh;
        ensure!(self.options == *options, "this node boots in another way than the one that is saved");
        ensure!(self.disk.modified()? == *written, "the disk of this node is not as the saved one's was");
        let options = Options { disk: None, credentials: Vec::new(), ..options.clone() };
        let recipe = Recipe { name: "installed", options, raw: true };
        let mut node = self.scenario.restore(&recipe, Some(&self.disk), |node| {
            node.ready(Deadline::after(READY))?;
            settles(node)
        })?;
        let lay_down = format!("printf %s {} | systemd-tmpfiles --create -", quote(&[self.release_server.lines()?]));
        node.guest.ask(&lay_down).context("giving a restored node its release server")?;
        let status = node.status()?;
        ensure!(status.ready && status.runs("canary"), "restored, the node is not as it was: {status:?}");
        on_the_network(&mut node)?;
        Ok(node)
    }

    /// The same as [`Installed::boot`], of a node that is READY.
    ///
    /// # Errors
    /// As [`Installed::boot`].
    pub fn settled(&self, mut node: Node) -> Result<Node> {
        settles(&mut node)?;
        Ok(node)
    }

    /// Boots it once, and waits until it is healthy or ends by itself.
    ///
    /// # Errors
    /// When it does neither in time.
    pub fn try_boot(&mut self) -> Result<Boot> {
        let mut node = self.scenario.start(&self.options)?;
        let deadline = Deadline::secs(TRIAL);
        let mut served = false;
        let mut asked = Instant::now();
        let settled = deadline.poll(Duration::from_millis(300), || {
            if node.has_ended() {
                return Ok(Some(false));
            }
            if !served && node.console.find(READY_LINE).is_none() {
                return Ok(None);
            }
            served = served || node.greeted(Deadline::after(READY)).is_ok();
            if asked.elapsed() < AGAIN {
                return Ok(None);
            }
            asked = Instant::now();
            match Releases::now(&mut node.guest) {
                Ok(releases) => Ok(blessed(&releases).then_some(true)),
                // It may be on its way down, with the agent gone first.
                Err(error) if deadline.is_over() => Err(error),
                Err(_) => Ok(None),
            }
        })?;
        match settled {
            Some(true) => Ok(Boot::Settled(Box::new(self.settled(node)?))),
            Some(false) => Ok(Boot::Ended(node.ends(Deadline::secs(10))?)),
            None => bail!("the node is neither healthy nor does it give up, within {deadline}"),
        }
    }

    /// Boots it until it stays up healthy; gives the node, and the consoles of the boots that failed.
    ///
    /// # Errors
    /// When more than `most` boots fail.
    pub fn boot_until_settled(&mut self, most: usize) -> Result<(Node, Vec<Vec<Line>>)> {
        let mut failed = Vec::new();
        loop {
            match self.try_boot()? {
                Boot::Settled(node) => return Ok((*node, failed)),
                Boot::Ended(lines) => failed.push(lines),
            }
            ensure!(failed.len() <= most, "{} boots failed; it should have fallen back by now", failed.len());
        }
    }

    /// Upgrades the node to the release `name` and lets it reboot.
    ///
    /// # Errors
    /// When the upgrade fails, or the node does not go down.
    pub fn upgrade_and_reboot(&self, mut node: Node, name: &str) -> Result<()> {
        let done = Ended::of(&mut node.guest, &["upgrade", name, "--reboot"])?.done()?;
        ensure!(done.reboots && done.changed, "the upgrade does not reboot: {done:?}");
        node.ends(Deadline::after(READY)).map(drop)
    }

    /// Leaves the entry that boots next with one try: for releases that fail slowly, where the number of tries is not the point.
    ///
    /// # Errors
    /// When no entry is on trial, or the ESP cannot be written.
    pub fn leave_one_try(&self) -> Result<()> {
        let esp = Esp::of(&self.scenario.lab.tools, &self.disk.file)?;
        let entries = esp.entries()?;
        let fresh = |entry: &&EntryName| entry.tries.is_some_and(|tries| tries.done == 0);
        let entry = entries.iter().find(fresh).with_context(|| format!("no entry is on trial: {entries:?}"))?;
        esp.rename(entry, &EntryName { tries: Some(Tries { left: 1, done: 0 }), ..entry.clone() })
    }

    /// The boot entries, read from the disk while the node is down.
    ///
    /// # Errors
    /// When the ESP cannot be read.
    pub fn entries(&self) -> Result<Vec<EntryName>> {
        Esp::of(&self.scenario.lab.tools, &self.disk.file)?.entries()
    }
}

/// Waits until a node that is READY is on the network and has proved itself, and checks what must hold after every boot.
fn settles(node: &mut Node) -> Result<()> {
    invariants::boot_is_over(node)?;
    node.status_when("the canary pod runs", PODS_SECS, |status| status.runs("canary"))?;
    proves_itself(node)?;
    invariants::check_release(node, None, &[])?;
    on_the_network(node)
}

/// Waits until the release that runs has proved itself, and its boot entry has no counter any more.
///
/// # Errors
/// When it has not in time.
pub fn proves_itself(node: &mut Node) -> Result<()> {
    when(&mut node.guest, "the release is blessed", Deadline::secs(BLESSED), blessed).map(drop)
}

/// Whether the release that runs has proved itself.
fn blessed(releases: &Releases) -> bool {
    releases.booted().is_ok_and(|release| release.state == "good")
}

/// The network comes after READY; an upgrade before that would wait for it, and its time would be nobody's.
///
/// # Errors
/// When there is none in time.
pub fn on_the_network(node: &mut Node) -> Result<()> {
    let deadline = Deadline::secs(120);
    let route = deadline.poll(Duration::from_millis(500), || {
        let route = node.guest.ask("ip -4 route show default")?;
        Ok::<_, anyhow::Error>((!route.is_empty()).then_some(()))
    })?;
    ensure!(route.is_some(), "the node got no address within {deadline}: {}", node.guest.ask("ip address")?);
    Ok(())
}
