//! `docs/scenarios.md` against the tests: every id in a test's name is defined there, and every id that is defined there has a test
//! or a reason why it has none. Reads source files; boots nothing.

mod lengths;
mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Where tests may lie.
const FOLDERS: [&str; 3] = ["initramfs", "node-agent", "qemu-tests"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below `folder` that end in `.EXTENSION`, but what was built.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, extension, found)?;
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The names of all functions below `folder`.
fn functions(folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    let mut sources = Vec::new();
    files(folder, "rs", &mut sources)?;
    for path in sources {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        names.extend(text.lines().filter_map(function).map(str::to_owned));
    }
    Ok(())
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let is_start = before.split_whitespace().all(|word| ["pub", "pub(crate)", "pub(super)", "async"].contains(&word));
    is_start.then(|| rest.split(['(', '<']).next()).flatten()
}

/// The ids that a test's name begins with: `r04_r15_new_kernel` bears R04 and R15.
fn ids(name: &str) -> Vec<String> {
    let is_id = |part: &str| {
        let is_type = ["i16", "i32", "i64", "u16", "u32", "u64", "f32", "f64"].contains(&part);
        let mut rest = part.chars().skip(1);
        !is_type
            && part.len() == 3
            && part.starts_with(|c: char| c.is_ascii_lowercase())
            && rest.all(|c| c.is_ascii_digit())
    };
    let parts: Vec<&str> = name.split('_').collect();
    let ids = parts.iter().take_while(|part| is_id(part)).count();
    // A name that is nothing but an id is no test's: `fn u32()`.
    if ids == parts.len() { Vec::new() } else { parts[..ids].iter().map(|id| id.to_uppercase()).collect() }
}

/// A row of the catalogue: its id, and the third column.
fn rows(text: &str) -> BTreeMap<String, String> {
    let row = |line: &str| {
        let mut columns = line.strip_prefix('|')?.split('|').map(str::trim);
        let id = columns.next().filter(|id| ids(&format!("{}_x", id.to_lowercase())).len() == 1)?;
        Some((id.to_owned(), columns.nth(1)?.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

/// What is wrong with the catalogue `text` beside the functions `names`, one sentence each.
fn problems(text: &str, names: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(text);
    let borne: BTreeSet<String> = names.iter().flat_map(|name| ids(name)).collect();
    let mut problems: Vec<String> = borne
        .iter()
        .filter(|id| !rows.contains_key(*id))
        .map(|id| format!("{id} is in a test's name and not defined"))
        .collect();
    for (id, others) in &rows {
        let has_reason = others.strip_prefix("No test:").is_some_and(|reason| !reason.trim().is_empty());
        let named: Vec<&str> = if has_reason { Vec::new() } else { others.split('`').skip(1).step_by(2).collect() };
        problems.extend(
            named
                .iter()
                .filter(|name| !names.contains(**name))
                .map(|name| format!("{id} names the test {name}, which is not there")),
        );
        if !borne.contains(id) && named.is_empty() && !has_reason {
            problems
                .push(format!("{id} has no test and no reason why (third column: `test_name`, or \"No test: why\")"));
        }
    }
    problems
}

#[test]
fn every_id_is_defined_and_every_scenario_has_a_test_or_a_reason() -> Result<()> {
    let path = top().join("docs/scenarios.md");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut names = BTreeSet::new();
    for folder in FOLDERS {
        functions(&top().join(folder), &mut names)?;
    }
    ensure!(rows(&text).len() > 70, "only {} rows were read: has the table another form?", rows(&text).len());
    ensure!(names.len() > 1000, "only {} functions were read", names.len());
    let problems = problems(&text, &names);
    ensure!(problems.is_empty(), "docs/scenarios.md: {}", problems.join("; "));
    Ok(())
}

#[test]
fn each_kind_of_breach_is_found() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let table: [(&str, &[&str], &str); 6] = [
        ("| R01 | by hand | |", &["r01_by_hand"], ""),
        ("| R01 | by hand | |", &["r01_r02_by_hand"], "R02 is in a test's name and not defined"),
        ("| R01 | by hand | |", &["by_hand"], "R01 has no test and no reason why"),
        ("| R01 | by hand | No test: |", &["by_hand"], "R01 has no test and no reason why"),
        ("| R01 | by hand | No test: nobody can |", &["by_hand"], ""),
        ("| R01 | by hand | `by_foot` |", &["by_hand"], "R01 names the test by_foot, which is not there"),
    ];
    for (text, functions, expected) in table {
        let found = problems(text, &names(functions)).join("; ");
        assert!(if expected.is_empty() { found.is_empty() } else { found.starts_with(expected) }, "{text}: {found}");
    }
    assert_eq!(function("    pub(crate) async fn r01_x(a: u32) {"), Some("r01_x"));
    assert_eq!(function("// a fn nobody(calls)"), None);
}

/// The ids that `text` names, as C04 or C01–C05.
fn named_ids(text: &str) -> BTreeSet<String> {
    let id = |word: &str| ids(&format!("{}_x", word.to_lowercase())).pop();
    let range = |words: &str| match words.split_once('–').map(|(from, to)| (id(from), id(to))) {
        Some((Some(from), Some(to))) => {
            let number = |id: &str| id[1..].parse::<u32>().unwrap_or_default();
            (number(&from)..=number(&to)).map(|number| format!("{}{number:02}", &from[..1])).collect()
        }
        _ => id(words).into_iter().collect::<Vec<_>>(),
    };
    text.split([' ', ',', '|', '\n']).flat_map(range).collect()
}

/// The security model says by which scenarios it is shown.
#[test]
fn what_the_security_model_claims_is_shown_by_scenarios_that_are_there() -> Result<()> {
    let read = |name: &str| fs::read_to_string(top().join(name)).with_context(|| format!("reading {name}"));
    let (rows, claims) = (rows(&read("docs/scenarios.md")?), named_ids(&read("docs/security.md")?));
    ensure!(claims.len() >= 20, "docs/security.md names only {claims:?}");
    let missing: Vec<&String> = claims.iter().filter(|id| !rows.contains_key(*id)).collect();
    ensure!(missing.is_empty(), "docs/security.md names scenarios that are not defined: {missing:?}");
    assert_eq!(named_ids("| x | C04, C01–C03 | Z99").into_iter().collect::<Vec<_>>().join(" "), "C01 C02 C03 C04 Z99");
    Ok(())
}

/// The table at the end says where what is.
#[test]
fn the_files_that_are_named_exist() -> Result<()> {
    let text = fs::read_to_string(top().join("docs/scenarios.md")).context("reading docs/scenarios.md")?;
    let (_, table) = text.split_once("## Where it is in the source").context("the table of files is missing")?;
    let files: Vec<&str> = table.split('`').skip(1).step_by(2).filter(|name| name.contains('/')).collect();
    ensure!(files.len() >= 14, "only {} files are named", files.len());
    let missing: Vec<&str> = files.into_iter().filter(|file| !top().join(file).exists()).collect();
    ensure!(missing.is_empty(), "docs/scenarios.md names files that are not there: {}", missing.join(", "));
    Ok(())
}
