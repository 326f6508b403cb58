//! What a unit file of systemd names: units that it pulls in and programs that it executes.

/// What one unit file (or drop-in) names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Units that start because of this one.
    pub pulls: Vec<String>,
    /// Programs of its `Exec` lines.
    pub programs: Vec<Program>,
}

/// A program of an `Exec` line.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// As it is written: an absolute path, or a name that is looked up.
    pub path: String,
    /// The line has `-` before the program, or the unit a condition on it: the unit works without.
    pub optional: bool,
}

/// Settings that name units which start because of this one. `After=` and its like only order, `Conflicts=` stops.
const PULLS: [&str; 12] = [
    "Wants",
    "Requires",
    "Requisite",
    "BindsTo",
    "Upholds",
    "OnFailure",
    "OnSuccess",
    "Service",
    "Sockets",
    "Unit",
    "Slice",
    "Also",
];

/// Suffixes of unit names.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".mount",
    ".automount",
    ".timer",
    ".path",
    ".slice",
    ".scope",
    ".swap",
    ".device",
];

/// Whether `name` is the name of a unit.
pub fn is_unit(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
}

/// The template of an instance: `modprobe@loop.service` → `modprobe@.service`.
pub fn template(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (_, suffix) = rest.rsplit_once('.')?;
    Some(format!("{prefix}@.{suffix}"))
}

/// Reads a unit file and its drop-ins, one after the other: an empty `ExecStart=` takes back those before it. `name` says what
/// the unit starts by its kind (a socket its service, an automount its mount).
pub fn parse(name: &str, text: &str) -> Unit {
    let mut unit = Unit::default();
    let (mut programs, mut conditions) = (Vec::new(), Vec::new());
    let mut accept = false;
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';', '['])) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if PULLS.contains(&key) {
            unit.pulls.extend(value.split_whitespace().filter(|word| is_unit(word)).map(ToOwned::to_owned));
        } else if key.starts_with("Exec") && key != "ExecSearchPath" && key != "ExecPaths" {
            if value.is_empty() {
                programs.retain(|(of, _): &(&str, Program)| *of != key);
            }
            programs.extend(executed(value).into_iter().map(|program| (key, program)));
        } else if key == "ConditionFileIsExecutable" || key == "ConditionPathExists" {
            conditions.push(value.trim_start_matches('|').to_owned());
        } else if key == "Accept" {
            accept = matches!(value, "yes" | "true" | "1" | "on");
        }
    }
    unit.programs = programs.into_iter().map(|(_, program)| program).collect();
    for program in &mut unit.programs {
        program.optional |= conditions.contains(&program.path);
    }
    let sibling = |from: &str, to: &str| name.strip_suffix(from).map(|stem| format!("{stem}{to}"));
    let service = if accept { "@.service" } else { ".service" };
    unit.pulls.extend(
        [
            sibling(".socket", service),
            sibling(".timer", ".service"),
            sibling(".path", ".service"),
            sibling(".automount", ".mount"),
        ]
        .into_iter()
        .flatten(),
    );
    unit
}

/// The program of an `Exec` line, then absolute paths among its arguments (`/bin/sh -c '/usr/bin/tool'`), which may be anything.
fn executed(line: &str) -> Vec<Program> {
    let optional = line.chars().take_while(|letter| "@-:+!|".contains(*letter)).any(|letter| letter == '-');
    let words = line
        .trim_start_matches(['@', '-', ':', '+', '!', '|'])
        .split(|letter: char| letter.is_whitespace() || "'\";".contains(letter));
    words
        .filter(|word| !word.is_empty())
        .enumerate()
        .filter(|(at, word)| *at == 0 || word.starts_with('/'))
        .map(|(at, word)| Program { path: word.to_owned(), optional: optional || at > 0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_lines_name_programs() {
        let program = |path: &str, optional| Program { path: path.to_owned(), optional };
        let cases = [
            ("/usr/bin/ballast agent", vec![program("/usr/bin/ballast", false)]),
            ("-/sbin/modprobe %i", vec![program("/sbin/modprobe", true)]),
            ("!!/usr/lib/systemd/systemd-resolved", vec![program("/usr/lib/systemd/systemd-resolved", false)]),
            (
                "/bin/sh -c '/bin/a; /bin/b'",
                vec![program("/bin/sh", false), program("/bin/a", true), program("/bin/b", true)],
            ),
            ("udevadm trigger", vec![program("udevadm", false)]),
            ("", vec![]),
        ];
        for (line, expected) in cases {
            assert_eq!(executed(line), expected, "{line}");
        }
    }

    #[test]
    fn a_unit_pulls_in_what_it_starts_and_not_what_it_is_ordered_after() {
        let unit = parse(
            "a.socket",
            "[Unit]\nWants=b.service \\\n  c.target\nAfter=d.service\nConflicts=e.target\n# Requires=f.service\n[Socket]\nAccept=no\n",
        );
        assert_eq!(unit.pulls, ["b.service", "c.target", "a.service"]);
        assert_eq!(parse("x.socket", "[Socket]\nAccept=yes\n").pulls, ["x@.service"]);
        assert_eq!(parse("x.automount", "").pulls, ["x.mount"]);
    }

    #[test]
    fn a_condition_makes_its_program_optional() {
        let unit = parse("a.service", "ConditionFileIsExecutable=/etc/rc.local\nExecStart=/etc/rc.local start\n");
        assert!(unit.programs[0].optional);
    }

    #[test]
    fn a_drop_in_takes_a_program_back() {
        let unit =
            parse("a.service", "ExecStart=/bin/bash\nExecStop=/bin/a\n[Service]\nExecStart=\nExecStart=/bin/sh\n");
        let paths: Vec<_> = unit.programs.iter().map(|program| program.path.as_str()).collect();
        assert_eq!(paths, ["/bin/a", "/bin/sh"]);
    }

    #[test]
    fn names_and_templates() {
        assert_eq!(template("modprobe@loop.service").as_deref(), Some("modprobe@.service"));
        assert_eq!(template("a.service"), None);
        assert!(is_unit("a.target") && !is_unit(".target") && !is_unit("a.conf"));
    }
}
