//! `run`: what `make run` ends with: a node at READY, its own pod running, its status printed.

use std::io::{stderr, stdout};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::machine::MachineArgs;
use qemu_vm::deadline::Deadline;
use qemu_vm::evidence::Evidence;
use qemu_vm::lab::{Lab, Options};
use qemu_vm::node::{Node, PODS_SECS, READY};
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::qemu::machine::Network;

/// Boot a throwaway copy, show its console until READY, print `ballast status`, power it off
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    machine: MachineArgs,
    /// How to boot: through UEFI and the disk's boot entry, or the image's kernel directly (quicker)
    #[arg(long, value_enum, default_value_t = FirmwareKind::Uefi)]
    firmware: FirmwareKind,
}

impl Run {
    pub(super) fn run(&self) -> Result<()> {
        let (lab, options) = self.machine.open()?;
        let options = Options { firmware: self.firmware, network: Network::User, echo: true, ..options };
        let evidence = Evidence::fresh(lab.workspace.own("run"))?;
        let outcome = in_node(&lab, &options, &evidence);
        match &outcome {
            Ok(()) => evidence.discard(),
            Err(_) => {
                eprintln!("qemu-tests: the console, journal and status are under {}", evidence.folder().display());
            }
        }
        outcome
    }
}

fn in_node(lab: &Lab, options: &Options, evidence: &Evidence) -> Result<()> {
    println!("Booting a throwaway copy ({}) …", lab.accelerator.name());
    let mut node = Node::start(lab, options, evidence.folder())?;
    node.ready(Deadline::after(READY)).context("the node did not become READY")?;
    node.status_when("the canary pod runs", PODS_SECS, |status| status.runs("canary"))?;
    println!();
    let code = node.guest.stream("ballast status", &mut stdout(), &mut stderr(), Duration::from_secs(30))?;
    if code != 0 {
        bail!("`ballast status` ended with {code}");
    }
    println!("\nThe node is READY; powering it off. To stay in one: cargo run -q -p qemu-tests -- boot");
    node.power_off()
}
