//! seal: boots a fresh disk once, at build time, to switch fs-verity on for it and to fill its VAR, and powers off. Build
//! hosts often cannot.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use ballast_initramfs::drivers::Drivers;
use ballast_initramfs::efi::Loader;
use ballast_initramfs::mounts::OnDamage;
use ballast_initramfs::partition::RootSpec;
use ballast_initramfs::root::Attempt;
use ballast_initramfs::uevent::Uevents;
use ballast_initramfs::{filling, mounts, root, sealing};
use rustix::fs::sync;
use rustix::mount::MountFlags;
use rustix::system::{RebootCommand, reboot};

fn main() {
    let verdict = match seal() {
        Ok(files) => format!("seal: {files} files sealed, the preloaded pods' images in place\n"),
        Err(error) => format!("seal: error: {error:#}\n"),
    };
    // Whoever started the virtual machine reads the console; there is no other way to report.
    let _ = OpenOptions::new().write(true).open("/dev/console").and_then(|mut file| file.write_all(verdict.as_bytes()));
    let _ = reboot(RebootCommand::PowerOff);
}

fn seal() -> Result<usize> {
    mounts::kernel_filesystems()?;
    let uevents = Uevents::listen()?;
    let mut drivers = Drivers::open()?;
    drivers.load_always()?;
    let root = root::wait(&RootSpec::default(), &Loader::default(), &mut drivers, &uevents, |candidate| {
        match mounts::root(&root::device(candidate), MountFlags::empty(), OnDamage::ReadOnly) {
            Ok(()) => Attempt::Mounted,
            Err(error) => Attempt::Refused(format!("{error:#}")),
        }
    })?;
    let files = sealing::seal(Path::new(mounts::ROOT))?;
    filling::fill(&root::device(root::var_partition(&root)?)).context("filling VAR")?;
    sync();
    mounts::root_off().context("closing the disk")?;
    Ok(files)
}
