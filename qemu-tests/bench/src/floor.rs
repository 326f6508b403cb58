//! The floor: the image's own kernel and command line with an empty /init, built here, static. Less than this, no change
//! to what comes after the kernel can reach.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::subject::{MEMORY_MIB, Subject};
use qemu_vm::cpio;
use qemu_vm::lab::Lab;
use qemu_vm::qemu::firmware::Firmware;
use qemu_vm::tools;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the floor's initramfs; gives the machine to boot.
pub(super) fn build(lab: &Lab) -> Result<Subject> {
    let folder = lab.workspace.target.join("bench/floor");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // A target folder of its own: other flags, so nothing to share, and no lock to wait for.
    cargo.args(["build", "--quiet", "--release", "--locked", "--bin", "floor-init", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    cargo.arg("--target-dir").arg(&folder).env("RUSTFLAGS", "-C target-feature=+crt-static");
    tools::output("cargo", &mut cargo).context("building the floor's /init")?;
    let program = folder.join(TARGET).join("release/floor-init");
    let program = std::fs::read(&program).with_context(|| format!("reading {}", program.display()))?;
    let initramfs: PathBuf = folder.join("initramfs.cpio");
    std::fs::write(&initramfs, cpio::with_init(&program)).context("writing the floor's initramfs")?;
    let cmdline = lab.image.cmdline.clone();
    Ok(Subject {
        name: "floor",
        firmware: Firmware::Direct { kernel: lab.image.kernel.clone(), initramfs: Some(initramfs), cmdline },
        is_uefi: false,
        disk: None,
        ready: "floor: READY",
        last_unit: None,
        credentials: Vec::new(),
        memory_mib: MEMORY_MIB,
    })
}
