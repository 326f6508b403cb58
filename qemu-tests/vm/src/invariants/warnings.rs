//! The console of a healthy boot says nothing of panics, oopses or emergency shells.

use anyhow::{Result, bail};

use crate::console::Line;

const WARNINGS: [&str; 11] = [
    "Kernel panic",
    "Oops:",
    "BUG:",
    "WARNING: CPU",
    "Call Trace",
    "general protection fault",
    "soft lockup",
    "Out of memory",
    "emergency mode",
    "rescue mode",
    "ballast-init: rebooting",
];

pub(super) fn check(lines: &[Line]) -> Result<()> {
    let warns = |line: &&Line| WARNINGS.iter().any(|warning| line.text.contains(warning));
    match lines.iter().find(warns) {
        Some(line) => bail!("it says {:?}", line.text),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        text.lines().map(|text| Line { at: Duration::ZERO, text: text.to_owned() }).collect()
    }

    #[test]
    fn warnings_are_found_and_ordinary_lines_are_not() {
        assert!(check(&lines("Linux version 6.12\nballast 1: READY in 2.0 s")).is_ok());
        let error = check(&lines("fine\n[    1.0] Kernel panic - not syncing")).unwrap_err().to_string();
        assert!(error.contains("not syncing"), "{error}");
        assert!(check(&lines("You are in emergency mode.")).is_err());
    }
}
