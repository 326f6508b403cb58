//! What the kernel does with an ext4 file system that is mounted.

use std::fs;

use anyhow::{Context, Result};
use rustix::{
    fs::CWD,
    mount::{FsPickFlags, fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fspick},
};

use super::host::Host;

const MOUNTS: &str = "/proc/self/mountinfo";

/// From now on damage in the file system that is mounted at `point` makes it read-only. Nothing else about it changes. If nothing is mounted
/// there, there is nothing to do.
///
/// # Errors
/// If the kernel refuses.
pub fn on_damage_read_only(host: &Host, point: &str) -> Result<()> {
    let table = fs::read_to_string(host.path(MOUNTS)).with_context(|| format!("reading {MOUNTS}"))?;
    let Some(is_read_only) = is_read_only(&table, point) else { return Ok(()) };
    let doing = || format!("setting errors=remount-ro for {point}");
    let context = fspick(CWD, host.path(point), FsPickFlags::FSPICK_CLOEXEC).with_context(doing)?;
    // ext4 takes a flag that is not set for one that is to be taken away.
    if is_read_only {
        fsconfig_set_flag(&context, "ro").with_context(doing)?;
    }
    fsconfig_set_string(&context, "errors", "remount-ro").with_context(doing)?;
    fsconfig_reconfigure(&context).with_context(doing)
}

/// Whether the file system (not only the mount) at `point` is read-only, proc_pid_mountinfo(5).
fn is_read_only(table: &str, point: &str) -> Option<bool> {
    let line = table.lines().rfind(|line| line.split(' ').nth(4) == Some(point))?;
    let options = line.split_once(" - ")?.1.split(' ').nth(2)?;
    Some(options.split(',').any(|option| option == "ro"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_the_file_system_count() {
        let table = "30 22 0:25 / / ro,relatime shared:1 - overlay composefs ro,lowerdir=/a\n\
                     31 30 254:2 / /sysroot ro,relatime shared:2 - ext4 /dev/vda2 rw,errors=panic\n\
                     32 30 254:2 /boot /boot ro shared:3 - ext4 /dev/vda2 ro\n";
        assert_eq!(is_read_only(table, "/sysroot"), Some(false));
        assert_eq!(is_read_only(table, "/boot"), Some(true));
        assert_eq!(is_read_only(table, "/efi"), None);
    }
}
