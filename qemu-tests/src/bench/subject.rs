//! What is measured: a machine to boot, and the console line that says that it is READY.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::instructions::of_ours;
use crate::console::{Console, Line};
use crate::deadline::Deadline;
use crate::disk::{Bus, Disk};
use crate::guest::{self, Guest, PORTS};
use crate::lab::Lab;
use crate::node::{READY_LINE, sockets};
use crate::qemu::accel::Accelerator;
use crate::qemu::firmware::Firmware;
use crate::qemu::machine::{Machine, Network};
use crate::qemu::process::Process;

/// The stock image counts 23 G instructions, at some 0.2 G a second on a slow host.
const PATIENCE: u64 = 600;

/// One of the three that are measured.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) firmware: Firmware,
    /// Each boot gets a throwaway overlay over it
    pub(super) disk: Option<PathBuf>,
    /// What the READY line contains
    pub(super) ready: &'static str,
    /// The unit after which the command channel may open without disturbing the measure
    pub(super) last_unit: Option<&'static str>,
}

impl Subject {
    /// The image under test, booted directly.
    pub(super) fn ours(lab: &Lab) -> Self {
        Self {
            name: "ours",
            firmware: Firmware::direct(&lab.image),
            disk: Some(lab.image.disk.clone()),
            ready: READY_LINE,
            last_unit: Some("ballast.service"),
        }
    }

    /// Boots to READY with nothing else plugged in; gives that line.
    pub(super) fn ready(&self, lab: &Lab, accelerator: Accelerator, smp: u32) -> Result<Line> {
        let run = Run::start(self, lab, accelerator, smp, false)?;
        run.console.wait_for(self.ready, Deadline::secs(PATIENCE)).with_context(|| format!("booting {}", self.name))
    }

    /// Boots to READY, then asks the guest.
    pub(super) fn ask<T>(&self, lab: &Lab, ask: impl FnOnce(&Line, &mut Guest) -> Result<T>) -> Result<T> {
        let mut run = Run::start(self, lab, Accelerator::Icount, 1, true)?;
        let what = || format!("booting {} to look at it", self.name);
        let line = run.console.wait_for(self.ready, Deadline::secs(PATIENCE)).with_context(what)?;
        let mut guest = run.guest.take().context("opening the command channel")?;
        guest.greeted(Deadline::secs(PATIENCE)).with_context(what)?;
        ask(&line, &mut guest).with_context(what)
    }
}

/// Instructions of the image under test to READY: the one that the budget watches.
pub(crate) fn count(lab: &Lab) -> Result<u64> {
    of_ours(&Subject::ours(lab).ready(lab, Accelerator::Icount, 1)?.text)
}

struct Run {
    console: Console,
    guest: Option<Guest>,
    _process: Process,
    _folders: [tempfile::TempDir; 2],
}

impl Run {
    fn start(subject: &Subject, lab: &Lab, accelerator: Accelerator, smp: u32, channel: bool) -> Result<Self> {
        let (scratch, sockets) = (lab.workspace.scratch()?, sockets()?);
        let logs = logs(lab, subject.name)?;
        let mut machine = Machine { smp, ..Machine::new(accelerator, subject.firmware.clone()) };
        if let Some(disk) = &subject.disk {
            machine.drives.push(Disk::overlay(&lab.tools, disk, scratch.path())?.drive(Bus::Virtio));
            // All that boot a system have a NIC: the stock image waits for its network, ours does not.
            machine.network = Network::User;
        }
        if let (true, Some(unit)) = (channel, subject.last_unit) {
            machine.credentials = guest::command_server(unit)?;
            machine.ports = PORTS.to_vec();
        }
        machine.sockets = Some(sockets.path().to_owned());
        let (mut process, ports) = Process::start(&lab.tools, &machine, &logs)?;
        let stdout = process.take_stdout().context("taking QEMU's stdout")?;
        let console = Console::follow(stdout, &logs.join("console.log"), false, process.started)?;
        let guest = if channel { Some(Guest::new(ports)?) } else { None };
        Ok(Self { console, guest, _process: process, _folders: [scratch, sockets] })
    }
}

/// The last console of each stays under target/bench.
fn logs(lab: &Lab, name: &str) -> Result<PathBuf> {
    let folder: &Path = &lab.workspace.target.join("bench").join(name);
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder.to_owned())
}
