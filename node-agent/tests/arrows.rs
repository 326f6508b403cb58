//! Holds the direction in which the parts of the agent know each other: see the picture in `src/lib.rs`.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const DOMAINS: [&str; 6] = ["cluster", "health", "pods", "runtime", "storage", "update"];

/// What a pure file does without: I/O, clocks, waiting, and whoever does such things.
const IMPURE: [&str; 14] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "tokio::",
    "rustix::",
    "crate::clients",
    "SystemTime::now",
    "async fn",
    "async move",
    ".await",
];

/// Files with other names than `model` and `plan` that are pure all the same.
const ALSO_PURE: [&str; 15] = [
    "pods/desired.rs",
    "pods/disk/collect.rs",
    "pods/phase.rs",
    "pods/restart.rs",
    "proxy/config/credentials.rs",
    "proxy/config/registries.rs",
    "proxy/policy/identity.rs",
    "proxy/policy/key.rs",
    "proxy/policy/scope.rs",
    "proxy/policy/signature.rs",
    "proxy/policy/source.rs",
    "proxy/source/registry/challenge.rs",
    "report/compose.rs",
    "report/metrics/figures.rs",
    "report/metrics/text.rs",
];

/// Folders in which all is pure.
const PURE_FOLDERS: [&str; 3] = ["/model/", "/plan/", "proxy/content/"];

struct Source {
    /// As `pods/plan/mod.rs`.
    name: String,
    /// Without tests and comments.
    text: String,
    /// The paths that it imports or names from the crate's root, as `crate::clients::host::Host`.
    paths: Vec<String>,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        let text = lines.join("\n");
        let mut paths = Vec::new();
        for statement in text.split(';') {
            if let Some((_, tree)) = statement.rsplit_once("use ") {
                expand("", tree, &mut paths);
            }
        }
        let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
        paths.extend(text.split(|letter| !word(letter)).filter(|path| path.contains("::")).map(str::to_owned));
        Self { name: name.to_owned(), text, paths }
    }

    fn room(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    fn knows(&self, room: &str) -> bool {
        let path = format!("crate::{room}");
        self.paths.iter().any(|known| known == &path || known.starts_with(&format!("{path}::")))
    }

    fn is_pure(&self) -> bool {
        let file = self.name.rsplit('/').next().unwrap_or_default();
        let is_in_pure_folder = PURE_FOLDERS.iter().any(|folder| self.name.contains(folder));
        file == "model.rs" || file == "plan.rs" || is_in_pure_folder || ALSO_PURE.contains(&&*self.name)
    }
}

/// `a::{b, c::{d, e}}` → a::b, a::c::d, a::c::e
fn expand(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        if !tree.is_empty() {
            out.push(format!("{prefix}{tree}"));
        }
        return;
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0;
    let mut start = 0;
    for (index, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&format!("{prefix}{head}"), &inner[start..index], out);
                start = index + 1;
            }
            _ => {}
        }
    }
    expand(&format!("{prefix}{head}"), &inner[start..], out);
}

/// One sentence for each arrow that points the wrong way.
fn wrong_arrows(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    let room = source.room();
    let mut forbid = |other: &str, why: &str| {
        if source.knows(other) {
            wrong.push(format!("{} knows crate::{other}: {why}", source.name));
        }
    };
    if DOMAINS.contains(&room) {
        for other in DOMAINS.iter().filter(|other| **other != room) {
            forbid(other, "no domain knows another");
        }
    }
    if room == "clients" {
        DOMAINS.iter().for_each(|domain| forbid(domain, "clients know no domain"));
    }
    if room == "settings" {
        DOMAINS.iter().for_each(|domain| forbid(domain, "settings know no domain"));
    }
    if room == "clients" {
        forbid("settings", "clients are told what to do");
    }
    if DOMAINS.contains(&room) || matches!(room, "clients" | "settings") {
        for other in ["agent", "cli", "report"] {
            forbid(other, "what is published never flows back");
        }
    }
    if room == "report" {
        forbid("agent", "report only publishes");
        for domain in DOMAINS {
            for act in ["act", "observe"] {
                forbid(&format!("{domain}::{act}"), "report only publishes");
            }
        }
    }
    if source.is_pure() {
        for impure in IMPURE {
            let is_named = source.text.contains(impure) || source.paths.iter().any(|path| path.starts_with(impure));
            if is_named {
                wrong.push(format!("{} is pure and names {impure}", source.name));
            }
        }
    }
    wrong
}

/// The sources in `folder`, whose names begin with `prefix`.
fn sources(folder: &Path, prefix: &str, out: &mut Vec<Source>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            sources(&path, &format!("{name}/"), out);
        } else if !name.ends_with("tests.rs") {
            out.push(Source::new(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_arrows_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    sources(&root.join("src"), "", &mut all);
    // A program of its own, so it can know none of the agent; what is pure in it is held here, too.
    sources(&root.join("proxy/src"), "proxy/", &mut all);
    for domain in DOMAINS {
        assert!(all.iter().any(|source| source.room() == domain), "there is no domain {domain}");
    }
    let wrong: Vec<String> = all.iter().flat_map(wrong_arrows).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found() {
    let table = [
        ("pods/act.rs", "use crate::{clients::{cri::Cri, host}, runtime::model};", "pods/act.rs knows crate::runtime"),
        ("pods/act.rs", "fn f() { crate::health::plan::reasons() }", "pods/act.rs knows crate::health"),
        ("clients/proc.rs", "use crate::update;", "clients/proc.rs knows crate::update"),
        ("storage/act.rs", "use crate::report::status::Status;", "storage/act.rs knows crate::report"),
        ("report/status.rs", "use crate::pods::act::Jobs;", "report/status.rs knows crate::pods::act"),
        ("pods/plan/pod.rs", "use std::{\n    fs::File,\n};", "pods/plan/pod.rs is pure and names std::fs"),
        ("proxy/content/digest.rs", "use std::fs;", "proxy/content/digest.rs is pure and names std::fs"),
        ("pods/model.rs", "let now = SystemTime::now();", "pods/model.rs is pure and names SystemTime::now"),
        ("settings/observe.rs", "use crate::update::model;", "settings/observe.rs knows crate::update"),
        ("update/plan.rs", "use crate::clients::esp;", "update/plan.rs is pure and names crate::clients"),
    ];
    for (name, text, expected) in table {
        let wrong = wrong_arrows(&Source::new(name, text));
        assert!(wrong.iter().any(|wrong| wrong.starts_with(expected)), "{text}: {wrong:?}");
    }
    assert!(wrong_arrows(&Source::new("pods/act.rs", "// crate::runtime\nuse crate::pods::model::Key;")).is_empty());
}
