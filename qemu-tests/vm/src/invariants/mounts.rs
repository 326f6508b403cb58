//! / is the read-only composefs of the release, and /usr cannot be written even by root.

use anyhow::{Context, Result, bail, ensure};

use crate::guest::Guest;

pub(super) fn check(guest: &mut Guest) -> Result<()> {
    let table = guest.ask("cat /proc/self/mountinfo")?;
    let root = Mount::at(&table, "/")?;
    ensure!(root.kind == "overlay", "/ is {}, not an overlay", root.kind);
    ensure!(root.is_read_only(), "/ is mounted {}", root.options);
    // Data-only lower layers ("::") are what composefs is made of: file data comes from the object store alone.
    ensure!(root.super_options.contains("::"), "/ has no data-only layer: {}", root.super_options);
    ensure!(root.super_options.contains("verity=require"), "/ does not require fs-verity: {}", root.super_options);
    ensure!(Mount::at(&table, "/sysroot")?.is_read_only(), "/sysroot is writable");
    ensure!(!Mount::at(&table, "/var")?.is_read_only(), "/var is read-only");

    let write = guest.shell("touch /usr/written-by-a-test")?;
    if write.status == 0 || !write.warning().contains("Read-only file system") {
        bail!("writing to /usr ended with {}: {}", write.status, write.warning());
    }
    Ok(())
}

/// A line of mountinfo, proc_pid_mountinfo(5).
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    options: String,
    kind: String,
    super_options: String,
}

impl Mount {
    /// The last mount on `place`: the one that is seen.
    fn at(table: &str, place: &str) -> Result<Self> {
        let mut mounts = table.lines().filter(|line| line.split(' ').nth(4) == Some(place));
        mounts.next_back().and_then(Self::parse).with_context(|| format!("nothing is mounted on {place}"))
    }

    fn parse(line: &str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.splitn(3, ' ');
        Some(Self {
            options: front.split(' ').nth(5)?.to_owned(),
            kind: back.next()?.to_owned(),
            super_options: back.nth(1)?.to_owned(),
        })
    }

    fn is_read_only(&self) -> bool {
        self.options.split(',').any(|option| option == "ro")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 0:20 / / rw,relatime shared:1 - rootfs rootfs rw
30 22 0:25 / / ro,relatime shared:1 - overlay composefs ro,lowerdir+=/a::/b,verity=require
31 30 254:2 / /sysroot ro,relatime - ext4 /dev/vda2 ro
";

    #[test]
    fn the_last_mount_on_a_place_counts() {
        let root = Mount::at(TABLE, "/").unwrap();
        assert_eq!(root.kind, "overlay");
        assert!(root.is_read_only() && root.super_options.contains("verity=require"));
        assert_eq!(Mount::at(TABLE, "/var").unwrap_err().to_string(), "nothing is mounted on /var");
    }
}
