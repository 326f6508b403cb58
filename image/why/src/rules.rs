//! What a rules file of udev names: programs that it runs and units that it starts.

/// Where udev looks for programs without a path.
const FOLDER: &str = "usr/lib/udev";

/// Keys whose value is a command line.
const COMMANDS: [&str; 4] = ["IMPORT{program}", "PROGRAM", "RUN", "RUN{program}"];

/// Programs (absolute, or below `usr/lib/udev`) and units of a rules file, in order.
pub fn parse(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut programs, mut units) = (Vec::new(), Vec::new());
    for line in text.replace("\\\n", " ").lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        for (key, value) in pairs(line) {
            if COMMANDS.contains(&key) {
                let program = value.split_whitespace().next().unwrap_or_default();
                programs.push(if program.starts_with('/') {
                    program.to_owned()
                } else {
                    format!("{FOLDER}/{program}")
                });
            } else if key == "ENV{SYSTEMD_WANTS}" {
                units.extend(value.split_whitespace().map(ToOwned::to_owned));
            }
        }
    }
    (programs, units)
}

/// The `KEY=="value"`, `KEY="value"` and `KEY+="value"` of a line.
fn pairs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (before, after) = rest.split_once('"')?;
        let (value, tail) = after.split_once('"')?;
        rest = tail;
        let key =
            before.trim_start_matches([',', ' ', '\t']).trim_end_matches(['=', '+', '-', '!', ':', ' ', 'e', 'i']);
        Some((key, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_units_are_found() {
        let text = "# RUN+=\"no\"\nKERNEL==\"sd*\", ENV{X}!=\"?*\", IMPORT{program}=\"scsi_id --export $devnode\"\n\
                    ACTION==\"add\", RUN+=\"/usr/bin/logger x\", ENV{SYSTEMD_WANTS}+=\"a.service b@c.service\"\nPROGRAM==\"ata_id x\"";
        let (programs, units) = parse(text);
        assert_eq!(programs, ["usr/lib/udev/scsi_id", "/usr/bin/logger", "usr/lib/udev/ata_id"]);
        assert_eq!(units, ["a.service", "b@c.service"]);
    }
}
