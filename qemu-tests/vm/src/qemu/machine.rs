//! A machine as data, and its arguments: a pure function, so that what QEMU is reported can be tested.

use std::path::{Path, PathBuf};

use super::accel::Accelerator;
use super::arguments::words;
use super::firmware::Firmware;
pub use super::network::{Cable, Network, OnLink};
use crate::credentials::Credential;
use crate::disk::Bus;

/// A disk as QEMU sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// The file
    pub file: PathBuf,
    /// `raw` or `qcow2`
    pub format: &'static str,
    /// What it is plugged into
    pub bus: Bus,
    /// Whether the guest may only read it
    pub read_only: bool,
    /// The size of its sectors
    pub sector_bytes: u32,
    /// Where all that is written to it is recorded
    pub log: Option<WriteLog>,
}

/// A log of a disk's writes and flushes (see [`crate::crash`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteLog {
    /// The file, which is there
    pub file: PathBuf,
    /// Whether it goes on with a log that is in it
    pub append: bool,
}

/// The size of sectors of nearly every drive there is.
pub const SECTOR_BYTES: u32 = 512;

/// What the firmware says of the machine (SMBIOS, type 1), as platforms name themselves there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `sys_vendor` in /sys/class/dmi/id
    pub manufacturer: &'static str,
    /// `product_name`
    pub product: &'static str,
    /// `chassis_asset_tag` (type 3), where that is how a platform names itself
    pub asset_tag: Option<&'static str>,
}

/// The board: which buses there are, and how old they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Chipset {
    /// PCI Express and AHCI, as machines have since 2009.
    #[default]
    Q35,
    /// Conventional PCI and IDE, of 1996: the default of many clouds and of libvirt for years.
    #[value(name = "i440fx")]
    I440fx,
}

/// What a reset by the guest does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReboot {
    /// QEMU exits: one run is one boot, and boots can be counted.
    #[default]
    Exit,
    /// The machine resets and boots again.
    Reset,
}

/// Where the serial console goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serial {
    /// QEMU's stdout, which we read.
    #[default]
    Watched,
    /// The terminal of a person, multiplexed with QEMU's monitor (Ctrl-A X ends).
    Terminal,
}

/// Everything that QEMU is reported.
#[derive(Clone, Debug)]
pub struct Machine {
    /// How instructions are run
    pub accelerator: Accelerator,
    /// Its board
    pub chipset: Chipset,
    /// CPUs
    pub smp: u32,
    /// Memory in MiB
    pub memory_mib: u32,
    /// How it boots
    pub firmware: Firmware,
    /// Its disks; the first is the system's
    pub drives: Vec<Drive>,
    /// Its network
    pub network: Network,
    /// What its firmware says it is; none means QEMU
    pub identity: Option<Identity>,
    /// What the clock of the board says at the start, as `1970-01-01T00:00:00`; none means the right time
    pub clock: Option<&'static str>,
    /// Handed to systemd
    pub credentials: Vec<Credential>,
    /// The control socket and the names of the virtio-serial ports, whose sockets lie in `sockets`
    pub ports: Vec<&'static str>,
    /// The folder with one listening socket per port and one for QMP, if there are any
    pub sockets: Option<PathBuf>,
    /// What a reset does
    pub on_reboot: OnReboot,
    /// Where the console goes
    pub serial: Serial,
    /// Whether it does not start, but waits for the state of one that was saved
    pub incoming: bool,
}

impl Machine {
    /// A machine with a kernel and nothing else.
    pub fn new(accelerator: Accelerator, firmware: Firmware) -> Self {
        Self {
            accelerator,
            chipset: Chipset::default(),
            smp: 2,
            memory_mib: 1024,
            firmware,
            drives: Vec::new(),
            network: Network::None,
            identity: None,
            clock: None,
            credentials: Vec::new(),
            ports: Vec::new(),
            sockets: None,
            on_reboot: OnReboot::Exit,
            serial: Serial::Watched,
            incoming: false,
        }
    }

