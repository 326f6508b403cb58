//! Runs a block as whoever copies it from the page: with a home of its own, and `ballast` in the path.

use std::{
    os::unix::fs::symlink,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// None of these takes longer than a moment.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `text` to its end.
///
/// # Errors
/// What it printed, if one of its commands fails.
pub(crate) fn run(text: &str) -> Result<(), String> {
    let home = tempfile::tempdir().unwrap();
    symlink(env!("CARGO_BIN_EXE_ballast"), home.path().join("ballast")).unwrap();
    let path = format!("{}:/usr/bin:/bin", home.path().display());
    let (out, err) = (home.path().join("out"), home.path().join("err"));
    let file = |path| std::fs::File::create(path).unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-euc", text]).env_clear().env("PATH", path).env("HOME", home.path()).current_dir(home.path());
    let mut child = shell.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > DEADLINE => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err(format!("it runs for more than {} s", DEADLINE.as_secs()));
            }
            None => sleep(Duration::from_millis(20)),
        }
    };
    let said = std::fs::read_to_string(err).unwrap();
    if status.success() { Ok(()) } else { Err(format!("{status}: {said}")) }
}
