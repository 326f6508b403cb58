//! The keys are those that are read, and the files that are made of them are up to date.

use std::{env, fs, path::Path};

use super::*;
use crate::{Rank, Source};

/// Each table's keys, with a document that has an unknown key in that table.
fn tables(keys: &'static [Key], path: &[&str], out: &mut Vec<(Vec<&'static str>, String)>) {
    let header = |opening: &str, closing: &str| match path {
        [] => String::new(),
        path => format!("{opening}{}{closing}\n", path.join(".")),
    };
    // A table in a list is one whatever its list is in: the last header says it.
    let is_list = path.last().is_some_and(|last| {
        ["interface", "bond", "vlan", "routes", "registry", "mirrors", "manifest", "cluster"].contains(last)
    });
    let (opening, closing) = if is_list { ("[[", "]]") } else { ("[", "]") };
    let parent = match path {
        ["network", "interface", "routes"] => "[[network.interface]]\nname = \"eth0\"\n",
        ["registry", "mirrors"] => "[[registry]]\nhost = \"r.example\"\n",
        _ => "",
    };
    out.push((keys.iter().map(|key| key.name).collect(), format!("{parent}{}zzzz = 1\n", header(opening, closing))));
    for key in keys {
        if let Shape::Table(inner) | Shape::List(inner) | Shape::TextsOrTables(_, inner) | Shape::Keyed(_, inner) =
            key.shape
        {
            tables(inner, &[path, &[key.name]].concat(), out);
        }
    }
}

#[test]
fn the_keys_are_those_that_are_read() {
    let mut all = Vec::new();
    tables(KEYS, &[], &mut all);
    assert!(all.len() > 14, "{}", all.len());
    for (mut expected, document) in all {
        expected.retain(|name| *name != "version");
        let (_, problems) = crate::settings(&[Source::new("f", Rank::Node, document.as_bytes())]);
        let problem = problems.iter().find(|problem| problem.key.as_ref().is_some_and(|key| key.ends_with("zzzz")));
        let reported =
            problem.unwrap_or_else(|| panic!("{document}{problems:?}")).expected.strip_prefix("one of ").unwrap();
        let mut reported: Vec<&str> = reported.split(", ").collect();
        reported.sort_unstable();
        expected.sort_unstable();
        assert_eq!(reported, expected, "{document}");
    }
}

#[test]
fn the_schema_for_editors_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("settings.schema.json");
    let text = format!("{:#}\n", json_schema());
    if env::var_os("BALLAST_GOLDEN").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "BALLAST_GOLDEN=write writes it anew");
}

#[test]
fn the_manual_explains_every_key() {
    let manual = include_str!("../../../../docs/settings.md");
    let mut all = Vec::new();
    tables(KEYS, &[], &mut all);
    for name in all.iter().flat_map(|(names, _)| names) {
        let written = [format!("`{name}`"), format!(".{name}`"), format!("`{name}."), format!(".{name}.")];
        assert!(written.iter().any(|written| manual.contains(written)), "{name}");
    }
    for name in crate::values::KernelArgument::ALLOWED.iter().chain(crate::values::SysctlKey::ALLOWED) {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
    }
}
