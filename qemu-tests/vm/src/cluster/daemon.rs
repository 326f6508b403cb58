//! One program of the control plane: started, waited for, ended. What it says stays in a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::deadline::Deadline;

/// Between two looks whether it is ready.
const AGAIN: Duration = Duration::from_millis(200);
/// What of its last words goes into an error.
const TAIL: usize = 5;

/// A running program, which ends with its handle.
pub struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; what it says is added to `FOLDER/NAME.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &'static str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("opening {}", log.display()))?;
        let stdout = file.try_clone().context("sharing a log")?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until `is_ready` says so.
    ///
    /// # Errors
    /// When it has ended, or is not ready in time; with its last words.
    pub fn ready(&mut self, deadline: Deadline, mut is_ready: impl FnMut() -> bool) -> Result<()> {
        let name = self.name;
        let ready = deadline.poll(AGAIN, || match self.child.try_wait() {
            Ok(Some(status)) => {
                bail!("{name} ended ({status}) in place of becoming ready; it said: {}", self.last_words())
            }
            Ok(None) => Ok(is_ready().then_some(())),
            Err(error) => Err(error).with_context(|| format!("looking after {name}")),
        })?;
        match ready {
            Some(()) => Ok(()),
            None => bail!("{name} is not ready within {deadline}; it said: {}", self.last_words()),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time that it has used so far.
    ///
    /// # Errors
    /// When the kernel does not report.
    pub fn cpu(&self) -> Result<Duration> {
        let file = format!("/proc/{}/stat", self.pid());
        let text = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        let ticks = ticks(&text).with_context(|| format!("looking for CPU times in {file}: {text}"))?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// Ends it at once, as a crash does.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("ending {}", self.name))?;
        self.child.wait().map(drop).with_context(|| format!("waiting for the end of {}", self.name))
    }

    fn last_words(&self) -> String {
        // There may be none: the error that this is for says the rest.
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(TAIL).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// USER_HZ, the unit of /proc/PID/stat: 100 on x86-64, whatever the kernel's own clock.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time (fields 14 and 15 of proc_pid_stat(5)); the name in field 2 may have spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_are_read() {
        let stat = "12 (kube api) S 1 12 12 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1234 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn last_words_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo why >&2; exit 3"]);
        let mut daemon = Daemon::start("sh", command, folder.path()).unwrap();
        let error = daemon.ready(Deadline::secs(20), || false).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("it said: first; why"), "{error}");
    }

    #[test]
    fn it_ends_with_its_handle() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut daemon = Daemon::start("sleep", command, folder.path()).unwrap();
        daemon.ready(Deadline::secs(20), || true).unwrap();
        assert!(daemon.cpu().unwrap() < Duration::from_secs(1));
        let proc = PathBuf::from(format!("/proc/{}", daemon.pid()));
        assert!(proc.exists());
        drop(daemon);
        assert!(!proc.exists());
    }
}
