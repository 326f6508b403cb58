//! The terminal that somebody sits at.

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Its width and height in characters; None if there is none.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdin()).ok()?;
    Some((size.ws_col, size.ws_row))
}

/// Keys come one by one, as they are, until this is dropped.
pub(super) struct Raw(Termios);

impl Raw {
    /// From now on.
    ///
    /// # Errors
    /// If standard input is no terminal.
    pub(super) fn begin() -> Result<Self> {
        let doing = "setting up the terminal";
        let before = tcgetattr(std::io::stdin()).context(doing)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).context(doing)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0) {
            eprintln!("ballast: setting the terminal back: {error}; type reset");
        }
    }
}
