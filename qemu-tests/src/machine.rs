//! The options that every command which boots a node shares.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use qemu_vm::credentials::Credential;
use qemu_vm::disk::Bus;
use qemu_vm::lab::{Lab, Options};
use qemu_vm::qemu::machine::Chipset;

/// The machine.
#[derive(Debug, Args)]
pub(super) struct MachineArgs {
    /// The disk to boot a throwaway copy of, raw or qcow2 [default: target/image/ballast.raw]
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// Hand systemd the content of FILE as the credential NAME; may be given several times
    #[arg(long, value_name = "NAME=FILE")]
    credential: Vec<String>,
    /// CPUs
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    smp: u32,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..))]
    memory: u32,
    /// What the disk is plugged into
    #[arg(long, value_enum, default_value_t)]
    disk_bus: Bus,
    /// The board
    #[arg(long, value_enum, default_value_t)]
    chipset: Chipset,
}

impl MachineArgs {
    /// Finds what machines need, with the person's disk in place of the image's; and the options for one.
    pub(super) fn open(&self) -> Result<(Lab, Options)> {
        let credentials = self.credential.iter().map(|argument| Credential::from_argument(argument));
        let credentials = credentials.collect::<Result<Vec<_>>>()?;
        let mut lab = Lab::open()?;
        if let Some(disk) = &self.disk {
            lab.image.disk = disk.canonicalize().with_context(|| format!("there is no disk at {}", disk.display()))?;
        }
        let (chipset, bus) = (self.chipset, self.disk_bus);
        let options =
            Options { chipset, smp: self.smp, memory_mib: self.memory, bus, credentials, ..Options::default() };
        Ok((lab, options))
    }
}