    /// QEMU's arguments.
    pub fn arguments(&self) -> Vec<String> {
        let sata = self.drives.iter().any(|drive| drive.bus == Bus::Sata);
        let mut arguments = words("-nodefaults -no-user-config -display none");
        // Without system management mode and empty SATA ports there is less to emulate and nothing to probe for nothing.
        arguments.extend(words(match (self.chipset, sata) {
            (Chipset::Q35, true) => "-machine q35,smm=off,vmport=off,sata=on",
            (Chipset::Q35, false) => "-machine q35,smm=off,vmport=off,sata=off",
            // This board has IDE only. Its AHCI is a card, with a name of its own: `ide.0` is the board's.
            (Chipset::I440fx, true) => "-machine pc,smm=off,vmport=off -device ich9-ahci,id=ahci",
            (Chipset::I440fx, false) => "-machine pc,smm=off,vmport=off",
        }));
        arguments.extend(self.accelerator.arguments());
        arguments.extend(["-smp".into(), self.smp.to_string(), "-m".into(), self.memory_mib.to_string()]);
        arguments.extend(self.firmware.arguments());
        for (index, drive) in self.drives.iter().enumerate() {
            arguments.extend(drive.arguments(index, self.chipset, self.drives.len()));
        }
        arguments.extend(self.network.arguments());
        if let Some(Identity { manufacturer, product, asset_tag }) = self.identity {
            arguments.extend(["-smbios".into(), format!("type=1,manufacturer={manufacturer},product={product}")]);
            arguments.extend(asset_tag.into_iter().flat_map(|tag| ["-smbios".into(), format!("type=3,asset={tag}")]));
        }
        if let Some(clock) = self.clock {
            arguments.extend(["-rtc".into(), format!("base={clock}")]);
        }
        for credential in &self.credentials {
            arguments.extend(["-smbios".into(), credential.smbios()]);
        }
        arguments.extend(words(match self.serial {
            Serial::Watched => "-serial stdio -monitor none",
            Serial::Terminal => "-serial mon:stdio",
        }));
        if let Some(sockets) = &self.sockets {
            arguments.extend(control(sockets));
            arguments.extend(channels(sockets, &self.ports));
        }
        if self.on_reboot == OnReboot::Exit {
            arguments.push("-no-reboot".into());
        }
        if self.incoming {
            arguments.extend(words("-incoming defer"));
        }
        arguments
    }
}

impl Drive {
    fn arguments(&self, index: usize, chipset: Chipset, drives: usize) -> Vec<String> {
        // Losing the host is losing the test, so QEMU need not wait for the host's disk.
        let mut arguments =
            self.log.as_ref().map_or_else(|| vec!["-drive".into(), self.backend(index)], |log| self.logged(index, log));
        let device = match self.bus {
            Bus::Virtio => format!("-device virtio-blk-pci,drive=disk{index}"),
            Bus::Nvme => format!("-device nvme,drive=disk{index},serial=disk{index}"),
            Bus::Scsi => {
                format!("-device virtio-scsi-pci,id=scsi{index} -device scsi-hd,bus=scsi{index}.0,drive=disk{index}")
            }
            Bus::Cd => {
                format!("-device virtio-scsi-pci,id=scsi{index} -device scsi-cd,bus=scsi{index}.0,drive=disk{index}")
            }
            Bus::Sata => {
                let bus = if chipset == Chipset::Q35 { "ide" } else { "ahci" };
                format!("-device ide-hd,bus={bus}.{index},drive=disk{index}")
            }
        };
        arguments.extend(words(&device));
        if let Some(device) = arguments.last_mut() {
            // Among several it is the system's that the firmware starts. 0 is the kernel's, where QEMU starts that itself.
            if index == 0 && drives > 1 {
                device.push_str(",bootindex=1");
            }
            if self.sector_bytes != SECTOR_BYTES {
                let bytes = self.sector_bytes;
                device.push_str(&format!(",logical_block_size={bytes},physical_block_size={bytes}"));
            }
        }
        arguments
    }

