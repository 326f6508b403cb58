//! The floor: the smallest /init there can be. Says how long the kernel took and how much of it was work, powers off.

use std::fs;
use std::io::Write;

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let now = clock_gettime(ClockId::Boottime);
    // No folder but the kernel's own /dev is there before this; if /proc fails, the line says so by what it lacks.
    let _ = fs::create_dir("/proc");
    let _ = mount("proc", "/proc", "proc", MountFlags::empty(), None);
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let cpu = stat.lines().next().unwrap_or_default();
    // The same form as the stock image's (bench/stock/tree/usr/local/lib/stock-ready): one reader for both.
    let _ = writeln!(std::io::stdout(), "floor: READY uptime {}.{:09} {cpu}", now.tv_sec, now.tv_nsec);
    let _ = reboot(RebootCommand::PowerOff);
}
