//! The status on the machine's first virtual terminal, for whoever stands before it: a machine whose network is dead says what is wrong. Only where
//! there is a screen, only after READY, and only when something is different.

use std::{fmt::Write as _, fs::OpenOptions, io::Write, net::IpAddr, os::unix::fs::OpenOptionsExt};

use anyhow::{Context, Result};
use rustix::fs::OFlags;

use super::status::Status;
use crate::clients::{host::Host, network};

/// The first virtual terminal (console(4)). Without a screen the kernel has none.
const TERMINAL: &str = "/dev/tty1";

/// What every screen shows.
const COLUMNS: usize = 80;
const ROWS: usize = 25;

/// ECMA-48: the cursor goes to the first place, and what is behind it goes.
const HOME_AND_CLEAR: &str = "\x1b[H\x1b[J";

/// The screen, as it was written last.
#[derive(Debug, Default)]
pub struct Terminal {
    shown: String,
}

impl Terminal {
    /// Shows `status`, if there is a screen and it shows something else.
    ///
    /// # Errors
    /// If it cannot be written to.
    pub fn show(&mut self, host: &Host, status: &Status) -> Result<()> {
        let path = host.path(TERMINAL);
        if !path.exists() {
            return Ok(());
        }
        let addresses = network::addresses(host).unwrap_or_else(|error| {
            log::debug!("{error:#}");
            Vec::new()
        });
        let page = page(status, &addresses);
        if page == self.shown {
            return Ok(());
        }
        // One that takes nothing must not stop the agent.
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.write(true).truncate(true).custom_flags(flags.bits() as i32);
        let mut terminal = options.open(&path).with_context(|| format!("opening {TERMINAL}"))?;
        let text = format!("{HOME_AND_CLEAR}{}", page.replace('\n', "\r\n"));
        terminal.write_all(text.as_bytes()).with_context(|| format!("writing to {TERMINAL}"))?;
        self.shown = page;
        Ok(())
    }
}

/// The page: what fits on a screen, the important first.
fn page(status: &Status, addresses: &[IpAddr]) -> String {
    let mut page = Page::default();
    let state = match (status.ready, status.reasons.is_empty()) {
        (true, true) => "READY",
        (true, false) => "READY, degraded",
        (false, _) => "NOT READY",
    };
    page.line(&format!("{}  {state}", status.node.hostname));
    page.line("");
    page.field("Release", &format!("{} {}", status.os.id, status.os.version));
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    page.field("Addresses", if all.is_empty() { "none".to_owned() } else { all.join(", ") }.as_str());
    if let Some(api) = &status.api {
        page.field("API", &api.address);
        page.field("", &api.fingerprint);
    }
    for cluster in &status.clusters {
        page.field("Cluster", &format!("{} {}", cluster.name, cluster.state));
    }
    if let Some(going) = &status.going_down {
        page.field("Power", &going.message);
    }
    page.line("");
    if status.reasons.is_empty() {
        page.line("Nothing is wrong.");
    }
    for (at, reason) in status.reasons.iter().enumerate() {
        // The last line is for those that have no room.
        if page.rows() + wrapped(reason, COLUMNS - 2).len() >= ROWS {
            page.line(&format!("… and {} more: ballast status", status.reasons.len() - at));
            break;
        }
        for (row, text) in wrapped(reason, COLUMNS - 2).iter().enumerate() {
            page.line(&format!("{} {text}", if row == 0 { "!" } else { " " }));
        }
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    /// A line; what a terminal would act on is left out.
    fn line(&mut self, text: &str) {
        let plain: String = text.chars().filter(|letter| !letter.is_control()).take(COLUMNS).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{}", plain.trim_end());
    }

    fn field(&mut self, name: &str, text: &str) {
        // The fingerprint has 71 letters: it has its line for itself.
        if name.is_empty() { self.line(&format!("    {text}")) } else { self.line(&format!("{name:<11}{text}")) }
    }

    fn rows(&self) -> usize {
        self.0.lines().count()
    }
}

/// `text` in lines of at most `width` letters, between words where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        let fits = last == 0 || last + 1 + word.chars().count() <= width;
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::status::{Api, Node, Os};

    fn status(reasons: Vec<String>) -> Status {
        let api = Api { address: "192.0.2.10:9600".to_owned(), fingerprint: format!("sha256:{}", "ab".repeat(32)) };
        Status {
            os: Os { id: "ballast".to_owned(), version: "20261121.1".to_owned(), ..Os::default() },
            node: Node { hostname: "node-1".to_owned(), ..Node::default() },
            ready: true,
            reasons,
            api: Some(api),
            ..Status::default()
        }
    }

    #[test]
    fn a_screen_has_what_one_asks_for_first() {
        let addresses = ["192.0.2.10".parse().unwrap(), "2001:db8::10".parse().unwrap()];
        let shown = page(&status(vec!["\x1b[2Jdisk\u{7}".to_owned()]), &addresses);
        let expected = "node-1  READY, degraded\n\nRelease    ballast 20261121.1\nAddresses  192.0.2.10, 2001:db8::10\n\
                        API        192.0.2.10:9600\n";
        assert!(shown.starts_with(expected), "{shown}");
        assert!(shown.contains(&format!("    sha256:{}\n", "ab".repeat(32))), "{shown}");
        assert!(shown.ends_with("\n! [2Jdisk\n"), "{shown}");
        assert!(page(&status(Vec::new()), &[]).ends_with("\nNothing is wrong.\n"));
    }

    #[test]
    fn it_all_fits_on_one() {
        let long = vec!["it is wrong ".repeat(20); 30];
        let shown = page(&status(long), &[]);
        assert!(shown.lines().count() <= ROWS && shown.lines().all(|line| line.chars().count() <= COLUMNS), "{shown}");
        assert!(shown.contains(" more: ballast status\n"), "{shown}");
        assert_eq!(wrapped("a bc d", 4), ["a bc", "d"]);
        assert_eq!(wrapped("abcdef g", 4), ["abcdef", "g"]);
    }
}
