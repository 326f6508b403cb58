//! canary: proves on each boot that this node runs pods. It leaves the boot's id on the host, and runs until it is asked
//! to end.

#![cfg_attr(bare, no_std, no_main)]

use ballast_pods::sys::{Errno, SIGINT, SIGTERM, Signals, print, read_file, rename, write_file};

ballast_pods::program!(run);

fn run() -> i32 {
    let signals = Signals::block(&[SIGTERM, SIGINT]);
    if leave_boot_id().is_err() {
        print(b"canary: cannot write /run/canary/boot_id\n");
        return 1;
    }
    print(b"canary: this boot's id is in /run/canary/boot_id\n");
    signals.wait();
    0
}

/// Whole or not at all: whoever watches the file never sees half of it.
fn leave_boot_id() -> Result<(), Errno> {
    let mut buffer = [0; 64];
    let boot_id = read_file(c"/proc/sys/kernel/random/boot_id", &mut buffer)?;
    write_file(c"/run/canary/boot_id.new", boot_id)?;
    rename(c"/run/canary/boot_id.new", c"/run/canary/boot_id")
}
