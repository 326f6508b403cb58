//! Reads sources as the compiler does, and returns what they name: so that checks of what a file may know see all of it but its tests.

#![allow(dead_code, reason = "each crate's check uses what it needs")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod names;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub(crate) use names::names;

/// A source file.
pub(crate) struct Source {
    /// Below the folder that was read, as `pods/plan/mod.rs`.
    pub(crate) name: String,
    /// All that it names outside of tests, in full: `std::fs::read`, `crate::clients::host::Host`; and `async` and `await`, if it has such.
    pub(crate) names: BTreeSet<String>,
}

impl Source {
    /// Reads the `text` of the file `name`.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), names: names(&module(name), &file) }
    }

    /// Whether it names `what`, or something in it: the parts of `what` stand in one of its names, one after the other.
    pub(crate) fn has(&self, what: &str) -> bool {
        let wanted: Vec<&str> = what.split("::").collect();
        self.names.iter().any(|name| {
            let parts: Vec<&str> = name.split("::").collect();
            parts.windows(wanted.len()).any(|some| some == wanted)
        })
    }

    /// Which of `forbidden` it names.
    pub(crate) fn breaches<'a>(&self, forbidden: &[&'a str]) -> Vec<&'a str> {
        forbidden.iter().copied().filter(|what| self.has(what)).collect()
    }
}

/// `pods/plan/mod.rs` → pods, plan
fn module(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// The sources in `folder`, without those that only tests are compiled with.
pub(crate) fn sources(folder: &Path) -> Vec<Source> {
    let (mut files, mut tests) = (Vec::new(), Vec::new());
    list(folder, &mut files);
    files.sort();
    let texts: Vec<(PathBuf, String)> =
        files.into_iter().map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect();
    for (file, text) in &texts {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let beside = file.parent().unwrap();
        let below = if matches!(stem, "mod" | "lib" | "main") { beside.to_owned() } else { beside.join(stem) };
        tests.extend(names::modules_for_tests(&parsed).into_iter().map(|name| below.join(name)));
    }
    let is_test = |file: &Path| tests.iter().any(|test| file.starts_with(test) || file == test.with_extension("rs"));
    let real = texts.iter().filter(|(file, _)| !is_test(file));
    real.map(|(file, text)| Source::new(file.strip_prefix(folder).unwrap().to_str().unwrap(), text)).collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// A sentence for each breach in `sources`.
pub(crate) fn breaches(sources: &[Source], forbidden: &[&str]) -> Vec<String> {
    let reported = |source: &Source| {
        let found = source.breaches(forbidden);
        (!found.is_empty()).then(|| format!("{} names {}", source.name, found.join(", ")))
    };
    sources.iter().filter_map(reported).collect()
}

/// Each of these names something of `forbidden`, in a way of its own; nothing of the second table does.
pub(crate) fn holds(forbidden: &[&str]) {
    let found = [
        ("use std::fs;", "std::fs"),
        ("use std::{collections::{BTreeMap, BTreeSet}, fs};", "std::fs"),
        ("use std::{\n    collections::BTreeMap,\n    fs::{self, File},\n};", "std::fs"),
        ("use std::fs as files;\nfn f() { files::read(\"x\"); }", "std::fs"),
        ("use std as s;\nfn f() { s::fs::read(\"x\"); }", "std::fs"),
        ("use ::std::fs::*;", "std::fs"),
        ("fn f() { std::fs::read(\"x\"); }", "std::fs"),
        ("fn f() -> std::fs::File { todo!() }", "std::fs"),
        ("fn f() { format!(\"{:?}\", std::fs::read(\"x\")); }", "std::fs"),
        ("mod inner { use std::fs; }", "std::fs"),
        ("#[cfg(test)]\nmod tests;\nfn f() { std::fs::read(\"x\"); }", "std::fs"),
        ("#[cfg(test)]\nmod tests { fn a() {} }\nuse std::fs;", "std::fs"),
        ("#[cfg(not(test))]\nuse std::fs;", "std::fs"),
        ("use std::time::SystemTime;\nfn f() { SystemTime::now(); }", "SystemTime::now"),
        ("use std::time;\nfn f() { time::SystemTime::now(); }", "SystemTime::now"),
        ("use std::time::SystemTime as Clock;\nfn f() { Clock::now(); }", "SystemTime::now"),
        (
            "use std::time::SystemTime;\nfn f(now: Option<SystemTime>) { now.unwrap_or_else(SystemTime::now); }",
            "SystemTime::now",
        ),
        ("async fn f() {}", "async"),
        ("fn f() { let later = async { 1 }; }", "async"),
        ("fn f() { g(async move |x| x); }", "async"),
        ("async fn f() { g().await; }", "await"),
        ("impl A { async fn f() {} }", "async"),
    ];
    for (text, what) in found {
        let what =
            forbidden.iter().find(|one| **one == what || (what.starts_with("SystemTime") && **one == "SystemTime"));
        let Some(what) = what else { continue };
        assert_eq!(Source::new("a.rs", text).breaches(&[what]), [*what], "{text}");
    }
    for text in [
        "// std::fs, SystemTime::now, async fn\nfn f() {}",
        "/// As std::fs has it.\nfn f() -> &'static str { \"std::fs .await\" }",
        "#[cfg(test)]\nuse std::fs;",
        "#[cfg(test)]\nmod tests { use std::fs; async fn f() { std::fs::read(\"x\").await } }\nfn f() {}",
        "#[cfg(all(test, unix))]\nuse std::fs;",
        "struct A;\nimpl A { #[cfg(test)] fn f() { std::fs::read(\"x\"); } }",
        "fn f() { let fs = 1; fs }",
    ] {
        assert_eq!(Source::new("a.rs", text).breaches(forbidden), [""; 0], "{text}");
    }
}
