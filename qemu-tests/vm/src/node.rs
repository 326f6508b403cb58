//! A booted machine and everything one holds of it: process, console, command channel, evidence.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::console::{Console, Line};
use crate::deadline::Deadline;
use crate::disk::Disk;
use crate::evidence::Evidence;
use crate::guest::{self, AGENT, Guest};
use crate::lab::{Lab, Options};
use crate::qemu::firmware::VARIABLES;
use crate::qemu::process::Process;
use crate::snapshot::{Folder, Snapshot};
use crate::status::Status;

/// READY takes 5 to 20 s when emulated on a quiet host; this is for a busy one.
pub const READY: Duration = Duration::from_secs(240);
/// Seconds that the canary pod may take after READY, when four emulated nodes share two CPUs.
pub const PODS_SECS: u64 = 180;
/// The line of the agent that says so.
pub const READY_LINE: &str = ": READY in";
/// systemd's own limit for stopping a unit is 90 s; a node that needs longer than this hangs.
const POWER_OFF: Duration = Duration::from_secs(120);

/// A running node.
pub struct Node {
    process: Process,
    /// Its serial console
    pub console: Console,
    /// Commands in it
    pub guest: Guest,
    evidence: PathBuf,
    served: bool,
    ended_well: bool,
    // Overlay, UEFI variables, sockets: gone when the node is, after QEMU (fields drop in this order).
    folders: [TempDir; 2],
}

impl Node {
    /// Starts a machine; its console and warnings go to the folder `evidence`.
    ///
    /// # Errors
    /// When a file it needs cannot be made or QEMU does not start.
    pub fn start(lab: &Lab, options: &Options, evidence: &Path) -> Result<Self> {
        let scratch = lab.workspace.scratch()?;
        let sockets = sockets()?;
        let mut machine = options.machine(lab, scratch.path())?;
        guest::equip(&mut machine, AGENT, sockets.path())?;
        let (mut process, ports) = Process::start(&lab.tools, &machine, evidence)?;
        let stdout = process.take_stdout().context("taking QEMU's stdout")?;
        let console = Console::follow(stdout, &evidence.join("console.log"), options.echo, process.started)?;
        let evidence = evidence.to_owned();
        let guest = Guest::new(ports)?;
        Ok(Self { process, console, guest, evidence, served: false, ended_well: false, folders: [scratch, sockets] })
    }

    /// Starts a machine in the state in which another one was saved, with its own copy of that one's disk: `disk`, or one that vanishes with
    /// the node. The console begins with that of the boot that was saved, and the clock is right.
    ///
    /// # Errors
    /// When it cannot be started, or does not go on from there.
    pub fn restore(lab: &Lab, snapshot: &Snapshot, disk: Option<&Disk>, evidence: &Path) -> Result<Self> {
        let scratch = lab.workspace.scratch()?;
        let sockets = sockets()?;
        let place = disk.map_or_else(|| scratch.path().join("disk"), |disk| disk.file.clone());
        let copy = snapshot.disk.duplicate(place)?;
        let disk = disk.map_or(copy.clone(), |disk| copy.recorded_as(disk));
        snapshot.variables_to(scratch.path())?;
        let options = Options { disk: Some(disk), ..snapshot.options.clone() };
        let mut machine = options.machine(lab, scratch.path())?;
        guest::equip(&mut machine, AGENT, sockets.path())?;
        machine.incoming = true;
        let (mut process, ports) = Process::start(&lab.tools, &machine, evidence)?;
        let stdout = process.take_stdout().context("taking QEMU's stdout")?;
        let whole = std::io::Cursor::new(snapshot.console()?).chain(stdout);
        let console = Console::follow(whole, &evidence.join("console.log"), options.echo, process.started)?;
        process.restore(&snapshot.memory())?;
        let guest = Guest::resumed(ports, snapshot.boot_id()?)?;
        let evidence = evidence.to_owned();
        let folders = [scratch, sockets];
        let mut node = Self { process, console, guest, evidence, served: true, ended_well: false, folders };
        node.sets_its_clock()?;
        Ok(node)
    }

    /// Stops the node for good, and puts what [`Node::restore`] needs into `folder`: all but the disk, which is whole then.
    ///
    /// # Errors
    /// When its state cannot be written.
    pub(crate) fn save(mut self, folder: &Folder) -> Result<()> {
        let boot = self.guest.ask("cat /proc/sys/kernel/random/boot_id")?;
        self.process.save(&folder.memory())?;
        self.ended_well = true;
        folder.keep(&boot, &self.folders[0].path().join(VARIABLES), &self.evidence.join("console.log"))
    }

    /// It stood still while the machine did; the machine's own clock did not.
    fn sets_its_clock(&mut self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?.as_secs();
        self.guest.ask(&format!("date --utc --set=@{now}")).context("setting the clock of a restored node").map(drop)
    }

