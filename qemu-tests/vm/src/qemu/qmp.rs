//! QEMU's control protocol (QMP): one JSON object per line, events in between.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// QEMU answers at once or is stuck.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An open control connection.
pub struct Qmp {
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Takes the greeting and leaves the negotiation mode.
    ///
    /// # Errors
    /// When QEMU does not greet or does not accept.
    pub fn open(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(TIMEOUT)).context("setting QMP's timeout")?;
        let mut qmp = Self { lines: BufReader::new(stream) };
        let greeting = qmp.read()?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU's greeting was {greeting}");
        }
        qmp.execute("qmp_capabilities")?;
        Ok(qmp)
    }

    /// Runs a command without arguments and gives what it returns.
    ///
    /// # Errors
    /// When QEMU is gone, or says that the command failed.
    pub fn execute(&mut self, command: &str) -> Result<Value> {
        self.execute_with(command, &json!({}))
    }

    /// Runs a command with its arguments, an object, and gives what it returns.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn execute_with(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let line = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.lines.get_mut().write_all(line.as_bytes()).with_context(|| format!("asking QEMU to {command}"))?;
        loop {
            let mut message = self.read().with_context(|| format!("waiting for QEMU's answer to {command}"))?;
            if let Some(error) = message.get("error") {
                bail!("QEMU refused {command}: {error}");
            }
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
        }
    }

    /// Waits so long for each answer from now on: QEMU gives none while it reads or writes a machine's memory.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        self.lines.get_ref().set_read_timeout(Some(timeout)).context("setting QMP's timeout")
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.lines.read_line(&mut line).context("reading from QEMU")? == 0 {
            bail!("QEMU closed its control socket");
        }
        serde_json::from_str(&line).with_context(|| format!("reading QEMU's line {line:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(script: &'static [&'static str]) -> Qmp {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(theirs.try_clone().unwrap());
            let mut theirs = theirs;
            theirs.write_all(b"{\"QMP\": {}}\n").unwrap();
            for answer in [&["{\"return\": {}}"], script].concat() {
                lines.read_line(&mut String::new()).unwrap();
                theirs.write_all(format!("{answer}\n").as_bytes()).unwrap();
            }
        });
        Qmp::open(ours).unwrap()
    }

    #[test]
    fn events_before_the_answer_are_passed_over() {
        let mut qmp = talk(&["{\"event\": \"RESET\"}\n{\"return\": {\"status\": \"running\"}}"]);
        assert_eq!(qmp.execute("query-status").unwrap()["status"], "running");
    }

    #[test]
    fn a_refusal_and_an_end_are_errors() {
        let mut qmp = talk(&["{\"error\": {\"class\": \"CommandNotFound\"}}"]);
        assert!(qmp.execute("nonsense").unwrap_err().to_string().contains("refused nonsense"));
        assert!(qmp.execute("quit").is_err());
    }
}
