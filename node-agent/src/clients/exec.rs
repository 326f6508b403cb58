//! Other programs: called with their arguments, a deadline, and what they said last in the error.

use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, kill_process_group},
};
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, process::Command, time::timeout};

/// A program's last words are enough to know what was wrong.
const TAIL_LINES: usize = 5;

/// The same for a program that writes without an end, or without lines.
const TAIL_BYTES: usize = 1024;

/// Where programs are, on a node.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs `program` with `arguments` until it ends, at most for `deadline`, and returns what it wrote to standard output.
/// It is killed when the deadline passes or the caller goes away.
///
/// # Errors
/// If it cannot be started, takes too long, or ends with another status than 0.
pub async fn run<I, A>(program: &str, arguments: I, deadline: Duration) -> Result<String>
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    run_allowing(program, arguments, deadline, &[]).await
}

/// The same for a program that reports with a status in `allowed`, too, that it has done its work.
///
/// # Errors
/// As [`run`].
pub async fn run_allowing<I, A>(program: &str, arguments: I, deadline: Duration, allowed: &[i32]) -> Result<String>
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let doing = || format!("running {program}");
    let output = match timeout(deadline, command.output()).await {
        Ok(output) => output.with_context(doing)?,
        Err(_) => bail!("{program} did not end within {} s", deadline.as_secs()),
    };
    if !output.status.success() && !output.status.code().is_some_and(|code| allowed.contains(&code)) {
        bail!("{program} failed ({}): {}", output.status, tail(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `program`, which somebody else wrote, until it ends, at most for `deadline`, with nothing of our environment. Whatever it
/// started ends with it, or when the caller goes away.
///
/// # Errors
/// If it cannot be started, takes too long, or ends with another status than 0: with what it said last, wherever it said it.
pub async fn check(program: &Path, deadline: Duration) -> Result<()> {
    watched(Command::new(program), program, deadline).await
}

/// The same by `systemd_run`, as a unit of its own: with all rights that root has on the node, which the agent gave up for itself.
///
/// # Errors
/// As [`check`].
pub async fn check_as_unit(systemd_run: &Path, program: &Path, deadline: Duration) -> Result<()> {
    let mut command = Command::new(systemd_run);
    // systemd chooses its name, run-…: the node's health is not judged by it. As the agent it does not wait for the rest of the boot.
    command.args(["--wait", "--pipe", "--collect", "--quiet", "--service-type=exec"]);
    command.args(["--property=DefaultDependencies=no", "--property=Conflicts=shutdown.target"]);
    command.args(["--property=Before=shutdown.target", "--property=KillSignal=SIGKILL"]);
    // If nobody waits any more, it ends all the same, with all that it started.
    command.arg(format!("--property=RuntimeMaxSec={}", deadline.as_secs() + 1));
    command.arg(format!("--setenv=PATH={PATH}")).arg("--").arg(program);
    watched(command, program, deadline).await
}

/// Runs `command`, which is there for `program`.
async fn watched(mut command: Command, program: &Path, deadline: Duration) -> Result<()> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let doing = || format!("{name} cannot be run");
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).with_context(doing)?;
    let mut output = Receiver::from_owned_fd(reader).with_context(doing)?;
    command.env_clear().env("PATH", PATH).stdin(Stdio::null()).process_group(0);
    command.stdout(writer.try_clone().with_context(doing)?).stderr(writer);
    let mut child = command.spawn().with_context(doing)?;
    // It holds the pipe's other end, without which there is no end of the output.
    drop(command);
    let _group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut said = Vec::new();
    let end = timeout(deadline, async {
        let mut piece = [0; 1024];
        let mut has_more = true;
        loop {
            tokio::select! {
                // What it wrote is read before its end is seen.
                biased;
                count = output.read(&mut piece), if has_more => {
                    let piece = piece.get(..count.unwrap_or(0)).unwrap_or_default();
                    has_more = !piece.is_empty();
                    said.extend_from_slice(piece);
                    said.drain(..said.len().saturating_sub(TAIL_BYTES));
                }
                status = child.wait() => return status,
            }
        }
    });
    let what = match end.await {
        Ok(status) => match status.with_context(doing)? {
            status if status.success() => return Ok(()),
            status => format!("{name} failed ({status})"),
        },
        Err(_) => format!("{name} did not end within {} s", deadline.as_secs()),
    };
    match tail(&String::from_utf8_lossy(&said)) {
        said if said.is_empty() => bail!("{what}"),
        said => bail!("{what}: {said}"),
    }
}

/// A group of processes that ends when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody may be left in it.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("; ")
}

/// A program for tests. Another process writes it: as long as this one had it open, a child that another test starts in that moment would have it
/// open, too, and it could not be run ("text file busy").
#[cfg(test)]
pub(crate) fn script(path: &Path, text: &str) {
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let source = path.with_extension("source");
    fs::write(&source, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg("--preserve=mode").args([&source, path]).status().unwrap().success());
    fs::remove_file(source).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_error_says_what_the_program_said() {
        assert_eq!(run("echo", ["a"], LONG).await.unwrap(), "a\n");
        let error = run("sh", ["-c", "echo one >&2; echo two >&2; exit 3"], LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status: 3): one; two");
        assert_eq!(run_allowing("sh", ["-c", "echo a; exit 3"], LONG, &[3]).await.unwrap(), "a\n");
        let error = run("/no/such/program", [""; 0], LONG).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("running /no/such/program: No such file"), "{error:#}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let error = run("sleep", ["60"], Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.to_string(), "sleep did not end within 0 s");
    }
    fn script(folder: &Path, text: &str) -> std::path::PathBuf {
        let path = folder.join("db");
        super::script(&path, text);
        path
    }

    #[tokio::test]
    async fn a_check_reports_what_it_said_wherever_it_said_it() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("exit 0", None),
            ("exit 3", Some("db failed (exit status: 3)")),
            ("echo one; echo two >&2; exit 1", Some("db failed (exit status: 1): one; two")),
            ("kill -9 $$", Some("db failed (signal: 9 (SIGKILL))")),
            ("test -z \"$HOME$CARGO\"", None),
        ] {
            let result = check(&script(folder.path(), text), LONG).await;
            assert_eq!(result.err().map(|error| error.to_string()).as_deref(), expected, "{text}");
        }
        let error = check(&folder.path().join("none"), LONG).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "none cannot be run: No such file or directory (os error 2)");
    }

    #[tokio::test]
    async fn a_check_that_talks_without_an_end_fills_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let error = check(&script(folder.path(), "head -c 3000000 /dev/zero | tr '\\0' x; exit 1"), LONG).await;
        assert!(error.unwrap_err().to_string().len() < 2 * TAIL_BYTES);
    }

    #[tokio::test]
    async fn a_check_takes_all_that_it_started_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let text = format!("echo waits; sleep 60 & echo $! >{}; wait", pid.display());
        let error = check(&script(folder.path(), &text), Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(error.to_string(), "db did not end within 0 s: waits");
        let child = std::fs::read_to_string(&pid).unwrap();
        let stat = Path::new("/proc").join(child.trim()).join("stat");
        let is_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..100 {
            if is_gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is still there", stat.display());
    }
}
