//! What a saved node depends on, as a name: where one of it differs, it is another node, and is booted.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::Recipe;
use crate::checksum::sha256;
use crate::disk::Disk;
use crate::guest::{self, AGENT};
use crate::lab::Lab;
use crate::qemu::binary;
use crate::qemu::firmware::{Firmware, FirmwareKind};

/// Enough of the checksum to distinguish nodes of one host.
const LETTERS: usize = 16;

/// The key of `recipe`: image, QEMU, firmware, all of the machine's arguments but the places of its files, and this boot of the host, for
/// nothing here is written to a disk with a barrier, and a host may change while it is down.
pub(super) fn of(lab: &Lab, recipe: &Recipe) -> Result<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("reading the host's boot id")?;
    let image = &lab.image;
    let mut lines = vec![recipe.name.to_owned(), boot, binary::banner(&lab.tools)?, image.commit.clone()];
    for file in [&image.disk, &image.kernel, &image.initramfs] {
        lines.push(seen(file)?);
    }
    let firmware = match recipe.options.firmware {
        FirmwareKind::Uefi => {
            let code = Firmware::code(&lab.tools)?;
            lines.push(seen(&code)?);
            Firmware::Uefi { code, variables: "variables".into() }
        }
        FirmwareKind::Direct => Firmware::direct(image),
    };
    let disk = if recipe.raw { Disk::raw("disk".into()) } else { Disk::qcow2("disk".into()) };
    let mut machine = recipe.options.machine_with(lab, &disk, firmware);
    guest::equip(&mut machine, AGENT, Path::new("sockets"))?;
    lines.extend(machine.arguments());
    Ok(short(&lines))
}

/// A file as it is now, without reading gigabytes.
fn seen(file: &Path) -> Result<String> {
    let metadata = std::fs::metadata(file).with_context(|| format!("looking at {}", file.display()))?;
    Ok(format!("{} {} {}.{:09}", file.display(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

fn short(lines: &[String]) -> String {
    sha256(lines.join("\0")).chars().take(LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_another_key() {
        let key = |words: &[&str]| short(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab", ""]));
        assert_eq!(key(&["a"]).len(), LETTERS);
    }
}
