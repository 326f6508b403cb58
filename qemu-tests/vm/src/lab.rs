//! What machines are made from: the image, the tools, the accelerator, and how a node shall be booted.

use std::path::Path;

use anyhow::Result;

use crate::credentials::Credential;
use crate::disk::{Bus, Disk};
use crate::qemu::accel::Accelerator;
use crate::qemu::binary;
use crate::qemu::firmware::{Firmware, FirmwareKind};
use crate::qemu::machine::{Chipset, Drive, Identity, Machine, Network, OnReboot};
use crate::tools::Tools;
use crate::workspace::{Image, Workspace};

/// What is needed to start machines: found once, used for many.
#[derive(Clone, Debug)]
pub struct Lab {
    /// Where things lie
    pub workspace: Workspace,
    /// The image under test
    pub image: Image,
    /// Programs
    pub tools: Tools,
    /// How fast it goes here
    pub accelerator: Accelerator,
}

impl Lab {
    /// Finds the image, the tools and the accelerator.
    ///
    /// # Errors
    /// One sentence for what is missing: the image, QEMU, or a QEMU that is new enough.
    pub fn open() -> Result<Self> {
        let workspace = Workspace::find();
        let image = workspace.image()?;
        let tools = Tools::find(&workspace)?;
        binary::check(&tools)?;
        let accelerator = Accelerator::probe(&tools, &workspace, &image.kernel)?;
        Ok(Self { workspace, image, tools, accelerator })
    }
}

/// How a node is booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Firmware, or the kernel directly
    pub firmware: FirmwareKind,
    /// The board
    pub chipset: Chipset,
    /// What the disk is plugged into
    pub bus: Bus,
    /// A disk of the caller's; none means a throwaway overlay over the image
    pub disk: Option<Disk>,
    /// Volumes that a platform plugs in besides
    pub volumes: Vec<Drive>,
    /// CPUs
    pub smp: u32,
    /// Memory in MiB
    pub memory_mib: u32,
    /// The network
    pub network: Network,
    /// What the firmware says the machine is; none means QEMU
    pub identity: Option<Identity>,
    /// What the clock of the board says at the start; none means the right time
    pub clock: Option<&'static str>,
    /// For systemd, beside the command channel's own
    pub credentials: Vec<Credential>,
    /// What a reset does
    pub on_reboot: OnReboot,
    /// Show the console on our stdout as it comes
    pub echo: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            firmware: FirmwareKind::default(),
            chipset: Chipset::default(),
            bus: Bus::default(),
            disk: None,
            volumes: Vec::new(),
            smp: 2,
            memory_mib: 1024,
            network: Network::default(),
            identity: None,
            clock: None,
            credentials: Vec::new(),
            on_reboot: OnReboot::default(),
            echo: false,
        }
    }
}

impl Options {
    /// The machine that these options ask for; its overlay and UEFI variables go to `scratch`.
    ///
    /// # Errors
    /// When a file it needs cannot be made.
    pub fn machine(&self, lab: &Lab, scratch: &Path) -> Result<Machine> {
        let disk = match &self.disk {
            Some(disk) => disk.clone(),
            None => Disk::overlay(&lab.tools, &lab.image.disk, scratch)?,
        };
        disk.begin_recording()?;
        let firmware = match self.firmware {
            FirmwareKind::Uefi => Firmware::uefi(&lab.tools, scratch)?,
            FirmwareKind::Direct => Firmware::direct(&lab.image),
        };
        Ok(self.machine_with(lab, &disk, firmware))
    }

    /// The same, of files that are there already, or need not be.
    pub(crate) fn machine_with(&self, lab: &Lab, disk: &Disk, firmware: Firmware) -> Machine {
        Machine {
            chipset: self.chipset,
            smp: self.smp,
            memory_mib: self.memory_mib,
            drives: std::iter::once(disk.drive(self.bus)).chain(self.volumes.iter().cloned()).collect(),
            network: self.network.clone(),
            identity: self.identity,
            clock: self.clock,
            credentials: self.credentials.clone(),
            on_reboot: self.on_reboot,
            ..Machine::new(lab.accelerator, firmware)
        }
    }
}
