//! What is measured: a machine to boot, and the console line that says that it is READY.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::instructions::of_ours;
use qemu_vm::console::{Console, Line};
use qemu_vm::credentials::Credential;
use qemu_vm::deadline::Deadline;
use qemu_vm::disk::{Bus, Disk};
use qemu_vm::guest::{self, AGENT, Guest};
use qemu_vm::lab::Lab;
use qemu_vm::node::{READY_LINE, sockets};
use qemu_vm::qemu::accel::Accelerator;
use qemu_vm::qemu::firmware::Firmware;
use qemu_vm::qemu::machine::{Machine, Network};
use qemu_vm::qemu::process::Process;

/// A kilobyte of what an operator may want, as user-data; and a cluster besides, which is not there.
const SETTINGS: &str = include_str!("../settings.toml");
const CLUSTER: &str = include_str!("../cluster.toml");

/// The stock image counts 23 G instructions, at some 0.2 G a second on a slow host.
const TIMEOUT: u64 = 600;

/// What the firmware says when it is done and starts what the disk has to boot.
const HANDS_OVER: &str = "BdsDxe: starting";

/// A boot to READY.
#[derive(Debug)]
pub(super) struct Ready {
    /// The line, and when it came
    pub(super) line: Line,
    /// When the firmware handed over to the disk's boot loader, if it did
    pub(super) firmware: Option<Duration>,
}

/// One of those that are measured.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) firmware: Firmware,
    /// Whether UEFI and the disk's boot loader start it, in place of `firmware`
    pub(super) is_uefi: bool,
    /// Each boot gets a throwaway overlay over it
    pub(super) disk: Option<PathBuf>,
    /// What the READY line contains
    pub(super) ready: &'static str,
    /// The unit after which the command channel may open without disturbing the measure
    pub(super) last_unit: Option<&'static str>,
    /// What it is given over SMBIOS
    pub(super) credentials: Vec<Credential>,
    pub(super) memory_mib: u32,
}

/// What each has, if nothing else is said.
pub(super) const MEMORY_MIB: u32 = 1024;

impl Subject {
    /// The image under test, booted directly.
    pub(super) fn ours(lab: &Lab) -> Self {
        Self {
            name: "ours",
            firmware: Firmware::direct(&lab.image),
            is_uefi: false,
            disk: Some(lab.image.disk.clone()),
            ready: READY_LINE,
            last_unit: Some(AGENT),
            credentials: Vec::new(),
            memory_mib: MEMORY_MIB,
        }
    }

    /// The same, which is given a kilobyte of settings.
    pub(super) fn ours_with_settings(lab: &Lab) -> Result<Self> {
        Self::ours_with(lab, "ours-with-settings", SETTINGS)
    }

    /// The same, which is given a cluster besides.
    pub(super) fn ours_with_a_cluster(lab: &Lab) -> Result<Self> {
        Self::ours_with(lab, "ours-with-a-cluster", &format!("{SETTINGS}{CLUSTER}"))
    }

    fn ours_with(lab: &Lab, name: &'static str, settings: &str) -> Result<Self> {
        let credentials = vec![Credential::new("ballast.settings", settings)?];
        Ok(Self { name, credentials, ..Self::ours(lab) })
    }

    /// The same through UEFI and the disk's boot loader, under a name of its own.
    pub(super) fn through_uefi(&self, name: &'static str) -> Self {
        Self { name, is_uefi: true, ..self.clone() }
    }

    /// Boots to READY with nothing else plugged in.
    pub(super) fn ready(&self, lab: &Lab, accelerator: Accelerator, smp: u32) -> Result<Ready> {
        let run = Run::start(self, lab, accelerator, smp, false)?;
        let line = run.console.wait_for(self.ready, Deadline::secs(TIMEOUT));
        let line = line.with_context(|| format!("booting {}", self.name))?;
        Ok(Ready { line, firmware: run.console.find(HANDS_OVER).map(|line| line.at) })
    }

    /// Boots to READY, then asks the guest.
    pub(super) fn ask<T>(&self, lab: &Lab, ask: impl FnOnce(&Line, &mut Guest) -> Result<T>) -> Result<T> {
        let mut run = Run::start(self, lab, Accelerator::Icount, 1, true)?;
        let what = || format!("booting {} to look at it", self.name);
        let line = run.console.wait_for(self.ready, Deadline::secs(TIMEOUT)).with_context(what)?;
        let mut guest = run.guest.take().context("opening the command channel")?;
        guest.greeted(Deadline::secs(TIMEOUT)).with_context(what)?;
        ask(&line, &mut guest).with_context(what)
    }
}

/// Instructions of the image under test to READY: without settings, with a kilobyte of them, and with a cluster besides.
pub(crate) fn count(lab: &Lab) -> Result<[u64; 3]> {
    let count = |subject: &Subject| of_ours(&subject.ready(lab, Accelerator::Icount, 1)?.line.text);
    let subjects = [Subject::ours(lab), Subject::ours_with_settings(lab)?, Subject::ours_with_a_cluster(lab)?];
    // In turn, and the least of each: containerd's garbage collector and the kernel's timers add a hundredth or three to one boot and
    // not to the next, and they are held against each other.
    let mut least = [u64::MAX; 3];
    for _ in 0..COUNTED {
        for (subject, least) in subjects.iter().zip(&mut least) {
            *least = count(subject)?.min(*least);
        }
    }
    Ok(least)
}

/// Boots of each that are counted.
const COUNTED: usize = 3;

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
        let firmware = match subject.is_uefi {
            true => Firmware::uefi(&lab.tools, scratch.path())?,
            false => subject.firmware.clone(),
        };
        let credentials = subject.credentials.clone();
        let memory_mib = subject.memory_mib;
        let mut machine = Machine { smp, memory_mib, credentials, ..Machine::new(accelerator, firmware) };
        if let Some(disk) = &subject.disk {
            machine.drives.push(Disk::overlay(&lab.tools, disk, scratch.path())?.drive(Bus::Virtio));
            // All that boot a system have a NIC: the stock image waits for its network, ours does not.
            machine.network = Network::User;
        }
        if let (true, Some(unit)) = (channel, subject.last_unit) {
            guest::equip(&mut machine, unit, sockets.path())?;
        } else {
            machine.sockets = Some(sockets.path().to_owned());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_a_kilobyte() {
        assert!((1000..=1100).contains(&SETTINGS.len()), "{} bytes", SETTINGS.len());
    }
}
