//! The serial console: kept in a file as it comes, and watched line by line with deadlines.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::deadline::Deadline;

/// One line of the console, without colours and cursor movements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its last byte came, counted from the start of QEMU.
    pub at: Duration,
    /// Its text.
    pub text: String,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The console of one run of QEMU.
#[derive(Clone)]
pub struct Console {
    shared: Arc<Shared>,
}

impl Console {
    /// Follows `source` (QEMU's end of the serial port) to its end, into the file `log` and, if asked, onto our stdout: there
    /// as text, since firmware clears the screen it finds.
    ///
    /// # Errors
    /// When the log cannot be made.
    pub fn follow(mut source: impl Read + Send + 'static, log: &Path, echo: bool, start: Instant) -> Result<Self> {
        let mut file = File::create(log).with_context(|| format!("making the console log {}", log.display()))?;
        let console = Self { shared: Arc::new(Shared::default()) };
        let shared = Arc::clone(&console.shared);
        std::thread::spawn(move || {
            let mut partial = Vec::new();
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = source.read(&mut chunk) {
                let bytes = &chunk[..n];
                // A full disk or a closed stdout must not stop the watching.
                let _ = file.write_all(bytes);
                let lines = shared.take(&mut partial, bytes, start.elapsed());
                for line in lines.iter().filter(|line| echo && !line.is_empty()) {
                    let _ = writeln!(std::io::stdout(), "{line}");
                }
            }
            shared.end(&partial, start.elapsed());
        });
        Ok(console)
    }

    /// Waits for a line that contains `needle`.
    ///
    /// # Errors
    /// When the deadline passes, or QEMU ends, without one; the last line is quoted.
    pub fn wait_for(&self, needle: &str, deadline: Deadline) -> Result<Line> {
        let mut state = self.shared.lock();
        let mut seen = 0;
        loop {
            if let Some(line) = state.lines[seen..].iter().find(|line| line.text.contains(needle)) {
                return Ok(line.clone());
            }
            seen = state.lines.len();
            let last =
                || state.lines.iter().rev().find(|l| !l.text.trim().is_empty()).map_or("", |l| &l.text).to_owned();
            if state.closed {
                bail!("QEMU ended before the console said {needle:?}; its last line was {:?}", last());
            }
            let Some(left) = deadline.remaining() else {
                bail!("the console did not say {needle:?} within {deadline}; its last line was {:?}", last());
            };
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.shared.lock().lines.clone()
    }

    /// The first line so far that contains `needle`.
    pub fn find(&self, needle: &str) -> Option<Line> {
        self.shared.lock().lines.iter().find(|line| line.text.contains(needle)).cloned()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what came, and gives the texts of the lines that it ended.
    fn take(&self, partial: &mut Vec<u8>, bytes: &[u8], at: Duration) -> Vec<String> {
        partial.extend_from_slice(bytes);
        let Some(end) = partial.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = partial.drain(..=end).collect();
        let texts: Vec<String> =
            whole[..end].split(|&byte| byte == b'\n').map(|line| plain(&String::from_utf8_lossy(line))).collect();
        self.lock().lines.extend(texts.iter().map(|text| Line { at, text: text.clone() }));
        self.changed.notify_all();
        texts
    }

    fn end(&self, partial: &[u8], at: Duration) {
        let mut state = self.lock();
        if !partial.is_empty() {
            state.lines.push(Line { at, text: plain(&String::from_utf8_lossy(partial)) });
        }
        state.closed = true;
        self.changed.notify_all();
    }
}

/// The text of a console line without escape sequences (ECMA-48: CSI, OSC and the two-byte ones) and control characters.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // A CSI sequence ends with a byte from '@' to '~', an OSC string with BEL or ESC \.
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']') => while chars.next().is_some_and(|c| !matches!(c, '\u{7}' | '\\')) {},
                _ => {}
            },
            '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(text: &'static [u8]) -> (tempfile::TempDir, Console) {
        let dir = tempfile::tempdir().unwrap();
        let console = Console::follow(text, &dir.path().join("console.log"), false, Instant::now()).unwrap();
        (dir, console)
    }

    #[test]
    fn escape_sequences_are_taken_off() {
        assert_eq!(plain("\u{1b}[!p\u{1b}]104\u{7}\u{1b}[?7hballast: READY"), "ballast: READY");
        assert_eq!(plain("\u{1b}[2J\u{1b}[01;01H\u{1b}[=3hBdsDxe: \u{1b}[1mok\u{1b}[0m\r"), "BdsDxe: ok");
    }

    #[test]
    fn finds_a_line_even_the_last_without_its_end() {
        let (_dir, console) = follow(b"one\r\ntwo: READY in 4 s\r\nreboot: Power down");
        assert_eq!(console.wait_for(": READY in", Deadline::secs(5)).unwrap().text, "two: READY in 4 s");
        assert_eq!(console.wait_for("Power down", Deadline::secs(5)).unwrap().text, "reboot: Power down");
        assert_eq!(console.lines().len(), 3);
    }

    #[test]
    fn the_end_of_qemu_ends_the_wait_and_quotes_the_last_line() {
        let (_dir, console) = follow(b"Kernel panic\n\n");
        let error = console.wait_for("READY", Deadline::secs(60)).unwrap_err().to_string();
        assert!(error.contains("QEMU ended") && error.contains("Kernel panic"), "{error}");
    }

    #[test]
    fn silence_ends_with_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, _writer) = std::io::pipe().unwrap();
        let console = Console::follow(reader, &dir.path().join("log"), false, Instant::now()).unwrap();
        let error = console.wait_for("READY", Deadline::after(Duration::from_millis(5))).unwrap_err().to_string();
        assert!(error.contains("did not say \"READY\""), "{error}");
    }
}
