//! What READY waits for is read from the disk, and verified, while systemd starts: by a second process of this program, which
//! systemd finds beside itself and buries.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Advice, fadvise};
use rustix::process::getpid;

use crate::mounts::NEW;

/// The programs that are read nearly whole on the way to READY, the one that takes longest first.
const PROGRAMS: [&str; 2] = ["usr/bin/containerd", "usr/bin/ballast"];

/// Of one call the kernel takes as much as the disk's requests may have, but always this much; the rest it forgets.
const PIECE: u64 = 128 << 10;

/// Starts the second process. If that fails, READY comes later, and nothing else is lost.
pub fn begin() {
    let mut command = Command::new("/proc/self/exe");
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

/// Whether this is the second process.
pub fn is_us() -> bool {
    !getpid().is_init()
}

/// Asks for the programs. All are opened first: soon the new tree lies elsewhere.
pub fn read() {
    let open = |program| File::open(Path::new(NEW).join(program));
    for file in PROGRAMS.map(open).into_iter().flatten() {
        // Whoever needs it reads it in any case, and says what is wrong with it.
        let _ = ask_for(&file);
    }
}

fn ask_for(file: &File) -> io::Result<()> {
    for start in (0..file.metadata()?.len()).step_by(PIECE as usize) {
        fadvise(file, start, NonZeroU64::new(PIECE), Advice::WillNeed)?;
    }
    Ok(())
}
