//! Which kernel modules are aboard, which device wants which, and in what order they load. Pure.
//!
//! Reads `modules.dep` and `modules.alias` as depmod writes them for the modules aboard, and our own list
//! (`initramfs/modules`). Modules that the kernel has built in are not aboard: `pack` leaves them out.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::glob::glob;

/// How long a `last` driver waits for the others: an NVMe or SCSI disk is there within a fraction of it.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// The buses whose devices lead to a disk, as sysfs and modaliases name them.
pub const BUSES: [&str; 3] = ["pci", "virtio", "scsi"];

/// When a module is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// On every boot.
    Always,
    /// When a device asks for it.
    Device,
    /// When a device asks for it, and no other storage controller is there or brought the root in time.
    Last,
}

/// A module aboard.
#[derive(Debug, PartialEq, Eq)]
struct Module {
    path: String,
    needs: Vec<String>,
}

/// All that is known of the modules aboard.
#[derive(Debug, Default)]
pub struct Catalogue {
    list: Vec<(String, When)>,
    modules: Vec<Module>,
    aliases: Vec<(String, String)>,
}

/// Parses the three files.
///
/// # Errors
/// If one of them is not of its form.
pub fn parse_catalogue(list: &str, dep: &str, alias: &str) -> Result<Catalogue> {
    Ok(Catalogue { list: parse_list(list)?, modules: parse_dep(dep)?, aliases: parse_alias(alias)? })
}

/// `NAME WHEN FORM REASON…`, `#` for comments. How a module travels (FORM) is the business of `pack`.
fn parse_list(text: &str) -> Result<Vec<(String, When)>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(when)) = (words.next(), words.next()) else {
                bail!("not NAME WHEN FORM REASON: {line:?}")
            };
            let when = match when {
                "always" => When::Always,
                "device" => When::Device,
                "last" => When::Last,
                other => bail!("module {name}: {other:?} is not always, device or last"),
            };
            Ok((name.replace('-', "_"), when))
        })
        .collect()
}

/// `PATH: PATH…`
fn parse_dep(text: &str) -> Result<Vec<Module>> {
    text.lines()
        .map(|line| {
            let (path, needs) =
                line.split_once(':').ok_or_else(|| anyhow!("modules.dep: not PATH: PATH…: {line:?}"))?;
            Ok(Module { path: path.into(), needs: needs.split_ascii_whitespace().map(Into::into).collect() })
        })
        .collect()
}

/// `alias PATTERN MODULE`, of which only devices on our buses matter.
fn parse_alias(text: &str) -> Result<Vec<(String, String)>> {
    let is_ours = |pattern: &&str| BUSES.iter().any(|bus| pattern.starts_with(bus));
    let lines = text.lines().filter_map(|line| line.strip_prefix("alias ")).filter(is_ours);
    lines
        .map(|line| {
            let (pattern, module) =
                line.split_once(' ').ok_or_else(|| anyhow!("modules.alias: not alias PATTERN MODULE: {line:?}"))?;
            Ok((pattern.into(), module.into()))
        })
        .collect()
}

impl Catalogue {
    /// The modules aboard that every boot loads.
    pub fn always(&self) -> impl Iterator<Item = &str> {
        let always = self.list.iter().filter(|(_, when)| *when == When::Always);
        always.map(|(name, _)| name.as_str()).filter(|name| self.find(name).is_some())
    }

    /// The modules that the devices with these modaliases want, `waited` into the wait for the root. The second value
    /// says whether a `last` one still holds back.
    pub fn wanted<'a>(&'a self, devices: &[String], waited: Duration) -> (Vec<&'a str>, bool) {
        let (mut now, mut last, mut others) = (Vec::new(), Vec::new(), false);
        for device in devices {
            let mut driven_by_last = false;
            for (_, module) in self.aliases.iter().filter(|(pattern, _)| glob(pattern.as_bytes(), device.as_bytes())) {
                match self.list.iter().find(|(name, _)| name == module).map(|(_, when)| *when) {
                    Some(When::Last) => {
                        last.push(module.as_str());
                        driven_by_last = true;
                    }
                    Some(When::Always | When::Device) => now.push(module.as_str()),
                    // Aboard as another's dependency only.
                    None => {}
                }
            }
            others |= is_storage_controller(device) && !driven_by_last;
        }
        let hold = !last.is_empty() && others && waited < TIMEOUT;
        if !hold {
            now.append(&mut last);
        }
        (now, hold)
    }

    /// The files to load for a module, those it needs first. Empty if it is not aboard.
    pub fn load_order(&self, name: &str) -> Vec<&str> {
        // depmod lists a module's needs nearest first.
        self.find(name).map_or_else(Vec::new, |module| {
            module.needs.iter().rev().chain([&module.path]).map(String::as_str).collect()
        })
    }

    fn find(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|module| module_name(&module.path) == name)
    }
}

/// `kernel/drivers/block/virtio-blk.ko.xz` is the module `virtio_blk`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// Whether the file is compressed, so that the kernel has to be notified.
pub fn is_compressed(path: &Path) -> bool {
    path.extension() != Some("ko".as_ref())
}

