//! Other programs: called with their arguments, a deadline, and what they said last in the error.

use std::{ffi::OsStr, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{process::Command, time::timeout};

/// A program's last words are enough to know what was wrong.
const TAIL_LINES: usize = 5;

/// Runs `program` with `arguments` until it ends, at most for `deadline`, and tells what it wrote to standard output.
/// It is killed when the deadline passes or the caller goes away.
///
/// # Errors
/// If it cannot be started, takes too long, or ends with another status than 0.
pub async fn run<I, A>(program: &str, arguments: I, deadline: Duration) -> Result<String>
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
    if !output.status.success() {
        bail!("{program} failed ({}): {}", output.status, tail(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("; ")
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
        let error = run("/no/such/program", [""; 0], LONG).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("running /no/such/program: No such file"), "{error:#}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        let error = run("sleep", ["60"], Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.to_string(), "sleep did not end within 0 s");
    }
}
