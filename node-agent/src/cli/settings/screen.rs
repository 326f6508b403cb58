//! What a change makes different, for people.

use std::{fmt::Write, io::IsTerminal};

use crate::settings::model::{Planned, Required};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// Whether standard output is a terminal whose owner wants colours (no-color.org).
pub(super) fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The difference, and what it needs.
pub(super) fn planned(planned: &Planned, colour: bool) -> String {
    let mut out = String::new();
    for line in planned.difference.lines() {
        let code = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            Some(b'@') => CYAN,
            Some(_) | None => "",
        };
        let line = printable(line);
        // Writing to a String cannot fail.
        let _ = match colour && !code.is_empty() {
            true => writeln!(out, "{code}{line}{RESET}"),
            false => writeln!(out, "{line}"),
        };
    }
    for need in needs(&planned.needs) {
        let _ = writeln!(out, "{need}");
    }
    out
}

fn needs(needs: &Required) -> Vec<String> {
    let Required { hostname, reload, restart, reboot } = needs;
    let mut all = Vec::new();
    if *hostname {
        all.push("renames the machine".to_owned());
    }
    all.extend(Some(reload).filter(|units| !units.is_empty()).map(|units| format!("reloads {}", units.join(", "))));
    all.extend(Some(restart).filter(|units| !units.is_empty()).map(|units| format!("restarts {}", units.join(", "))));
    if *reboot {
        all.push("needs a reboot: kernel.arguments hold from the next boot on".to_owned());
    }
    all
}

/// A comment or a key may hold what moves a terminal's cursor.
fn printable(line: &str) -> String {
    let mut out = String::new();
    for letter in line.chars() {
        if letter.is_control() && letter != '\t' { out.extend(letter.escape_default()) } else { out.push(letter) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_coloured_and_says_what_it_needs() {
        let difference = "--- settings\n+++ settings, new\n@@ -1 +1 @@\n-a = 1\n+a = \"\x1b[2J\"\n b = 1\n".to_owned();
        let needs = Required {
            hostname: true,
            reload: vec!["systemd-networkd.service".to_owned()],
            restart: vec!["a.service".to_owned(), "b.service".to_owned()],
            reboot: true,
        };
        let plain = planned(&Planned { difference: difference.clone(), needs: needs.clone() }, false);
        let expected = "--- settings\n+++ settings, new\n@@ -1 +1 @@\n-a = 1\n+a = \"\\u{1b}[2J\"\n b = 1\n\
                        renames the machine\nreloads systemd-networkd.service\nrestarts a.service, b.service\n\
                        needs a reboot: kernel.arguments hold from the next boot on\n";
        assert_eq!(plain, expected);
        let coloured = planned(&Planned { difference, needs: Required::default() }, true);
        assert!(coloured.contains("\x1b[31m-a = 1\x1b[0m\n") && coloured.ends_with("\n b = 1\n"), "{coloured:?}");
        assert_eq!(planned(&Planned::default(), true), "");
    }
}
