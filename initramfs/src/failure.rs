//! When /init cannot go on: it says which step and why, and reboots, so that the boot counter falls back.
//! It never stops in a shell and never waits without a deadline.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::system::{RebootCommand, reboot};

/// Long enough to read the line on a console, short beside a boot.
const REBOOT_DELAY: Duration = Duration::from_secs(5);
/// For everything together, so that no disk that hangs holds a boot for ever. Far above what any working disk takes: the
/// longest wait within is 10 s (`root::DEADLINE`), a journal replay on a slow disk comes on top, and under QEMU's
/// icount clock time leaps, seen: by 104 s, while the guest waits for its host.
const DEADLINE: Duration = Duration::from_secs(300);

/// What was allowed besides, in seconds.
static ALLOWED: AtomicU64 = AtomicU64::new(0);

/// A step that failed, with the stack of reasons.
#[derive(Debug)]
pub struct Failure {
    /// One of the names that `main` lists.
    pub step: &'static str,
    /// Why.
    pub error: anyhow::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:#}", self.step, self.error)
    }
}

/// From here on a panic ends in a reboot, and so does a boot that takes too long.
///
/// # Errors
/// If the thread that watches the time cannot be made.
pub fn arm() -> std::io::Result<()> {
    std::panic::set_hook(Box::new(|panic| reboot_because(panic)));
    // It ends with this program, when systemd is executed in its place.
    thread::Builder::new().name("deadline".into()).stack_size(64 << 10).spawn(|| {
        let mut waited = Duration::ZERO;
        loop {
            let time = DEADLINE + Duration::from_secs(ALLOWED.load(Ordering::Relaxed));
            let Some(left) = time.checked_sub(waited).filter(|left| !left.is_zero()) else {
                reboot_because(&format_args!("not done after {} s", waited.as_secs()))
            };
            thread::sleep(left);
            waited += left;
        }
    })?;
    Ok(())
}

/// Gives this boot more time, for work that has a deadline of its own.
pub fn allow(time: Duration) {
    ALLOWED.fetch_add(time.as_secs(), Ordering::Relaxed);
}

/// Prints the reason, waits a little, reboots.
pub fn reboot_because(reason: &dyn fmt::Display) -> ! {
    say(&format!("ballast-init: {reason}"));
    say(&format!("ballast-init: rebooting in {} s", REBOOT_DELAY.as_secs()));
    thread::sleep(REBOOT_DELAY);
    // If even this fails PID 1 ends, the kernel panics, and panic=10 reboots.
    let _ = reboot(RebootCommand::Restart);
    std::process::exit(1);
}

/// To the console for the person before it, and to the kernel's log at level err for whoever records that.
pub fn say(line: &str) {
    for (path, text) in [("/dev/kmsg", format!("<3>{line}\n")), ("/dev/console", format!("{line}\r\n"))] {
        // There is nobody to report to if this fails.
        let _ = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    }
}
