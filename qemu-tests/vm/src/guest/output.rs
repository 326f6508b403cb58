//! What a command in the guest gave, and how argument lists become shell text.

use anyhow::{Result, bail};

/// The end of a command in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; 128 + N when a signal ended it
    pub status: u8,
    /// Its stdout
    pub stdout: Vec<u8>,
    /// Its stderr
    pub stderr: Vec<u8>,
}

impl Output {
    /// Its stdout as text, without the last line end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Its stderr as text, without the last line end.
    pub fn warning(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }

    /// Itself, if the command succeeded.
    ///
    /// # Errors
    /// Its status and its stderr if it failed; `what` names it.
    pub fn success(self, what: &str) -> Result<Self> {
        if self.status != 0 {
            bail!("in the guest, {what} ended with {}: {}", self.status, self.warning());
        }
        Ok(self)
    }
}

/// An argument list as one line for the shell, each argument as it is.
pub fn quote<S: AsRef<str>>(arguments: &[S]) -> String {
    let quoted = arguments.iter().map(|argument| format!("'{}'", argument.as_ref().replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_a_real_shell() {
        let arguments = ["printf", "%s|", "a b", "it's", "$HOME", "", "line\nend", "*"];
        let done = std::process::Command::new("sh").args(["-c", &quote(&arguments)]).output().unwrap();
        assert_eq!(String::from_utf8(done.stdout).unwrap(), "a b|it's|$HOME||line\nend|*|");
    }

    #[test]
    fn a_failure_carries_its_words() {
        let output = Output { status: 2, stdout: vec![], stderr: b"no such thing\n".to_vec() };
        let error = output.success("ls /x").unwrap_err().to_string();
        assert_eq!(error, "in the guest, ls /x ended with 2: no such thing");
    }
}
