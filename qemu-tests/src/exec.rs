//! `exec`: runs one command in a fresh node and ends with its status.

use std::io::{stderr, stdout};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::machine::MachineArgs;
use qemu_vm::deadline::Deadline;
use qemu_vm::evidence::Evidence;
use qemu_vm::guest::quote;
use qemu_vm::lab::{Lab, Options};
use qemu_vm::node::Node;
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::qemu::machine::Network;

/// Boot a throwaway copy, run COMMAND in it after READY, print its output, end with its status
///
/// COMMAND is run as it is, without a shell; for a shell: -- sh -c '…'. The exit status is COMMAND's (128+N if signal
/// N ended it, 127 if there is no such command), or 125 if the node did not come up or the tool failed; then the
/// console, journal and status stay under target/qemu-tests/.
#[derive(Debug, Args)]
pub(super) struct Exec {
    #[command(flatten)]
    machine: MachineArgs,
    /// How to boot: through UEFI and the disk's boot entry, or the image's kernel directly (quicker)
    #[arg(long, value_enum, default_value_t = FirmwareKind::Direct)]
    firmware: FirmwareKind,
    /// Give the node a network (QEMU's user-mode one, outgoing only); it has none otherwise
    #[arg(long)]
    network: bool,
    /// How long the boot may take, and then again COMMAND
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Show the console too
    #[arg(long, short)]
    verbose: bool,
    /// The command to run in the node, and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

impl Exec {
    pub(super) fn run(&self) -> Result<u8> {
        let (lab, options) = self.machine.open()?;
        let network = if self.network { Network::User } else { Network::None };
        let options = Options { firmware: self.firmware, network, echo: self.verbose, ..options };
        let evidence = Evidence::fresh(lab.workspace.own(&format!("exec-{}", std::process::id())))?;
        let outcome = self.in_node(&lab, &options, &evidence);
        match &outcome {
            Ok(_) => evidence.discard(),
            Err(_) => {
                eprintln!("qemu-tests: the console, journal and status are under {}", evidence.folder().display());
            }
        }
        outcome
    }

    fn in_node(&self, lab: &Lab, options: &Options, evidence: &Evidence) -> Result<u8> {
        let mut node = Node::start(lab, options, evidence.folder())?;
        node.ready(Deadline::secs(self.timeout)).context("the node did not become READY")?;
        let allowed = Duration::from_secs(self.timeout);
        let status = node.guest.stream(&quote(&self.command), &mut stdout(), &mut stderr(), allowed)?;
        if matches!(status, 126 | 127) {
            eprintln!("qemu-tests: the node has no program {:?} to run (status {status})", self.command[0]);
        }
        node.discard();
        Ok(status)
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> &[String] {
        &self.command
    }
}
