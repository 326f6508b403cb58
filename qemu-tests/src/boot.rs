//! `boot`: a node with its console on the terminal, to look around in.

use anyhow::Result;
use clap::Args;

use super::machine::MachineArgs;
use qemu_vm::guest;
use qemu_vm::lab::Options;
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::qemu::machine::{Machine, Network, OnReboot, Serial};
use qemu_vm::qemu::process::Process;

/// Boot a throwaway copy with its console on this terminal, and a root shell after READY; Ctrl-A X leaves
///
/// The shell comes as a systemd credential: the image has no login. The machine reboots when asked to, and is thrown
/// away when QEMU ends: with Ctrl-A X, or when the node powers off.
#[derive(Debug, Args)]
pub(super) struct Boot {
    #[command(flatten)]
    machine: MachineArgs,
    /// How to boot: through UEFI and the disk's boot entry, or the image's kernel directly (quicker)
    #[arg(long, value_enum, default_value_t = FirmwareKind::Uefi)]
    firmware: FirmwareKind,
    /// Give the node no network; it has QEMU's user-mode one otherwise, outgoing only
    #[arg(long)]
    no_network: bool,
}

impl Boot {
    pub(super) fn run(&self) -> Result<()> {
        let (lab, options) = self.machine.open()?;
        let network = if self.no_network { Network::None } else { Network::User };
        let on_reboot = OnReboot::Reset;
        let options = Options { firmware: self.firmware, network, on_reboot, ..options };
        let scratch = lab.workspace.scratch()?;
        let mut machine: Machine = options.machine(&lab, scratch.path())?;
        machine.credentials.extend(guest::console_shell()?);
        machine.serial = Serial::Terminal;
        println!("Booting a throwaway copy ({}). A root shell follows; Ctrl-A X leaves.", lab.accelerator.name());
        let (mut process, _) = Process::start(&lab.tools, &machine, scratch.path())?;
        process.wait_for_a_person()
    }
}
