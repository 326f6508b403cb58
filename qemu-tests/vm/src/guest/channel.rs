//! The host's side of the command channel.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::output::{Output, quote};
use super::stream::Stream;
use crate::deadline::Deadline;

/// The names of the ports, in the order that [`Guest::new`] wants their sockets.
pub(super) const PORTS: [&str; 3] = ["control", "stdout", "stderr"];

/// How long a command may take when nothing else is said: emulated machines on busy hosts are slow.
const USUAL: Duration = Duration::from_secs(60);
/// What the guest needs to end a command that is over its time, before we stop listening.
const GRACE: Duration = Duration::from_secs(15);

/// Commands run in the guest, as root, one at a time.
pub struct Guest {
    commands: UnixStream,
    replies: Stream,
    stdout: Stream,
    stderr: Stream,
    next: u32,
    // Said to another host, before the guest was saved.
    said: Option<String>,
}

impl Guest {
    /// The channel over the connected ports, in the machine's order.
    ///
    /// # Errors
    /// When there are not just those.
    pub fn new(ports: Vec<UnixStream>) -> Result<Self> {
        let Ok([control, stdout, stderr]) = <[UnixStream; 3]>::try_from(ports) else {
            bail!("the machine was started without the ports of the command channel");
        };
        let commands = control.try_clone().context("sharing the control port")?;
        let [replies, stdout, stderr] = [control, stdout, stderr].map(Stream::new);
        Ok(Self { commands, replies, stdout, stderr, next: 1, said: None })
    }

    /// The same, of a guest that was restored: it has said the boot id `boot` before, and waits for commands.
    ///
    /// # Errors
    /// As [`Guest::new`].
    pub fn resumed(ports: Vec<UnixStream>, boot: String) -> Result<Self> {
        Ok(Self { said: Some(boot), ..Self::new(ports)? })
    }

    /// Waits until the guest serves commands; gives its boot id.
    ///
    /// # Errors
    /// When it does not by the deadline.
    pub fn greeted(&mut self, deadline: Deadline) -> Result<String> {
        if let Some(boot) = self.said.take() {
            return Ok(boot);
        }
        loop {
            let line = self.replies.line(deadline).context("waiting for the guest to serve commands")?;
            if let Some(boot) = line.strip_prefix("HELLO ") {
                return Ok(boot.to_owned());
            }
        }
    }

    /// Runs a program with its arguments, each as it is.
    ///
    /// # Errors
    /// When the channel breaks or the command takes too long; its own failure is in the output's status.
    pub fn run<S: AsRef<str>>(&mut self, arguments: &[S]) -> Result<Output> {
        self.shell(&quote(arguments))
    }

    /// Runs a piece of shell.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn shell(&mut self, script: &str) -> Result<Output> {
        self.shell_within(script, USUAL)
    }

    /// Runs a piece of shell that may take `allowed`.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn shell_within(&mut self, script: &str, allowed: Duration) -> Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let status = self.stream(script, &mut stdout, &mut stderr, allowed)?;
        Ok(Output { status, stdout, stderr })
    }

    /// Runs a piece of shell, which must succeed, and gives its stdout as text.
    ///
    /// # Errors
    /// As [`Guest::run`], and when the command fails.
    pub fn ask(&mut self, script: &str) -> Result<String> {
        Ok(self.shell(script)?.success(script)?.text())
    }

    /// Runs a piece of shell that may take `allowed`; its output goes to the sinks as it comes. Gives its status.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn stream(
        &mut self,
        script: &str,
        stdout: &mut (dyn Write + Send),
        stderr: &mut (dyn Write + Send),
        allowed: Duration,
    ) -> Result<u8> {
        let id = self.next;
        self.next += 1;
        let mark = format!("qemu-tests-end-of-{id}-{}", nonce()?);
        let line = format!("RUN {id} {mark} {} {}\n", allowed.as_secs().max(1), STANDARD.encode(script));
        self.commands.write_all(line.as_bytes()).context("sending a command to the guest")?;
        let deadline = Deadline::after(allowed + GRACE);
        let end = format!("\0{mark}\0");
        // Both at once: a person at `exec` sees warnings when they are made.
        let (out, err) = std::thread::scope(|scope| {
            let err = scope.spawn(|| self.stderr.copy_until(end.as_bytes(), stderr, deadline));
            let out = self.stdout.copy_until(end.as_bytes(), stdout, deadline);
            (out, err.join().unwrap_or_else(|_| bail!("reading the guest's stderr panicked")))
        });
        let what = || format!("running {:?} in the guest", shortened(script));
        out.and(err).with_context(what)?;
        let reply = self.replies.line(deadline).with_context(what)?;
        let status = parse_done(&reply, id).with_context(what)?;
        // timeout(1) ends with 124 when it had to end the command, 137 when it had to kill it.
        if matches!(status, 124 | 137) && deadline.remaining().is_none_or(|left| left < GRACE) {
            bail!("the guest did not end {:?} within {} s", shortened(script), allowed.as_secs());
        }
        Ok(status)
    }
}

fn parse_done(line: &str, id: u32) -> Result<u8> {
    let status = line.strip_prefix(&format!("DONE {id} ")).and_then(|status| status.parse().ok());
    status.with_context(|| format!("the guest answered {line:?}"))
}

/// A command's own output cannot contain a mark that was not known before it ran.
fn nonce() -> Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid").map(|id| id.trim().to_owned()).context("making a mark")
}

fn shortened(script: &str) -> String {
    let mut chars = script.chars();
    let head: String = chars.by_ref().take(120).collect();
    if chars.next().is_some() { format!("{head}…") } else { head }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(parse_done("DONE 3 127", 3).unwrap(), 127);
        assert!(parse_done("DONE 2 0", 3).is_err());
    }

    #[test]
    fn long_scripts_are_shortened_in_errors() {
        assert_eq!(shortened("ls"), "ls");
        assert_eq!(shortened(&"é".repeat(200)).chars().count(), 121);
    }

    /// The guest's script itself, run here over socket pairs in place of virtio ports.
    #[test]
    fn the_servers_loop_and_the_channel_understand_each_other() {
        use std::os::fd::OwnedFd;
        use std::process::{Command, Stdio};
        let (ports, theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| UnixStream::pair().unwrap()).unzip();
        let work = tempfile::tempdir().unwrap();
        let server = include_str!("server.sh");
        let loop_only = server.split_once("exec 3<>").unwrap().1.split_once('\n').unwrap().1;
        let script = format!("work={}\nexec 3<&0 5>&1 6>&2\n{loop_only}", work.path().display());
        let [control, out, err] = <[UnixStream; 3]>::try_from(theirs).unwrap().map(OwnedFd::from).map(Stdio::from);
        let mut sh = Command::new("sh").arg("-c").arg(script).stdin(control).stdout(out).stderr(err).spawn().unwrap();
        let mut guest = Guest::new(ports).unwrap();
        guest.greeted(Deadline::secs(10)).unwrap();
        let output = guest.shell("echo out; echo err >&2; exit 3").unwrap();
        assert_eq!((output.status, output.text(), output.warning()), (3, "out".into(), "err".into()));
        assert_eq!(guest.ask("printf 'a\\0b'").unwrap(), "a\0b");
        let slow = guest.shell_within("sleep 30", Duration::from_secs(1)).unwrap_err().to_string();
        assert!(slow.contains("did not end \"sleep 30\" within 1 s"), "{slow}");
        assert_eq!(guest.run(&["printf", "%s", "it's"]).unwrap().text(), "it's");
        drop(guest);
        sh.kill().unwrap();
        sh.wait().unwrap();
    }
}
