//! `ballast settings` as an operator types it, and what it says.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::guest::{Guest, Output, quote};

/// Whoever changes settings waits until they are in force, services restarted: on a busy host that takes a while.
const APPLIED: Duration = Duration::from_secs(120);

/// The exit statuses of the contract.
pub mod exit {
    /// It failed
    pub const FAILED: u8 = 1;
    /// It was typed wrongly
    pub const USAGE: u8 = 2;
    /// The settings are not valid, and stay as they were
    pub const REFUSED: u8 = 4;
    /// Settings are on trial, or somebody else changed them meanwhile
    pub const BUSY: u8 = 5;
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Said {
    command: String,
    /// Its exit status
    pub status: u8,
    /// What it printed
    pub text: String,
    /// What it complained about
    pub warning: String,
}

impl Said {
    /// Runs `ballast settings ARGUMENTS` to its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn of(guest: &mut Guest, arguments: &[&str]) -> Result<Self> {
        let command = quote(&[&["ballast", "settings"], arguments].concat());
        let output = guest.shell_within(&command, APPLIED)?;
        Ok(Self::new(command, &output))
    }

    /// The same with a document on its stdin.
    ///
    /// # Errors
    /// As [`Said::of`].
    pub fn reading(guest: &mut Guest, document: impl AsRef<[u8]>, arguments: &[&str]) -> Result<Self> {
        let command = quote(&[&["ballast", "settings"], arguments].concat());
        let script = format!("echo {} | base64 -d | {command}", STANDARD.encode(document));
        let output = guest.shell_within(&script, APPLIED)?;
        Ok(Self::new(command, &output))
    }

    fn new(command: String, output: &Output) -> Self {
        Self { command, status: output.status, text: output.text(), warning: output.warning() }
    }

    /// It ended well; gives what it printed.
    ///
    /// # Errors
    /// When it did not.
    pub fn done(self) -> Result<String> {
        ensure!(self.status == 0, "{} ended with {}: {} {}", self.command, self.status, self.text, self.warning);
        Ok(self.text)
    }

    /// It ended with `status`, and complained in words that have all of `words`; gives the warning.
    ///
    /// # Errors
    /// When it ended otherwise.
    pub fn ends(self, status: u8, words: &[&str]) -> Result<String> {
        let Self { command, status: found, text, warning } = self;
        ensure!(found == status, "{command} ended with {found}, not {status}: {text} {warning}");
        match words.iter().find(|word| !warning.contains(**word)) {
            Some(word) => bail!("{command} does not warn of {word:?} but says: {warning}"),
            None => Ok(warning),
        }
    }
}

/// Makes `document` the node's own settings; gives the diff and what it needs.
///
/// # Errors
/// When it is refused or fails.
pub fn apply(guest: &mut Guest, document: &str) -> Result<String> {
    Said::reading(guest, document, &["apply", "-"])?.done()
}

/// Sets one key.
///
/// # Errors
/// When it is refused or fails.
pub fn set(guest: &mut Guest, key: &str, value: &str) -> Result<String> {
    Said::of(guest, &["set", key, value])?.done()
}

/// What holds for a key; a text without its quotes.
///
/// # Errors
/// When there is nothing.
pub fn get(guest: &mut Guest, key: &str) -> Result<String> {
    let text = Said::of(guest, &["get", key])?.done()?;
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Ok(inner.unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_distinguished() {
        let said = |status, warning: &str| Said {
            command: "ballast settings set".into(),
            status,
            text: String::new(),
            warning: warning.into(),
        };
        assert!(said(0, "").done().is_ok());
        assert!(said(4, "no").done().unwrap_err().to_string().contains("ended with 4"));
        assert!(said(4, "unknown; did you mean hostname?").ends(exit::REFUSED, &["hostname"]).is_ok());
        assert!(said(4, "unknown").ends(exit::REFUSED, &["hostname"]).is_err());
        assert!(said(1, "unknown").ends(exit::REFUSED, &[]).is_err());
    }
}