/// A module's file as it was before the kernel's build signed it. Behind a signature stand the 12 bytes of
/// `struct module_signature`, whose last four are the signature's length, and the marker.
pub fn without_signature(module: &[u8]) -> &[u8] {
    let head = module.strip_suffix(b"~Module signature appended~\n").and_then(<[u8]>::split_last_chunk::<4>);
    let bare =
        head.and_then(|(rest, length)| rest.len().checked_sub(8 + usize::try_from(u32::from_be_bytes(*length)).ok()?));
    &module[..bare.unwrap_or(module.len())]
}

/// PCI class 01: mass storage.
fn is_storage_controller(modalias: &str) -> bool {
    modalias.starts_with("pci:") && modalias.contains("bc01")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# a comment\n\noverlay always plain it is the root\nvirtio-blk device plain a disk\nsd_mod device packed\next4 always plain built in\nahci last packed slow\n";
    const DEP: &str = "overlay.ko:\nerofs.ko: netfs.ko libcrc32c.ko\nnetfs.ko:\nlibcrc32c.ko:\nvirtio_blk.ko.xz:\nscsi_mod.ko: scsi_common.ko\nscsi_common.ko:\nsd_mod.ko: scsi_mod.ko scsi_common.ko\nahci.ko: libata.ko scsi_mod.ko scsi_common.ko\nlibata.ko: scsi_mod.ko scsi_common.ko\n";
    const ALIAS: &str = "# Aliases extracted from modules themselves.\nalias virtio:d00000002v* virtio_blk\nalias pci:v*d*sv*sd*bc01sc06i01* ahci\nalias scsi:t-0x00* sd_mod\nalias fs-overlay overlay\n";

    const VIRTIO_PCI: &str = "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00";
    const NVME: &str = "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02";
    const AHCI: &str = "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01";
    const NIC: &str = "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00";

    fn catalogue() -> Catalogue {
        parse_catalogue(LIST, DEP, ALIAS).unwrap()
    }

    #[test]
    fn needs_come_first() {
        let cases: &[(&str, &[&str])] = &[
            ("overlay", &["overlay.ko"]),
            ("erofs", &["libcrc32c.ko", "netfs.ko", "erofs.ko"]),
            ("ahci", &["scsi_common.ko", "scsi_mod.ko", "libata.ko", "ahci.ko"]),
            ("virtio_blk", &["virtio_blk.ko.xz"]),
            ("ext4", &[]),
        ];
        for (name, expected) in cases {
            assert_eq!(catalogue().load_order(name), *expected, "{name}");
        }
        assert_eq!(catalogue().always().collect::<Vec<_>>(), ["overlay"], "what is not aboard is built in");
    }

    #[test]
    fn what_the_hardware_wants() {
        let early = Duration::ZERO;
        let cases: &[(&[&str], Duration, &[&str], bool)] = &[
            (&[], early, &[], false),
            (&["virtio:d00000002v00001AF4"], early, &["virtio_blk"], false),
            (&[VIRTIO_PCI, "virtio:d00000002v00001AF4", AHCI], early, &["virtio_blk"], true),
            (&[VIRTIO_PCI, "virtio:d00000002v00001AF4", AHCI], TIMEOUT, &["virtio_blk", "ahci"], false),
            (&[NVME, AHCI], early, &[], true),
            (&[AHCI, NIC], early, &["ahci"], false),
            (&[AHCI, NIC, "scsi:t-0x00"], early, &["sd_mod", "ahci"], false),
            (&["scsi:t-0x05"], early, &[], false),
        ];
        for (devices, waited, expected, hold) in cases {
            let devices: Vec<_> = devices.iter().map(ToString::to_string).collect();
            assert_eq!(catalogue().wanted(&devices, *waited), (expected.to_vec(), *hold), "{devices:?}");
        }
    }

    #[test]
    fn bad_files_are_refused() {
        for (list, dep, alias) in
            [("overlay", "", ""), ("overlay sometimes why", "", ""), ("", "overlay.ko", ""), ("", "", "alias pci:x")]
        {
            assert!(parse_catalogue(list, dep, alias).is_err(), "{list} {dep} {alias}");
        }
    }

    #[test]
    fn signatures_come_off() {
        let marker = b"~Module signature appended~\n";
        let signed = |length: u32| [&b"ELF signature"[..], &[0; 8], &length.to_be_bytes(), marker].concat();
        for (module, expected) in [
            (signed(9), &b"ELF "[..]),
            (signed(13), b""),
            (signed(14), &signed(14)[..]),
            (signed(u32::MAX), &signed(u32::MAX)[..]),
            (b"ELF".to_vec(), b"ELF"),
            (marker.to_vec(), marker),
            (Vec::new(), b""),
        ] {
            assert_eq!(without_signature(&module), expected);
        }
    }

    #[test]
    fn names_and_compression() {
        for (path, name, compressed) in [
            ("kernel/drivers/block/virtio-blk.ko.xz", "virtio_blk", true),
            ("overlay.ko", "overlay", false),
            ("x/sd_mod.ko.zst", "sd_mod", true),
        ] {
            assert_eq!(module_name(path), name);
            assert_eq!(is_compressed(Path::new(path)), compressed);
        }
    }
}
