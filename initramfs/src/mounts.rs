//! Every mount that /init makes, by what it is for.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_move, unmount};

/// ROOT, while we work.
pub const ROOT: &str = "/root";
/// What will be /.
pub const NEW: &str = "/new";
/// The EROFS image, until overlayfs holds it.
pub const IMAGE: &str = "/image";
/// Holds the upper layer of /etc; libostree names it so too.
pub const TRANSIENT_ETC: &str = "/run/ostree/transient-etc";

const SECRETLESS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Mounts the kernel's own file systems, with the options that systemd would give them: it keeps what it finds.
///
/// # Errors
/// Which one failed, and why.
pub fn kernel_filesystems() -> Result<()> {
    let run = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::STRICTATIME;
    for (kind, target, flags, options) in [
        ("devtmpfs", "/dev", MountFlags::NOSUID | MountFlags::STRICTATIME, "mode=0755,size=4m,nr_inodes=64K"),
        ("proc", "/proc", SECRETLESS, ""),
        ("sysfs", "/sys", SECRETLESS, ""),
        ("tmpfs", "/run", run, "mode=0755,size=20%,nr_inodes=800K"),
    ] {
        filesystem(kind, Path::new(kind), Path::new(target), flags, options)?;
    }
    Ok(())
}

/// Mounts a file system on a folder, which is made if need be.
///
/// # Errors
/// What was to be mounted where, and why it cannot.
pub fn filesystem(kind: &str, source: &Path, target: &Path, flags: MountFlags, options: &str) -> Result<()> {
    let doing = || format!("mounting {} on {} ({kind}, {options:?})", source.display(), target.display());
    folder(target, 0o755)?;
    let data = CString::new(options).with_context(doing)?;
    mount(source, target, kind, flags, data.as_c_str()).with_context(doing)
}

/// What the kernel does when it finds damage in ROOT: nobody uses the file system as if it were whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// It writes nothing more, and the node goes on with what can be read.
    ReadOnly,
    /// It panics, and so reboots: for a boot that is counted, after which another release boots.
    Panic,
}

/// Mounts ROOT. A journal that was left open is replayed by the kernel, also if `access` says read-only.
///
/// # Errors
/// Why it cannot.
pub fn root(device: &Path, access: MountFlags, on_damage: OnDamage) -> Result<()> {
    let options = match on_damage {
        OnDamage::ReadOnly => "errors=remount-ro",
        OnDamage::Panic => "errors=panic",
    };
    filesystem("ext4", device, Path::new(ROOT), access | MountFlags::NOSUID | MountFlags::NODEV, options)
}

/// Mounts the firmware's variables, with the options that systemd would give them: it keeps what it finds.
///
/// # Errors
/// Why it cannot.
pub fn efi_variables(folder: &str) -> Result<()> {
    filesystem("efivarfs", Path::new("efivarfs"), Path::new(folder), SECRETLESS, "")
}

/// Takes ROOT off again.
///
/// # Errors
/// Why it cannot.
pub fn root_off() -> Result<()> {
    unmount(ROOT, UnmountFlags::empty()).with_context(|| format!("unmounting {ROOT}"))
}

/// Mounts VAR, where nothing needs setuid programs or device nodes.
///
/// # Errors
/// Why it cannot.
pub fn var(device: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    filesystem("ext4", device, &Path::new(NEW).join("var"), flags, "errors=remount-ro")
}

/// Mounts a /var in memory, for a node that cannot have its own.
///
/// # Errors
/// Why it cannot.
pub fn volatile_var() -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    filesystem("tmpfs", Path::new("tmpfs"), &Path::new(NEW).join("var"), flags, "mode=0755,size=50%")
}

/// Gives /etc a writable layer that lasts as long as the boot.
///
/// # Errors
/// Why it cannot.
pub fn etc() -> Result<()> {
    let (upper, work) = (Path::new(TRANSIENT_ETC).join("upper"), Path::new(TRANSIENT_ETC).join("work"));
    folder(Path::new("/run/ostree"), 0o755)?;
    folder(Path::new(TRANSIENT_ETC), 0o700)?;
    folder(&upper, 0o755)?;
    folder(&work, 0o755)?;
    let options = format!("lowerdir={NEW}/usr/etc,upperdir={},workdir={}", upper.display(), work.display());
    filesystem("overlay", Path::new("overlay"), &Path::new(NEW).join("etc"), MountFlags::empty(), &options)
}

/// Shows ROOT at /sysroot, and its /boot at /boot. ROOT is bound and not moved: moved, it would be mounted inside what
/// is built upon it, and systemd could never unmount it (ostree-prepare-root does the same).
///
/// # Errors
/// Why it cannot.
pub fn sysroot() -> Result<()> {
    for (from, to) in [("", "sysroot"), ("boot", "boot")] {
        let (from, to) = (Path::new(ROOT).join(from), Path::new(NEW).join(to));
        mount_bind(&from, &to).with_context(|| format!("binding {} to {}", from.display(), to.display()))?;
    }
    detach(Path::new(ROOT))
}

/// Takes a mount out of sight; it lives on where it is in use.
///
/// # Errors
/// Why it cannot.
pub fn detach(target: &Path) -> Result<()> {
    unmount(target, UnmountFlags::DETACH).with_context(|| format!("detaching {}", target.display()))
}

/// Moves the kernel's file systems below what will be /.
///
/// # Errors
/// Why it cannot.
pub fn move_kernel_filesystems() -> Result<()> {
    for name in ["dev", "proc", "sys", "run"] {
        let (from, to) = (Path::new("/").join(name), Path::new(NEW).join(name));
        mount_move(&from, &to).with_context(|| format!("moving {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// Makes a folder, if it is not there.
///
/// # Errors
/// Why it cannot.
pub fn folder(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::EXIST) => {
            Err(error).with_context(|| format!("making folder {}", path.display()))
        }
        _ => Ok(()),
    }
}
