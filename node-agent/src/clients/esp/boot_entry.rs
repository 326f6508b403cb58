//! Boot entries as they lie on the partition.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use ballast_types::BootEntryName;

/// An entry is a few hundred bytes; a longer one is not ours, and not read.
const MAX_BYTES: u64 = 64 << 10;

/// A boot entry, reduced to what is used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file's name.
    pub name: BootEntryName,
    /// Its `version`.
    pub version: String,
    /// Its `linux`: the kernel.
    pub linux: String,
    /// Its `initrd`: the initramfs.
    pub initrd: String,
    /// Its `options`: the kernel's command line.
    pub options: String,
}

/// The entries in `folder`, which is /efi/loader/entries; none if it is not there. A file that is no text, too long to be an entry, or that
/// cannot be read, as after a power cut, is not one: the others boot all the same.
///
/// # Errors
/// If the folder cannot be listed.
pub fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let doing = || format!("reading {}", folder.display());
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(doing)?,
    };
    let mut entries = Vec::new();
    for file in files {
        let path = file.with_context(doing)?.path();
        let Ok(name) = path.file_name().unwrap_or_default().to_string_lossy().parse() else { continue };
        let is_entry = |found: fs::Metadata| found.is_file() && found.len() <= MAX_BYTES;
        if !fs::metadata(&path).is_ok_and(is_entry) {
            continue;
        }
        let read = fs::read(&path).with_context(|| format!("reading {}", path.display()));
        if let Ok(text) = read.and_then(|bytes| Ok(String::from_utf8(bytes)?)).map_err(note) {
            entries.push(parse(name, &text));
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// On each read: at a level that nobody keeps unless asked.
fn note(error: anyhow::Error) {
    log::debug!("{error:#}");
}

fn parse(name: BootEntryName, text: &str) -> Entry {
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
        let found: Vec<&str> = lines.filter(|(word, _)| *word == key).map(|(_, value)| value.trim()).collect();
        found.join(" ")
    };
    Entry { name, version: value("version"), linux: value("linux"), initrd: value("initrd"), options: value("options") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_keys_and_values() {
        let text =
            "title Ballast\nversion\t20261121.1\n# options no\nlinux /a\ninitrd /b\noptions quiet\noptions  a=b c\n";
        let entry = parse("x+1.conf".parse().unwrap(), text);
        assert_eq!((entry.version.as_str(), entry.options.as_str()), ("20261121.1", "quiet a=b c"));
        assert_eq!((entry.linux.as_str(), entry.initrd.as_str()), ("/a", "/b"));
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(entries(&folder.path().join("none")).unwrap(), []);
        fs::write(folder.path().join("a.conf"), [0xff, 0xfe, 0]).unwrap();
        fs::write(folder.path().join("b.conf"), vec![b'x'; 70_000]).unwrap();
        fs::create_dir(folder.path().join("e.conf")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("f.conf")).unwrap();
        fs::write(folder.path().join("c.txt"), "version 1\n").unwrap();
        fs::write(folder.path().join("d.conf"), "version 1\n").unwrap();
        let found = entries(folder.path()).unwrap();
        assert_eq!(found.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["d.conf"]);
    }
}
