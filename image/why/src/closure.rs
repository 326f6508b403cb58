//! From the lists to everything they need: a file is kept when something that is kept needs it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result};

use crate::{elf, lists, lists::Lists, rules, tree::Entry, tree::Tree, units};

/// Where the loader looks after a program's own run path. systemd's private libraries find each other through the run path of
/// the program that loads them, so their folder stands here.
const LIBRARY_FOLDERS: [&str; 4] =
    ["usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib", "usr/lib/x86_64-linux-gnu/systemd"];

/// Where systemd reads units, the first one wins.
const UNIT_FOLDERS: [&str; 2] = ["etc/systemd/system", "usr/lib/systemd/system"];

/// Where programs without a path are looked for.
const PROGRAM_FOLDERS: [&str; 2] = ["usr/bin", "usr/sbin"];

/// Loaded by the kernel, by name: they are not read for needs.
const MODULES: &str = "usr/lib/modules/";

/// In a list: nobody in particular, or the kernel and /init.
const NOBODY: &str = "-";

/// Why a file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The file that needs it; empty if a list says so.
    pub by: String,
    /// A clause: `a library of usr/bin/ip`.
    pub text: String,
}

/// What is kept, and what is wrong.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Path → reason.
    pub kept: BTreeMap<String, Reason>,
    /// Sentences that say what to do.
    pub problems: BTreeSet<String>,
}

struct Closure<'a> {
    tree: &'a Tree,
    lists: &'a Lists,
    queue: VecDeque<String>,
    units: BTreeSet<String>,
    features: BTreeSet<String>,
    outcome: Outcome,
}

/// Follows all needs.
pub fn run(tree: &Tree, lists: &Lists) -> Result<Outcome> {
    let mut closure = Closure {
        tree,
        lists,
        queue: VecDeque::new(),
        units: BTreeSet::new(),
        features: BTreeSet::new(),
        outcome: Outcome::default(),
    };
    for line in &lists.commands {
        if !closure.need(&line.words[0], "", &format!("a command: {}", line.reason)) {
            closure.stale("commands", &line.words[0]);
        }
    }
    for line in &lists.units {
        if !closure.unit(&line.words[0], "", &format!("a unit that is started by name: {}", line.reason))? {
            closure.stale("units", &line.words[0]);
        }
    }
    closure.callees(NOBODY);
    closure.follow_all()?;
    for line in lists.features.iter().filter(|line| !closure.features.contains(&line.words[0])).collect::<Vec<_>>() {
        closure.stale("features", &line.words[0]);
    }
    Ok(closure.outcome)
}