    fn backend(&self, index: usize) -> String {
        format!(
            "if=none,id=disk{index},file={},format={},cache=unsafe,discard=unmap{}",
            self.file.display(),
            self.format,
            if self.read_only { ",readonly=on" } else { "" }
        )
    }

    /// The disk and its log below the driver that writes both: only that sees the guest's flushes, the host's disk need not. With each entry the
    /// log says how long it is: so it can be read while it is written.
    fn logged(&self, index: usize, log: &WriteLog) -> Vec<String> {
        let (file, format, place) = (self.file.display(), self.format, log.file.display());
        // A log that goes on has its sectors already, and QEMU refuses to be told again.
        let begins = if log.append { "log-append=on".to_owned() } else { format!("log-sector-size={SECTOR_BYTES}") };
        let nodes = [
            format!("driver=file,node-name=disk{index}-file,filename={file},cache.no-flush=on,discard=unmap"),
            format!("driver={format},node-name=disk{index}-disk,file=disk{index}-file,cache.no-flush=on,discard=unmap"),
            format!("driver=file,node-name=disk{index}-log,filename={place},cache.no-flush=on"),
            format!(
                "driver=blklogwrites,node-name=disk{index},file=disk{index}-disk,log=disk{index}-log,{begins},\
                 log-super-update-interval=1,discard=unmap"
            ),
        ];
        nodes.into_iter().flat_map(|node| ["-blockdev".to_owned(), node]).collect()
    }
}

/// QEMU connects to sockets that we listen on already, so neither side has to wait for the other's file to appear.
fn control(sockets: &Path) -> Vec<String> {
    let socket = sockets.join("qmp");
    let mut arguments = vec!["-chardev".into(), format!("socket,id=qmp,server=off,path={}", socket.display())];
    arguments.extend(words("-mon chardev=qmp,mode=control"));
    arguments
}