    /// Waits for the agent's READY line on the console and for the command channel; gives the line.
    ///
    /// # Errors
    /// When one of them does not come in time.
    pub fn ready(&mut self, deadline: Deadline) -> Result<Line> {
        let line = self.console.wait_for(READY_LINE, deadline);
        if line.is_err() && !self.process.has_ended() {
            // The channel opens even if the node is not ready: then the journal can be had.
            self.served = self.guest.greeted(Deadline::secs(70)).is_ok();
            if !self.served {
                self.keeps_registers();
            }
        }
        let line = line?;
        self.greeted(deadline)?;
        Ok(line)
    }

    /// A firmware or a kernel that hangs leaves nothing else to look at.
    fn keeps_registers(&mut self) {
        let samples: Vec<String> = (0..3)
            .filter_map(|_| {
                std::thread::sleep(Duration::from_secs(1));
                self.process.registers().ok()
            })
            .collect();
        // There is nobody left to report to: the failure that brought us here is being reported already.
        let _ = std::fs::write(self.evidence.join("registers.txt"), samples.join("\n----\n"));
    }

    /// Waits for the command channel only.
    ///
    /// # Errors
    /// When it does not open in time.
    pub fn greeted(&mut self, deadline: Deadline) -> Result<String> {
        let boot = self.guest.greeted(deadline)?;
        self.served = true;
        Ok(boot)
    }

    /// What `ballast status --json` says now.
    ///
    /// # Errors
    /// When it fails, or a key of the issue is missing.
    pub fn status(&mut self) -> Result<Status> {
        // It ends with another status when the node is not ready, and says so in its text.
        let output = self.guest.shell("ballast status --json")?;
        let what = || format!("reading the status {} {}", output.text(), output.warning());
        serde_json::from_slice(&output.stdout).with_context(what)
    }

    /// Waits until an agent that was restarted answers and is ready.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn agent_is_back(&mut self, secs: u64) -> Result<Status> {
        let deadline = Deadline::secs(secs);
        // Until it listens, nobody answers.
        while let Err(error) = self.status() {
            if deadline.is_over() {
                return Err(error).with_context(|| format!("the agent is not back within {deadline}"));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        self.status_when("the agent is back", secs, |status| status.ready)
    }

    /// Asks for the status until `wanted` holds; gives that status.
    ///
    /// # Errors
    /// When it does not hold by the deadline; with the last status.
    pub fn status_when(&mut self, what: &str, secs: u64, wanted: impl Fn(&Status) -> bool) -> Result<Status> {
        let deadline = Deadline::secs(secs);
        loop {
            let status = self.status()?;
            if wanted(&status) {
                return Ok(status);
            }
            if deadline.is_over() {
                bail!("{what}: not within {deadline}; the last status was {status:?}");
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Shuts the node down in good order and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn power_off(mut self) -> Result<()> {
        self.leave("systemctl --no-block poweroff")
    }

    /// Reboots the node in good order; with [`OnReboot::Exit`](crate::qemu::machine::OnReboot::Exit) this is its end, and the disk can boot again.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn reboot_to_exit(mut self) -> Result<()> {
        self.leave("systemctl --no-block reboot")
    }

    /// Waits until the machine ends by itself, as one that reboots on a failure does.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn ends(mut self, deadline: Deadline) -> Result<Vec<Line>> {
        self.process.wait(deadline)?;
        self.ended_well = true;
        Ok(self.console.lines())
    }

    /// Lets the machine go at once: nothing more is wanted of it, and its disk is thrown away.
    pub fn discard(mut self) {
        self.ended_well = true;
    }

    /// Whether the machine has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Ends it at once, as a power cut does; its disk can boot again.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn cut_power(mut self) -> Result<()> {
        self.ended_well = true;
        self.process.kill()
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.process.started
    }

    fn leave(&mut self, command: &str) -> Result<()> {
        // The machine may be gone before the answer comes; what counts is that it goes.
        let reported = self.guest.shell(command).and_then(|output| output.success(command));
        let gone = self.process.wait(Deadline::after(POWER_OFF));
        gone.with_context(|| reported.err().map_or_else(|| format!("after {command}"), |error| format!("{error:#}")))?;
        self.ended_well = true;
        Ok(())
    }
}

/// A folder for sockets: a short path, since that of a socket may have 107 bytes.
///
/// # Errors
/// When it cannot be made.
pub fn sockets() -> Result<TempDir> {
    tempfile::Builder::new().prefix("ballast-vm-").tempdir().context("making a folder for sockets")
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.ended_well && self.served && !self.process.has_ended() {
            Evidence::collect(&self.evidence, &mut self.guest);
        }
    }
}
