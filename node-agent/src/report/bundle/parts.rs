//! What programs and files say of a node.

/// A program of the image, and the file that its words go to.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    pub(super) arguments: &'static [&'static str],
}

const fn program(name: &'static str, program: &'static str, arguments: &'static [&'static str]) -> Program {
    Program { name, program, arguments }
}

/// In the order in which one reads them.
pub(super) const PROGRAMS: [Program; 15] = [
    program("journal/this-boot.txt", JOURNALCTL, &["--boot=0", LINES, "--output=short-iso", "--no-pager", "--quiet"]),
    program(
        "journal/boot-before.txt",
        JOURNALCTL,
        &["--boot=-1", LINES, "--output=short-iso", "--no-pager", "--quiet"],
    ),
    program(
        "journal/kernel.txt",
        JOURNALCTL,
        &["--dmesg", "--boot=0", LINES, "--output=short-monotonic", "--no-pager", "--quiet"],
    ),
    program("journal/boots.txt", JOURNALCTL, &["--list-boots", "--no-pager"]),
    program("systemd/units.txt", SYSTEMCTL, &["list-units", "--all", "--no-pager", "--plain"]),
    program("systemd/failed.txt", SYSTEMCTL, &["status", "--state=failed", "--no-pager", "--lines=50"]),
    program("network/addresses.json", IP, &["-json", "address"]),
    program("network/routes.json", IP, &["-json", "route", "show", "table", "all"]),
    program("network/routes6.json", IP, &["-json", "-6", "route", "show", "table", "all"]),
    program("network/sockets.txt", "/usr/bin/ss", &["--all", "--numeric", "--processes", "--tcp", "--udp"]),
    program("network/names.txt", "/usr/bin/resolvectl", &["status", "--no-pager"]),
    program("network/links.txt", "/usr/bin/networkctl", &["status", "--all", "--no-pager", "--lines=0"]),
    program("disks/blocks.json", "/usr/bin/lsblk", &["--json", "--bytes", "--output-all"]),
    program("disks/mounts.json", "/usr/bin/findmnt", &["--json", "--bytes", "--df"]),
    program("disks/room.txt", "/usr/bin/df", &["--all", "--inodes"]),
];

const JOURNALCTL: &str = "/usr/bin/journalctl";
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const IP: &str = "/usr/bin/ip";

/// So many lines of each journal: a day of a node in trouble.
const LINES: &str = "--lines=20000";

/// Files, as they are.
pub(super) const FILES: [(&str, &str); 15] = [
    ("versions/os-release", "/etc/os-release"),
    ("versions/kernel.txt", "/proc/version"),
    ("versions/command-line.txt", "/proc/cmdline"),
    ("boot/initramfs.json", "/run/ballast/initramfs.json"),
    ("boot/fsck-var.txt", "/run/ballast/e2fsck-var.log"),
    ("boot/loader.conf", "/efi/loader/loader.conf"),
    ("containerd/config.toml", "/etc/containerd/config.toml"),
    ("network/resolv.conf", "/run/systemd/resolve/resolv.conf"),
    ("network/conntrack-count", "/proc/sys/net/netfilter/nf_conntrack_count"),
    ("network/conntrack-max", "/proc/sys/net/netfilter/nf_conntrack_max"),
    ("machine/meminfo.txt", "/proc/meminfo"),
    ("machine/load.txt", "/proc/loadavg"),
    ("machine/pressure-memory.txt", "/proc/pressure/memory"),
    ("machine/pressure-io.txt", "/proc/pressure/io"),
    ("machine/modules.txt", "/proc/modules"),
];

/// Folders, the files in which end so.
pub(super) const FOLDERS: [(&str, &str, &str); 4] = [
    ("boot/entries", "/efi/loader/entries", ".conf"),
    ("pstore/now", "/sys/fs/pstore", ""),
    ("pstore/kept", "/var/lib/systemd/pstore", ""),
    ("pods", "/var/log/pods", ".log"),
];