impl Closure<'_> {
    /// Works off the queue, then the data of readers that are kept, until neither brings anything new.
    fn follow_all(&mut self) -> Result<()> {
        let mut waiting: Vec<_> = self.lists.data.iter().collect();
        loop {
            while let Some(path) = self.queue.pop_front() {
                self.follow(&path).with_context(|| format!("following the needs of {path}"))?;
            }
            let kept = &self.outcome.kept;
            let (ready, still): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|line| line.words[0] == NOBODY || kept.contains_key(&line.words[0]));
            waiting = still;
            for line in &ready {
                let [reader, pattern] = &line.words;
                let reader = if reader == NOBODY { "" } else { reader };
                if !self.need_pattern(pattern, reader, &line.reason) {
                    self.stale("data", pattern);
                }
            }
            if ready.is_empty() {
                break;
            }
        }
        for line in waiting {
            let [reader, pattern] = &line.words;
            self.outcome
                .problems
                .insert(format!("image/why/data says that {reader} reads {pattern}, but nothing needs {reader}"));
        }
        for line in &self.lists.calls {
            if line.words[0] != NOBODY && !self.outcome.kept.contains_key(&line.words[0]) {
                self.outcome.problems.insert(format!("image/why/calls names {}, which nothing needs", line.words[0]));
            }
        }
        Ok(())
    }

    fn stale(&mut self, list: &str, word: &str) {
        self.outcome.problems.insert(format!(
            "image/why/{list} names {word}, which is not in the image: correct the line or take it out"
        ));
    }

    /// Keeps the file that `path` leads to and the links on the way; false if there is none.
    fn need(&mut self, path: &str, by: &str, text: &str) -> bool {
        let Some(followed) = self.tree.follow(path) else { return false };
        let reason = Reason { by: by.to_owned(), text: text.to_owned() };
        for link in followed.links {
            self.outcome.kept.entry(link).or_insert_with(|| reason.clone());
        }
        if !self.outcome.kept.contains_key(&followed.file) {
            self.outcome.kept.insert(followed.file.clone(), reason);
            self.queue.push_back(followed.file);
        }
        true
    }

    /// Keeps all that `pattern` means. Links that lead out of the image (into /run) are kept as they are.
    fn need_pattern(&mut self, pattern: &str, by: &str, text: &str) -> bool {
        let found: Vec<_> = self.tree.entries.keys().filter(|path| lists::matches(pattern, path)).cloned().collect();
        for path in &found {
            if !self.need(path, by, text) {
                self.outcome
                    .kept
                    .entry(path.clone())
                    .or_insert_with(|| Reason { by: by.to_owned(), text: text.to_owned() });
            }
        }
        !found.is_empty()
    }

    /// What `image/why/calls` says that `caller` executes or opens.
    fn callees(&mut self, caller: &str) {
        for line in self.lists.calls.iter().filter(|line| line.words[0] == caller) {
            let by = if caller == NOBODY { "" } else { caller };
            if !self.need_pattern(&line.words[1], by, &line.reason) {
                self.stale("calls", &line.words[1]);
            }
        }
    }

    /// What can be read from the file itself, and what the lists say of it.
    fn follow(&mut self, path: &str) -> Result<()> {
        self.callees(path);
        if path.starts_with(MODULES) {
            return Ok(());
        }
        let bytes = self.tree.read(path)?;
        if elf::is_elf(&bytes) {
            return self.follow_elf(path, &elf::parse(&bytes)?);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some(line) = text.strip_prefix("#!") {
            let interpreter = line.split_whitespace().next().unwrap_or_default();
            self.need_or_say(interpreter, path, &format!("the interpreter of {path}"));
        }
        if path.starts_with("usr/lib/udev/rules.d/") {
            let (programs, units) = rules::parse(&text);
            for program in programs {
                // Most rules name programs of packages that need not be there: udev goes on without.
                self.need(&program, path, &format!("executed by a rule of {path}"));
            }
            for unit in units {
                self.unit(&unit, path, &format!("started by a rule of {path}"))?;
            }
        }
        if path.starts_with("usr/share/dbus-1/system-services/") {
            for unit in text.lines().filter_map(|line| line.strip_prefix("SystemdService=")) {
                self.unit(unit, path, &format!("activated over D-Bus by {path}"))?;
            }
        }
        Ok(())
    }

    fn follow_elf(&mut self, path: &str, elf: &elf::Elf) -> Result<()> {
        if let Some(interpreter) = &elf.interpreter {
            self.need_or_say(interpreter, path, &format!("the loader of {path}"));
        }
        for name in &elf.needed {
            if !self.library(name, &elf.runpath, path, &format!("a library of {path}")) {
                self.outcome
                    .problems
                    .insert(format!("{path} needs {name}, which is not in the image: install its package"));
            }
        }
        for note in &elf.dlopen {
            let listed = self.lists.features.iter().find(|line| line.words[0] == note.feature);
            if note.priority == "suggested" && listed.is_none() {
                continue;
            }
            let text = format!("opened by {path} for {}", note.feature);
            let text = listed.map_or(text.clone(), |line| format!("{text}: {}", line.reason));
            if note.sonames.iter().any(|name| self.library(name, &elf.runpath, path, &text)) {
                self.features.insert(note.feature.clone());
            } else if note.priority == "required" {
                self.outcome.problems.insert(format!(
                    "{path} opens {} for {}: install its package",
                    note.sonames.join(" or "),
                    note.feature
                ));
            }
        }
        Ok(())
    }

    fn library(&mut self, name: &str, runpath: &[String], by: &str, text: &str) -> bool {
        // Beside the program, too: scripts that set LD_LIBRARY_PATH do so for a folder that has both.
        let beside = by.rsplit_once('/').map(|(folder, _)| folder);
        let folders = runpath.iter().map(String::as_str).chain(beside).chain(LIBRARY_FOLDERS);
        folders.map(|folder| format!("{folder}/{name}")).any(|path| self.need(&path, by, text))
    }

    fn need_or_say(&mut self, path: &str, by: &str, text: &str) {
        if !self.need(path, by, text) {
            self.outcome.problems.insert(format!("{path}, {text}, is not in the image: install its package"));
        }
    }

    /// Keeps a unit with its drop-ins and links, and what these name; false if there is no such unit.
    fn unit(&mut self, name: &str, by: &str, text: &str) -> Result<bool> {
        if !self.units.insert(name.to_owned()) {
            return Ok(true);
        }
        let names: Vec<String> = [Some(name.to_owned()), units::template(name)].into_iter().flatten().collect();
        let mut found = false;
        let mut sources = Vec::new();
        let paths =
            names.iter().flat_map(|name| UNIT_FOLDERS.map(|folder| format!("{folder}/{name}"))).collect::<Vec<_>>();
        for path in paths {
            let Some(entry) = self.tree.entries.get(&path) else { continue };
            found = true;
            if let Some(followed) = self.tree.follow(&path) {
                self.need(&path, by, text);
                let real = followed.file.rsplit('/').next().unwrap_or_default().to_owned();
                self.unit(&real, &path, &format!("what the unit {name} is a link to"))?;
                sources.push(followed.file);
            } else if let Entry::Link { .. } = entry {
                // masked: a link to /dev/null
                self.outcome
                    .kept
                    .insert(path, Reason { by: by.to_owned(), text: format!("masked; it would be {text}") });
            }
            break;
        }
        for folder in UNIT_FOLDERS {
            for drop_in in names.iter().flat_map(|name| drop_in_folders(name)) {
                let drop_in = format!("{folder}/{drop_in}");
                for file in self
                    .tree
                    .names_in(&drop_in)
                    .filter(|file| file.ends_with(".conf"))
                    .map(ToOwned::to_owned)
                    .collect::<Vec<_>>()
                {
                    let path = format!("{drop_in}/{file}");
                    self.need(&path, by, &format!("a drop-in of the unit {name}"));
                    sources.push(path);
                }
            }
            for (name, kind) in names.iter().flat_map(|name| ["wants", "requires", "upholds"].map(|kind| (name, kind)))
            {
                let pulled = format!("{folder}/{name}.{kind}");
                for unit in self.tree.names_in(&pulled).map(ToOwned::to_owned).collect::<Vec<_>>() {
                    let path = format!("{pulled}/{unit}");
                    let text = format!("started by {name}");
                    if self.need(&path, "", &text) {
                        self.unit(&unit, &path, &text)?;
                    }
                }
            }
        }
        if found {
            self.read_unit(name, &sources)?;
        }
        Ok(found)
    }

    /// Follows what a unit file with its drop-ins names.
    fn read_unit(&mut self, name: &str, sources: &[String]) -> Result<()> {
        let mut text = String::new();
        for source in sources {
            text.push_str(&String::from_utf8_lossy(&self.tree.read(source)?));
            text.push('\n');
        }
        let path = sources.first().map_or("", String::as_str);
        let parsed = units::parse(name, &text);
        for unit in parsed.pulls {
            self.unit(&unit, path, &format!("started by {name}"))?;
        }
        for program in parsed.programs {
            let text = format!("executed by {name}");
            let found = if program.path.starts_with('/') {
                self.need(&program.path, path, &text)
            } else {
                PROGRAM_FOLDERS.iter().any(|folder| self.need(&format!("{folder}/{}", program.path), path, &text))
            };
            if !found && !program.optional && !program.path.contains('%') {
                self.outcome.problems.insert(format!(
                    "{name} executes {}, which is not in the image: install its package, or take the unit out (image/units/remove)",
                    program.path
                ));
            }
        }
        Ok(())
    }
}

/// Folders of drop-ins for a unit: its own, those of its prefixes (`user-.slice.d`), that of its kind (`service.d`).
fn drop_in_folders(name: &str) -> Vec<String> {
    let Some((stem, kind)) = name.rsplit_once('.') else { return Vec::new() };
    let prefixes = stem.match_indices('-').map(|(at, _)| format!("{}.{kind}.d", &stem[..=at]));
    [format!("{name}.d"), format!("{kind}.d")].into_iter().chain(prefixes).collect()
}
