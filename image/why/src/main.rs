//! `why trim` takes out of the image's tree what has no reason; `why file` says the reason of one file.

use std::{collections::BTreeSet, env, fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use ballast_why::{
    closure,
    lists::Lists,
    owners::Owners,
    report::{self, Row},
    tree::{Entry, Tree},
};

const USAGE: &str = "usage: why trim ROOT LISTS OUT [NAME=FOLDER…]   (takes out what has no reason; writes OUT/files.tsv, removed.tsv, packages)
       why file OUT PATH                       (why is it there?)";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["trim", root, lists, out, ref folders @ ..] => {
            trim(Path::new(root), Path::new(lists), Path::new(out), folders)
        }
        ["file", out, path] => file(Path::new(out), path),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("why: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `folders` are laid over the packages: `image/root=/path`, whose files must all have a reason.
fn trim(root: &Path, lists: &Path, out: &Path, folders: &[&str]) -> Result<()> {
    let folders =
        folders.iter().map(|word| word.split_once('=').map(|(name, folder)| (name.to_owned(), folder.to_owned())));
    let folders: Vec<(String, String)> = folders.collect::<Option<_>>().context(USAGE)?;
    let owners = Owners::load(&root.join("var/lib/dpkg/info"), &folders)?;
    let tree = Tree::scan(root)?;
    let mut outcome = closure::run(&tree, &Lists::load(lists)?)?;

    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    for (path, entry) in tree.entries.iter().filter(|(path, _)| path.contains('/')) {
        let bytes = if let Entry::File { bytes } = entry { *bytes } else { 0 };
        let source = owners.of(path).to_owned();
        let reason = outcome.kept.get(path).cloned();
        if reason.is_none() && folders.iter().any(|(name, _)| *name == source) {
            outcome.problems.insert(format!("{source}/{path}: nothing needs it: say in image/why/data who reads it, or in image/why/calls who executes it"));
        }
        let row = Row { path: path.clone(), bytes, source, reason };
        if row.reason.is_some() { kept.push(row) } else { removed.push(row) }
    }
    fs::write(out.join("files.tsv"), report::table(&kept)).context("writing files.tsv")?;
    fs::write(out.join("removed.tsv"), report::table(&removed)).context("writing removed.tsv")?;
    let packages: BTreeSet<&str> = kept.iter().filter_map(|row| row.source.strip_prefix("package ")).collect();
    fs::write(out.join("packages"), packages.into_iter().map(|name| format!("{name}\n")).collect::<String>())
        .context("writing packages")?;
    if !outcome.problems.is_empty() {
        bail!("the image does not hold together:\n  {}", outcome.problems.into_iter().collect::<Vec<_>>().join("\n  "));
    }
    for row in &removed {
        tree.remove(&row.path)?;
    }
    let bytes = |rows: &[Row]| rows.iter().map(|row| row.bytes).sum::<u64>() / 1_000_000;
    eprintln!(
        "why: {} files have a reason ({} MB), {} have none and are gone ({} MB)",
        kept.len(),
        bytes(&kept),
        removed.len(),
        bytes(&removed)
    );
    Ok(())
}

fn file(out: &Path, path: &str) -> Result<()> {
    let read = |name: &str| {
        let path = out.join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}: run make image first", path.display()))
    };
    let mut rows = report::parse(&read("files.tsv")?)?;
    rows.extend(report::parse(&read("removed.tsv")?)?);
    let asked = path.trim_start_matches('/');
    let asked = ["bin/", "sbin/", "lib/", "lib64/"]
        .iter()
        .find(|folder| asked.starts_with(**folder))
        .map_or(asked.to_owned(), |_| format!("usr/{asked}"));
    match report::sentence(&rows, &asked) {
        Some(sentence) => println!("{sentence}"),
        None => bail!("/{asked} was never in the image; target/image/files.tsv lists what is"),
    }
    Ok(())
}
