//! What our services may do, as `systemd-analyze security` counts it: 0 is nothing, 10 is everything. What is left out of each, and
//! why, stands in docs/design/sandboxing.md, which is held against the units too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use qemu_vm::tools::{self, Tools};
use qemu_vm::workspace::Workspace;
use serde_json::Value;

/// In tenths: of a service that is not named, no more than 2.0.
const USUAL: u32 = 20;
const LIMITS: [(&str, u32); 4] = [
    ("ballast.service", 50),
    ("ballast-kubelet.service", 95),
    ("ballast-settings.service", 66),
    ("containerd.service", 95),
];

const UNITS: &str = "image/root/usr/lib/systemd/system";
const DESIGN: &str = "docs/design/sandboxing.md";

/// Exposure in tenths, and the directives that would lower it, as systemd-analyze calls them.
fn analyze(tools: &Tools, unit: &PathBuf) -> (u32, BTreeSet<String>) {
    let mut command = tools.command("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", "--json=short"]).arg(unit).stdin(Stdio::null());
    let text = tools::output("systemd-analyze", &mut command).unwrap();
    let table: Vec<BTreeMap<String, Value>> = serde_json::from_slice(&text).unwrap();
    assert!(table.len() > 70, "it reports only {} of {}", table.len(), unit.display());
    let open = table.iter().filter(|row| row["set"] == Value::Bool(false));
    let names = open.map(|row| row["name"].as_str().unwrap().to_owned()).collect();
    let mut command = tools.command("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]).arg(unit).stdin(Stdio::null());
    let text = String::from_utf8(tools::output("systemd-analyze", &mut command).unwrap()).unwrap();
    let exposure = text.lines().find_map(|line| line.split_once("Overall exposure level for")?.1.split(' ').nth(2));
    let tenths = exposure.unwrap().replace('.', "").parse().unwrap();
    (tenths, names)
}

/// The repository's.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn units() -> Vec<(String, PathBuf)> {
    let folder = root().join(UNITS);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let services = files.filter(|path| path.extension().is_some_and(|ending| ending == "service"));
    let mut units: Vec<_> =
        services.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect();
    units.sort();
    units
}

#[test]
fn services_may_do_no_more_than_they_must() {
    let workspace = Workspace::find();
    let tools = Tools::find(&workspace).unwrap();
    let design = fs::read_to_string(root().join(DESIGN)).unwrap();
    let mut wrong = Vec::new();
    for (name, path) in units() {
        let (tenths, open) = analyze(&tools, &path);
        let limit = LIMITS.iter().find(|(unit, _)| *unit == name).map_or(USUAL, |(_, limit)| *limit);
        println!("{name}: {}.{}", tenths / 10, tenths % 10);
        if tenths > limit {
            wrong.push(format!("{name} is exposed by {tenths} tenths, at most {limit} are allowed: {open:?}"));
        }
        let reasons = left_out(&design, &name);
        let unsaid: Vec<_> = open.difference(&reasons).collect();
        let stale: Vec<_> = reasons.difference(&open).collect();
        if !unsaid.is_empty() || !stale.is_empty() {
            wrong.push(format!("{DESIGN} does not say why {name} is without {unsaid:?}, and says it of {stale:?}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// A check that finds nothing in a unit that may do everything would find nothing in ours.
#[test]
fn a_service_without_directives_is_exposed() {
    let tools = Tools::find(&Workspace::find()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("open.service");
    fs::write(&unit, "[Service]\nExecStart=/usr/bin/true\n").unwrap();
    let (tenths, open) = analyze(&tools, &unit);
    assert!(tenths > 90 && open.contains("NoNewPrivileges="), "{tenths}: {open:?}");
}

/// The directives in the rows of the unit's table: the first cell of each has one or more in backquotes.
fn left_out(design: &str, unit: &str) -> BTreeSet<String> {
    let sections = design.split("\n## ");
    let section = sections.into_iter().find(|section| section.starts_with(unit)).unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| line.split(" | ").next());
    let names = cells.flat_map(|cell| cell.trim_end_matches('`').split("`, `"));
    // A bar within a cell is written so.
    names.map(|name| name.replace("\\|", "|")).collect()
}
