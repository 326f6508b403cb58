//! Settings from files, for the boot and for whoever writes them: `check`, `show`, `render`.
//!
//! `render` writes what is different under ROOT, each file by rename, and prints what that needs. It removes nothing: /etc is new on
//! each boot.

use std::{
    env, fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::ExitCode,
};

use ballast_settings::{
    MAX_BYTES, Rank, Secrets, Source,
    render::{Change, Content, Rendered, needs, render},
    settings, write,
};

const USAGE: &str = "usage: ballast-settings check|show SOURCE…
       ballast-settings render ROOT SOURCE…
SOURCE is a file, or RANK=FILE with RANK one of node, credential, volume, esp, metadata, image.
A source that is not there says nothing.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["check", sources @ ..] if !sources.is_empty() => check(sources),
        ["show", sources @ ..] if !sources.is_empty() => show(sources),
        ["render", root, sources @ ..] if !sources.is_empty() => render_to(Path::new(root), sources),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ballast-settings: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all of the sources applies; what does not is printed.
fn check(arguments: &[&str]) -> io::Result<bool> {
    let files = read(arguments)?;
    let (_, problems) = settings(&sources(&files));
    problems.iter().for_each(|problem| println!("{problem}"));
    Ok(problems.is_empty())
}

/// Prints what applies, without secrets.
fn show(arguments: &[&str]) -> io::Result<bool> {
    let files = read(arguments)?;
    let (found, problems) = settings(&sources(&files));
    print!("{}", write(&found, Secrets::Masked));
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    Ok(true)
}

/// Writes the files. A problem in a source is told, and keeps nothing from being written.
fn render_to(root: &Path, arguments: &[&str]) -> io::Result<bool> {
    let files = read(arguments)?;
    let (found, problems) = settings(&sources(&files));
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    let rendered = render(&found);
    let mut changes = Vec::new();
    for file in &rendered {
        let path = root.join(file.path.trim_start_matches('/'));
        if !is_there(&path, file) {
            put(&path, file)
                .map_err(|error| io::Error::new(error.kind(), format!("writing {}: {error}", path.display())))?;
            changes.push(Change::Changed(file));
        }
    }
    let needs = needs(&changes);
    println!("{} files changed; needs {needs:?}", changes.len());
    Ok(true)
}

/// Whether the file is as it shall be.
fn is_there(path: &Path, file: &Rendered) -> bool {
    match &file.content {
        Content::Link(target) => fs::read_link(path).is_ok_and(|found| found == Path::new(target)),
        Content::Bytes(bytes) => {
            let mode =
                fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.permissions().mode());
            mode.is_some_and(|mode| mode & 0o7777 == file.mode) && fs::read(path).is_ok_and(|found| found == *bytes)
        }
    }
}

/// Nobody ever sees half of a file, or one that is readable for a moment. It lies on a tmpfs: nothing is synced.
fn put(path: &Path, file: &Rendered) -> io::Result<()> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match &file.content {
        Content::Link(target) => symlink(target, &new)?,
        Content::Bytes(bytes) => {
            let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(file.mode).open(&new)?;
            opened.write_all(bytes)?;
            // Whatever the umask is.
            opened.set_permissions(fs::Permissions::from_mode(file.mode))?;
        }
    }
    fs::rename(&new, path)
}

/// A source's name, rank and bytes.
type File = (String, Rank, Vec<u8>);

fn read(arguments: &[&str]) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for argument in arguments {
        let ranked = argument.split_once('=').and_then(|(rank, path)| Some((self::rank(rank)?, path)));
        let (rank, path) = ranked.unwrap_or((Rank::Node, argument));
        let mut bytes = Vec::new();
        match fs::File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(io::Error::new(error.kind(), format!("reading {path}: {error}"))),
            Ok(file) => io::copy(&mut io::Read::take(file, MAX_BYTES as u64 + 1), &mut bytes)?,
        };
        files.push((path.to_owned(), rank, bytes));
    }
    Ok(files)
}

fn sources(files: &[File]) -> Vec<Source<'_>> {
    files.iter().map(|(name, rank, bytes)| Source::new(name, *rank, bytes)).collect()
}

fn rank(name: &str) -> Option<Rank> {
    match name {
        "node" => Some(Rank::Node),
        "credential" => Some(Rank::Credential),
        "volume" => Some(Rank::Volume),
        "esp" => Some(Rank::Esp),
        "metadata" => Some(Rank::Metadata),
        "image" => Some(Rank::Image),
        _ => None,
    }
}
