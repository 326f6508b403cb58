//! Has e2fsck mend VAR before it is mounted, on the boots that need it. e2fsck is the release's own: the initramfs has no room for it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::mount::mount_bind;
use rustix::process::{Pid, Signal, chdir, chroot, fchdir, kill_process};

use crate::ext4::{self, State};
use crate::failure;
use crate::mounts::{self, NEW};

const E2FSCK: &str = "/usr/sbin/e2fsck";
/// What it said, for the operator.
pub const LOG: &str = "/run/ballast/e2fsck-var.log";

/// A journal takes seconds to replay. A full check of a large disk takes minutes; one that takes longer than this is ended, and the
/// node comes up with what there is.
const DEADLINE: Duration = Duration::from_secs(600);
/// After SIGTERM e2fsck writes what it has done so far.
const END_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

// Exit status, e2fsck(8).
const UNCORRECTED: i32 = 4;

/// Mends the file system on `device` unless it is clean. Returns what somebody should know of it.
pub fn mend(device: &Path) -> Option<String> {
    // The kernel does not mount a torn one. What is more than torn is e2fsck's.
    let mut is_mended = false;
    let state = match ext4::load(device) {
        Ok(State::Torn) if ext4::mend(device).unwrap_or_default() => {
            is_mended = true;
            ext4::load(device)
        }
        loaded => loaded,
    };
    let state = match state {
        // What is mended is checked all the same.
        Ok(State::Clean) if !is_mended => return None,
        Ok(state) => state,
        Err(error) => return Some(format!("/var: {error:#}")),
    };
    failure::allow(DEADLINE + END_WITHIN);
    match run_inside(device, is_mended) {
        Ok(status) => describe(state, status),
        Err(error) => Some(format!("/var was not checked: {error:#}")),
    }
}

/// What a check of a file system in `state` means, that ended with `status`.
fn describe(state: State, status: i32) -> Option<String> {
    match (state, status) {
        (_, UNCORRECTED..) => {
            Some(format!("/var is damaged and e2fsck could not mend it (status {status}); see {LOG}"))
        }
        (State::Damaged | State::Torn | State::Unknown, _) => {
            Some(format!("/var was damaged; e2fsck has mended it, see {LOG}"))
        }
        (State::Clean | State::Unclean, _) => None,
    }
}

/// Runs e2fsck in the new root, which has its libraries.
fn run_inside(device: &Path, in_full: bool) -> Result<i32> {
    mounts::folder(Path::new("/run/ballast"), 0o755)?;
    let log = File::create(LOG).with_context(|| format!("making {LOG}"))?;
    for name in ["dev", "proc"] {
        let target = Path::new(NEW).join(name);
        mount_bind(Path::new("/").join(name), &target).with_context(|| format!("binding {}", target.display()))?;
    }
    let outside = File::open("/").context("opening /")?;
    chroot(NEW).and_then(|()| chdir("/")).with_context(|| format!("moving into {NEW}"))?;
    let status = check(device, in_full, &log);
    fchdir(&outside).and_then(|()| chroot(".")).context("moving out again")?;
    for name in ["proc", "dev"] {
        mounts::detach(&Path::new(NEW).join(name))?;
    }
    status
}

/// First what e2fsck does without asking anybody, then the rest: there is nobody to ask.
fn check(device: &Path, in_full: bool, log: &File) -> Result<i32> {
    let end = Instant::now() + DEADLINE;
    let first: &[&str] = if in_full { &["-f", "-p"] } else { &["-p"] };
    match run(first, device, log, end)? {
        UNCORRECTED.. => run(&["-f", "-y"], device, log, end),
        status => Ok(status),
    }
}

fn run(options: &[&str], device: &Path, log: &File, end: Instant) -> Result<i32> {
    let [out, err] = [log.try_clone()?, log.try_clone()?];
    let mut command = Command::new(E2FSCK);
    command.args(options).arg(device).stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().with_context(|| format!("starting {E2FSCK}"))?;
    if let Some(status) = wait(&mut child, end)? {
        return Ok(status);
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| anyhow!("it has no process id"))?;
    kill_process(pid, Signal::TERM).context("ending e2fsck")?;
    if wait(&mut child, Instant::now() + END_WITHIN)?.is_none() {
        child.kill().context("killing e2fsck")?;
        child.wait().context("waiting for e2fsck")?;
    }
    Err(anyhow!("e2fsck was not done after {} s", DEADLINE.as_secs()))
}

fn wait(child: &mut Child, end: Instant) -> Result<Option<i32>> {
    loop {
        if let Some(status) = child.try_wait().context("waiting for e2fsck")? {
            // A signal is as bad as an operational error.
            return Ok(Some(status.code().unwrap_or(8)));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_of_a_check() {
        for (state, status, reported) in [
            (State::Unclean, 0, None),
            (State::Unclean, 1, None),
            (State::Damaged, 1, Some("was damaged")),
            (State::Unknown, 1, Some("was damaged")),
            (State::Unclean, 4, Some("could not mend")),
            (State::Damaged, 12, Some("could not mend")),
        ] {
            let text = describe(state, status);
            assert_eq!(text.is_some(), reported.is_some(), "{state:?} {status}");
            assert!(text.unwrap_or_default().contains(reported.unwrap_or_default()), "{state:?} {status}");
        }
    }

    #[test]
    fn a_wait_has_an_end() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(wait(&mut child, Instant::now() + Duration::from_millis(30)).unwrap(), None);
        child.kill().unwrap();
        assert_eq!(wait(&mut child, Instant::now() + Duration::from_secs(10)).unwrap(), Some(8));
    }
}
