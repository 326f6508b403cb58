//! The journal, read by journalctl: it knows the files' format, rotation and damage.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::host::Host;

/// The program.
const JOURNALCTL: &str = "/usr/bin/journalctl";

/// A line that is longer comes in pieces.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// The first process, and the agent; the kernel's are with `--dmesg`. (journalctl(1): `+` is or)
const EVENTS: [&str; 3] = ["_PID=1", "+", "_SYSTEMD_UNIT=ballast.service"];

/// Its last words are enough to know what was wrong.
const MAX_ERROR_BYTES: u64 = 4 << 10;

/// Whose entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of<'a> {
    /// All.
    All,
    /// The kernel's.
    Kernel,
    /// A unit's.
    Unit(&'a str),
    /// What systemd did, and this agent.
    Events,
}

/// Of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// Since the last boot.
    This,
    /// From the boot before to the last.
    Before,
    /// All that is there.
    All,
}

/// Which entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Whose.
    pub of: Of<'a>,
    /// Of when.
    pub boot: Boot,
    /// Also those that are still to come.
    pub follow: bool,
    /// None that is older than so many seconds.
    pub since_secs: Option<u64>,
    /// Not more than so many of the last ones.
    pub lines: Option<u32>,
}

/// Lines of the journal. journalctl ends when this is dropped.
#[derive(Debug)]
pub struct Lines {
    child: Child,
    out: BufReader<ChildStdout>,
    /// The beginning of the next line: who stops waiting for it loses nothing.
    begun: Vec<u8>,
}

impl Lines {
    /// Begins to read.
    ///
    /// # Errors
    /// If journalctl cannot be started.
    pub fn open(host: &Host, wanted: &Wanted<'_>) -> Result<Self> {
        let doing = "starting journalctl";
        let mut command = Command::new(host.path(JOURNALCTL));
        command.args(arguments(wanted));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context(doing)?;
        let out = BufReader::new(child.stdout.take().context(doing)?);
        Ok(Self { child, out, begun: Vec::new() })
    }

    /// The next line; None at the end.
    ///
    /// # Errors
    /// If journalctl fails.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let room = MAX_LINE_BYTES.saturating_sub(self.begun.len() as u64);
        let mut out = (&mut self.out).take(room);
        out.read_until(b'\n', &mut self.begun).await.context("reading from journalctl")?;
        let mut line = std::mem::take(&mut self.begun);
        if line.is_empty() {
            return self.end().await.map(|()| None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    async fn end(&mut self) -> Result<()> {
        let mut said = String::new();
        if let Some(errors) = self.child.stderr.take() {
            let mut bytes = Vec::new();
            errors.take(MAX_ERROR_BYTES).read_to_end(&mut bytes).await.context("reading from journalctl")?;
            said = String::from_utf8_lossy(&bytes).trim().to_owned();
        }
        let status = self.child.wait().await.context("waiting for journalctl")?;
        if !status.success() {
            bail!("journalctl failed ({status}): {said}");
        }
        Ok(())
    }
}

fn arguments(wanted: &Wanted<'_>) -> Vec<String> {
    let Wanted { of, boot, follow, since_secs, lines } = *wanted;
    let mut all = vec!["--no-pager".to_owned(), "--quiet".to_owned(), "--output=short-iso".to_owned()];
    match boot {
        Boot::This => all.push("--boot".to_owned()),
        Boot::Before => all.push("--boot=-1".to_owned()),
        Boot::All => {}
    }
    match of {
        Of::All => {}
        Of::Kernel => all.push("--dmesg".to_owned()),
        Of::Unit(name) => all.push(format!("--unit={name}")),
        Of::Events => all.extend(EVENTS.map(str::to_owned)),
    }
    if follow {
        all.push("--follow".to_owned());
    }
    all.extend(since_secs.map(|secs| format!("--since=-{secs}s")));
    // With --follow ten lines would be the default.
    all.push(lines.map_or("--lines=all".to_owned(), |lines| format!("--lines={lines}")));
    all
}

#[cfg(test)]
mod tests {

    use super::*;

    fn host(script: &str) -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        crate::clients::exec::script(&host.path(JOURNALCTL), script);
        (tree, host)
    }

    fn wanted(of: Of<'_>) -> Wanted<'_> {
        Wanted { of, boot: Boot::This, follow: false, since_secs: None, lines: None }
    }

    #[test]
    fn events_are_those_of_all_boots() {
        let all = arguments(&Wanted { boot: Boot::All, lines: Some(9), ..wanted(Of::Events) }).join(" ");
        assert_eq!(all, "--no-pager --quiet --output=short-iso _PID=1 + _SYSTEMD_UNIT=ballast.service --lines=9");
        let before = arguments(&Wanted { boot: Boot::Before, ..wanted(Of::Kernel) }).join(" ");
        assert_eq!(before, "--no-pager --quiet --output=short-iso --boot=-1 --dmesg --lines=all");
    }

    #[tokio::test]
    async fn lines_come_one_by_one_and_end() {
        let (_tree, host) = host("echo \"$@\"; printf 'two'");
        let wanted = wanted(Of::Unit("a.service"));
        let wanted = Wanted { follow: true, since_secs: Some(60), lines: Some(5), ..wanted };
        let mut lines = Lines::open(&host, &wanted).unwrap();
        let expected = "--no-pager --quiet --output=short-iso --boot --unit=a.service --follow --since=-60s --lines=5";
        assert_eq!(lines.next().await.unwrap().as_deref(), Some(expected));
        assert_eq!(lines.next().await.unwrap().as_deref(), Some("two"));
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_line_without_an_end_fills_no_memory() {
        let (_tree, host) = host("head -c 200000 /dev/zero | tr '\\0' x");
        let mut lines = Lines::open(&host, &wanted(Of::All)).unwrap();
        let mut sizes = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            sizes.push(line.len());
        }
        assert_eq!(sizes, [65536, 65536, 65536, 3392]);
    }

    #[tokio::test]
    async fn what_journalctl_complains_about_is_reported() {
        let (_tree, host) = host("echo no such boot >&2; exit 1");
        let mut lines = Lines::open(&host, &wanted(Of::Kernel)).unwrap();
        let error = lines.next().await.unwrap_err().to_string();
        assert_eq!(error, "journalctl failed (exit status: 1): no such boot");
    }
}
