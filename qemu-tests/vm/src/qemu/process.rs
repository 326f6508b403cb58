//! The process: started with its sockets, watched, ended; it never outlives its handle.

use std::fs::File;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::binary::QEMU;
use super::machine::{Machine, Serial};
use super::migration;
use super::qmp::Qmp;
use crate::deadline::Deadline;
use crate::tools::Tools;

/// QEMU opens its sockets before anything else; this long means that it did not start.
const START: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// A running QEMU.
pub struct Process {
    child: Child,
    qmp: Option<Qmp>,
    /// When it was started.
    pub started: Instant,
    warnings: PathBuf,
}

impl Process {
    /// Starts QEMU; gives it and the connected ports, in the machine's order. Its warnings go to `qemu.log` in `logs`.
    ///
    /// # Errors
    /// When it cannot be started or ends at once, with what it said.
    pub fn start(tools: &Tools, machine: &Machine, logs: &Path) -> Result<(Self, Vec<UnixStream>)> {
        let names: Vec<&str> = std::iter::once("qmp").chain(machine.ports.iter().copied()).collect();
        let listeners = match &machine.sockets {
            Some(folder) => names.iter().map(|name| listen(&folder.join(name))).collect::<Result<Vec<_>>>()?,
            None => Vec::new(),
        };
        let warnings = logs.join("qemu.log");
        let log = File::create(&warnings).with_context(|| format!("making {}", warnings.display()))?;
        let mut command = tools.qemu(QEMU);
        command.args(machine.arguments()).stderr(log);
        match machine.serial {
            Serial::Watched => command.stdin(Stdio::null()).stdout(Stdio::piped()),
            Serial::Terminal => command.stdin(Stdio::inherit()).stdout(Stdio::inherit()),
        };
        let child = command.spawn().with_context(|| format!("starting {QEMU} (`make setup` installs it)"))?;
        let mut process = Self { child, qmp: None, started: Instant::now(), warnings };
        let deadline = Deadline::after(START);
        let mut streams = listeners.iter().map(|listener| process.accept(listener, deadline));
        let control = streams.next().transpose()?;
        let ports = streams.collect::<Result<Vec<_>>>()?;
        process.qmp = control.map(Qmp::open).transpose().context("opening QEMU's control socket")?;
        Ok((process, ports))
    }

    /// QEMU's stdout: the serial console of a watched machine.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// The control connection.
    ///
    /// # Errors
    /// When the machine was started without one.
    pub fn qmp(&mut self) -> Result<&mut Qmp> {
        self.qmp.as_mut().context("this QEMU has no control socket")
    }

    /// Waits for QEMU to end by itself, which it does when the guest powers off (or resets, if so set up).
    ///
    /// # Errors
    /// When it still runs at the deadline, or ended with an error.
    pub fn wait(&mut self, deadline: Deadline) -> Result<()> {
        let status = deadline.poll(PAUSE, || self.child.try_wait()).context("waiting for QEMU")?;
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.failed(status)),
            None => bail!("the machine did not end within {deadline}"),
        }
    }

    /// Waits for the end without a deadline: a person sits at the terminal and ends it.
    ///
    /// # Errors
    /// When QEMU ended with an error.
    pub fn wait_for_a_person(&mut self) -> Result<()> {
        match self.child.wait().context("waiting for QEMU")? {
            status if status.success() => Ok(()),
            status => Err(self.failed(status)),
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it: asks, so that image files are left whole, then kills.
    pub fn end(&mut self) {
        if self.has_ended() {
            return;
        }
        let asked = self.qmp.as_mut().is_some_and(|qmp| qmp.execute("quit").is_ok());
        if asked && self.wait(Deadline::secs(5)).is_ok() {
            return;
        }
        // It may have ended by itself in between; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Where each CPU is: for a machine that says nothing more.
    ///
    /// # Errors
    /// When QEMU does not say.
    pub fn registers(&mut self) -> Result<String> {
        let asked = json!({ "command-line": "info registers -a" });
        let answer = self.qmp()?.execute_with("human-monitor-command", &asked)?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// Stops the machine, writes its state to `file` and ends QEMU: what is on the disks then belongs to that state.
    ///
    /// # Errors
    /// When QEMU does not do so.
    pub fn save(&mut self, file: &Path) -> Result<()> {
        migration::save(self.qmp()?, file)?;
        self.end();
        Ok(())
    }

    /// Lets a machine that was started as [`Machine::incoming`] go on from the state in `file`.
    ///
    /// # Errors
    /// When it does not, with what QEMU said.
    pub fn restore(&mut self, file: &Path) -> Result<()> {
        migration::restore(self.qmp()?, file).map_err(|error| match self.child.try_wait() {
            Ok(Some(status)) => self.failed(status).context(format!("{error:#}")),
            _ => error,
        })
    }

    /// Kills it: what the guest believes to be written is in the host's memory or on its disk, all else is lost.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        if !self.has_ended() {
            self.child.kill().context("killing QEMU")?;
        }
        self.child.wait().context("waiting for QEMU").map(drop)
    }

    fn accept(&mut self, listener: &UnixListener, deadline: Deadline) -> Result<UnixStream> {
        listener.set_nonblocking(true).context("preparing a socket")?;
        let stream = deadline.poll(PAUSE, || match listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => match self.child.try_wait()? {
                Some(status) => Err(self.failed(status)),
                None => Ok(None),
            },
            Err(error) => Err(error.into()),
        })?;
        let stream = stream.with_context(|| format!("QEMU did not open its sockets within {deadline}"))?;
        stream.set_nonblocking(false).context("preparing a socket")?;
        Ok(stream)
    }

    fn failed(&self, status: ExitStatus) -> anyhow::Error {
        let said = std::fs::read_to_string(&self.warnings).unwrap_or_default();
        anyhow::anyhow!("QEMU ended ({status}): {}", said.trim().replace('\n', "; "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn listen(path: &Path) -> Result<UnixListener> {
    UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))
}
