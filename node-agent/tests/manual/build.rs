//! What `make` and `cargo` are asked for: it is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::top;

/// What is wrong with `make ARGUMENTS`.
pub(crate) fn make(arguments: &[&str]) -> Vec<String> {
    let makefile = fs::read_to_string(top().join("Makefile")).unwrap();
    let is_target = |name: &str| makefile.lines().any(|line| line.starts_with(&format!("{name}:")));
    // Some are of scripts that the Makefile starts with its environment.
    let is_variable = |name: &str| makefile.contains(&format!("$({name})")) || makefile.contains(&format!("{name}="));
    let wrong = |word: &&str| match word.split_once('=') {
        Some((name, _)) => (!is_variable(name)).then(|| format!("the Makefile has no variable {name:?}")),
        None => (!is_target(word)).then(|| format!("the Makefile has no target {word:?}")),
    };
    arguments.iter().filter_map(wrong).collect()
}

/// A package of the workspace.
struct Package {
    folder: PathBuf,
    manifest: toml::Table,
}

fn packages() -> Vec<(String, Package)> {
    let read = |file: PathBuf| toml::from_str::<toml::Table>(&fs::read_to_string(file).unwrap()).unwrap();
    let workspace = read(top().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let package = |member: &toml::Value| {
        let folder = top().join(member.as_str().unwrap());
        let manifest = read(folder.join("Cargo.toml"));
        (manifest["package"]["name"].as_str().unwrap().to_owned(), Package { folder, manifest })
    };
    members.iter().map(package).collect()
}

/// What is wrong with `cargo ARGUMENTS`.
pub(crate) fn cargo(arguments: &[&str]) -> Vec<String> {
    let mut split = arguments.splitn(2, |word| *word == "--");
    let (own, theirs) = (split.next().unwrap_or_default(), split.next().unwrap_or_default());
    let value = |name: &str| own.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1]);
    let packages = packages();
    let name = value("-p").unwrap_or_default();
    let Some((_, package)) = packages.iter().find(|(known, _)| known == name) else {
        return vec![format!("the workspace has no package {name:?}")];
    };
    let mut problems = Vec::new();
    for (option, kind, folder) in
        [("--test", "test", "tests"), ("--example", "example", "examples"), ("--bin", "bin", "src/bin")]
    {
        if let Some(wanted) = value(option).filter(|wanted| !package.has(kind, folder, wanted)) {
            problems.push(format!("{name} has no {kind} {wanted:?}"));
        }
    }
    for wanted in value("--features").into_iter().flat_map(|list| list.split(',')) {
        if package.manifest.get("features").and_then(|features| features.get(wanted)).is_none() {
            problems.push(format!("{name} has no feature {wanted:?}"));
        }
    }
    if own.first() == Some(&"test") {
        let filters = theirs.iter().filter(|word| !word.starts_with('-'));
        let missing = filters.filter(|filter| !package.has_test_called(filter));
        problems.extend(missing.map(|filter| format!("no test is called {filter:?} in {name}")));
    }
    problems
}

impl Package {
    fn has(&self, kind: &str, folder: &str, name: &str) -> bool {
        let named = |list: &toml::Value| {
            list.as_array().is_some_and(|list| list.iter().any(|one| one["name"].as_str() == Some(name)))
        };
        let folder = self.folder.join(folder);
        self.manifest.get(kind).is_some_and(named)
            || folder.join(format!("{name}.rs")).exists()
            || folder.join(name).join("main.rs").exists()
    }

    /// Whether a function or a module of its sources bears this name, or one that begins so.
    fn has_test_called(&self, filter: &str) -> bool {
        let part = filter.trim_end_matches("::").rsplit("::").next().unwrap_or_default();
        let (function, module) = (format!("fn {part}"), format!("mod {part}"));
        sources(&self.folder).iter().any(|text| text.contains(&function) || text.contains(&module))
    }
}

fn sources(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(fs::read_to_string(path).unwrap());
        }
    }
    all
}