fn channels(sockets: &Path, ports: &[&str]) -> Vec<String> {
    let mut arguments = Vec::new();
    if !ports.is_empty() {
        // The guest sets half a megabyte of buffers aside for each port that could be plugged in; port 0 is the console's.
        arguments.extend(words(&format!("-device virtio-serial-pci,max_ports={}", ports.len() + 1)));
    }
    for name in ports {
        let socket = sockets.join(name);
        arguments.extend(["-chardev".into(), format!("socket,id={name},server=off,path={}", socket.display())]);
        arguments.extend(["-device".into(), format!("virtserialport,chardev={name},name={name}")]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let firmware = Firmware::Direct { kernel: "/k".into(), initramfs: None, cmdline: "quiet".into() };
        Machine::new(Accelerator::Tcg, firmware)
    }

    fn with_bus(bus: Bus, chipset: Chipset) -> String {
        let mut machine = Machine { chipset, ..machine() };
        machine.drives.push(Drive {
            file: "/d".into(),
            format: "qcow2",
            bus,
            read_only: bus == Bus::Cd,
            sector_bytes: SECTOR_BYTES,
            log: None,
        });
        machine.arguments().join(" ")
    }

    #[test]
    fn a_machine_has_no_network_and_ends_at_a_reset_unless_asked() {
        let plain = machine().arguments();
        assert!(plain.join(" ").contains("-nic none"));
        assert!(plain.contains(&"-no-reboot".to_owned()));
        let other = Machine { network: Network::User, on_reboot: OnReboot::Reset, ..machine() }.arguments();
        assert!(other.join(" ").contains("-nic user,model=virtio-net-pci"));
        assert!(!other.contains(&"-no-reboot".to_owned()));
    }

    #[test]
    fn each_bus_has_its_device() {
        for (bus, device) in [
            (Bus::Virtio, "-device virtio-blk-pci,drive=disk0"),
            (Bus::Nvme, "-device nvme,drive=disk0,serial=disk0"),
            (Bus::Scsi, "-device virtio-scsi-pci,id=scsi0 -device scsi-hd,bus=scsi0.0,drive=disk0"),
            (Bus::Sata, "-device ide-hd,bus=ide.0,drive=disk0"),
            (Bus::Cd, "-device virtio-scsi-pci,id=scsi0 -device scsi-cd,bus=scsi0.0,drive=disk0"),
        ] {
            let arguments = with_bus(bus, Chipset::Q35);
            assert!(arguments.contains(device), "{arguments}");
            assert_eq!(arguments.contains("sata=on"), bus == Bus::Sata);
            assert_eq!(arguments.contains(",readonly=on"), bus == Bus::Cd);
        }
    }

    #[test]
    fn the_first_of_several_disks_is_started_and_sectors_are_as_large_as_asked() {
        let drive = |bus, sector_bytes| Drive {
            file: "/d".into(),
            format: "raw",
            bus,
            read_only: false,
            sector_bytes,
            log: None,
        };
        let drives = vec![drive(Bus::Nvme, 4096), drive(Bus::Virtio, SECTOR_BYTES)];
        let arguments = Machine { drives, ..machine() }.arguments();
        let large = "nvme,drive=disk0,serial=disk0,bootindex=1,logical_block_size=4096,physical_block_size=4096";
        assert!(arguments.contains(&large.to_owned()), "{arguments:?}");
        assert!(arguments.contains(&"virtio-blk-pci,drive=disk1".to_owned()), "{arguments:?}");
    }

    #[test]
    fn a_disk_that_is_recorded_lies_below_its_log_and_is_told_of_flushes() {
        let log = WriteLog { file: "/l".into(), append: true };
        let drive = Drive {
            file: "/d".into(),
            format: "raw",
            bus: Bus::Virtio,
            read_only: false,
            sector_bytes: SECTOR_BYTES,
            log: Some(log),
        };
        let arguments = Machine { drives: vec![drive], ..machine() }.arguments().join(" ");
        assert!(
            arguments
                .contains("-blockdev driver=blklogwrites,node-name=disk0,file=disk0-disk,log=disk0-log,log-append=on,"),
            "{arguments}"
        );
        assert!(arguments.contains("-device virtio-blk-pci,drive=disk0"), "{arguments}");
        assert!(!arguments.contains("cache=unsafe"), "it swallows the guest's flushes: {arguments}");
    }

    #[test]
    fn the_old_board_gets_its_ahci_as_a_card() {
        let sata = with_bus(Bus::Sata, Chipset::I440fx);
        assert!(sata.contains("-machine pc,smm=off,vmport=off -device ich9-ahci,id=ahci"), "{sata}");
        assert!(sata.contains("-device ide-hd,bus=ahci.0,drive=disk0"), "{sata}");
        assert!(!with_bus(Bus::Nvme, Chipset::I440fx).contains("ahci"));
    }

    #[test]
    fn ports_and_control_connect_to_our_sockets() {
        let machine = Machine { sockets: Some("/s".into()), ports: vec!["out"], ..machine() };
        let arguments = machine.arguments().join(" ");
        assert!(arguments.contains("-chardev socket,id=qmp,server=off,path=/s/qmp -mon chardev=qmp,mode=control"));
        assert!(arguments.contains("-chardev socket,id=out,server=off,path=/s/out"));
        assert!(arguments.contains("-device virtserialport,chardev=out,name=out"));
    }

    #[test]
    fn a_platform_is_named_in_smbios() {
        let identity = Some(Identity { manufacturer: "Amazon EC2", product: "t3.nano", asset_tag: Some("a tag") });
        let arguments = Machine { identity, ..machine() }.arguments();
        assert!(arguments.contains(&"type=1,manufacturer=Amazon EC2,product=t3.nano".to_owned()), "{arguments:?}");
        assert!(arguments.contains(&"type=3,asset=a tag".to_owned()), "{arguments:?}");
        assert!(!machine().arguments().join(" ").contains("type=1,"));
    }

    #[test]
    fn the_terminal_shares_with_the_monitor() {
        let machine = Machine { serial: Serial::Terminal, ..machine() };
        assert!(machine.arguments().join(" ").contains("-serial mon:stdio"));
    }
}
