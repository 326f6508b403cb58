//! The image's tree as a table: files and links of /usr and /etc, and how a path is followed through links.

use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt, path::Path, path::PathBuf};

use anyhow::{Context, Result, bail};

/// What the tool answers for. The rest of the root are mount points, links into these two, and /var, the first state of a node.
const PARTS: [&str; 2] = ["usr", "etc"];

/// The kernel follows 40 links before it gives up; so do we.
const LINKS: usize = 40;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// Its size.
        bytes: u64,
    },
    /// A symbolic link and its target as it is written.
    Link {
        /// Absolute or relative.
        target: String,
    },
}

/// A path followed to its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Followed {
    /// Links on the way, in order, those of directories too.
    pub links: Vec<String>,
    /// The file at the end.
    pub file: String,
}

/// Paths have no slash in front: `usr/bin/ip`.
#[derive(Debug, Default)]
pub struct Tree {
    root: PathBuf,
    /// Files and links below `usr` and `etc`, and links at the top (`bin`, `lib`, …).
    pub entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Reads the tree below `root`.
    pub fn scan(root: &Path) -> Result<Self> {
        let mut tree = Self { root: root.to_owned(), entries: BTreeMap::new() };
        for part in PARTS {
            tree.scan_folder(part)?;
        }
        for entry in fs::read_dir(root).with_context(|| format!("listing {}", root.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_symlink() {
                let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
                tree.entries.insert(entry.file_name().to_string_lossy().into_owned(), Entry::Link { target });
            }
        }
        Ok(tree)
    }

    fn scan_folder(&mut self, folder: &str) -> Result<()> {
        let full = self.root.join(folder);
        for entry in fs::read_dir(&full).with_context(|| format!("listing {}", full.display()))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { bail!("a name in {} is not UTF-8", full.display()) };
            let path = format!("{folder}/{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.scan_folder(&path)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
                self.entries.insert(path, Entry::Link { target });
            } else {
                self.entries.insert(path, Entry::File { bytes: entry.metadata()?.size() });
            }
        }
        Ok(())
    }

    /// The file that `path` leads to; `None` if it leads nowhere, to a folder, or out of the image (/run, /dev/null).
    pub fn follow(&self, path: &str) -> Option<Followed> {
        let mut links = Vec::new();
        let mut path = normal("", path);
        'again: for _ in 0..LINKS {
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            for end in ends.collect::<Vec<_>>() {
                let (head, rest) = path.split_at(end);
                if let Some(Entry::Link { target }) = self.entries.get(head) {
                    links.push(head.to_owned());
                    let folder = head.rsplit_once('/').map_or("", |(folder, _)| folder);
                    path = normal(folder, &format!("{target}{rest}"));
                    continue 'again;
                }
            }
            return matches!(self.entries.get(&path), Some(Entry::File { .. }))
                .then_some(Followed { links, file: path });
        }
        None
    }

    /// Names of files and links directly in `folder`.
    pub fn names_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let from = format!("{folder}/");
        self.entries
            .range(from.clone()..)
            .map_while(move |(path, _)| path.strip_prefix(&from))
            .filter(|name| !name.contains('/'))
    }

    /// What is in the file; empty if the table has it and the disk has not (tests).
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let full = self.root.join(path);
        match fs::read(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.with_context(|| format!("reading {}", full.display())),
        }
    }

    /// Deletes `path`, and its folder if that made it empty, up to the parts themselves.
    pub fn remove(&self, path: &str) -> Result<()> {
        fs::remove_file(self.root.join(path)).with_context(|| format!("removing {path}"))?;
        let mut folder = path;
        while let Some((up, _)) = folder.rsplit_once('/') {
            if PARTS.contains(&up) || fs::remove_dir(self.root.join(up)).is_err() {
                break; // a folder that still holds something cannot be removed: that is the check
            }
            folder = up;
        }
        Ok(())
    }
}

/// `path`, seen from `folder`, without `.`, `..` and the slash in front.
fn normal(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(target: &str) -> Entry {
        Entry::Link { target: target.to_owned() }
    }

    fn tree() -> Tree {
        let entries = [
            ("bin", link("usr/bin")),
            ("usr/bin/ip", Entry::File { bytes: 1 }),
            ("usr/sbin/ip", link("../bin/ip")),
            ("usr/bin/loop", link("loop")),
            ("etc/resolv.conf", link("/run/systemd/resolve/resolv.conf")),
            ("usr/bin/sub/tool", Entry::File { bytes: 2 }),
        ];
        Tree { root: PathBuf::new(), entries: entries.map(|(path, entry)| (path.to_owned(), entry)).into() }
    }

    #[test]
    fn paths_are_followed_through_links_of_folders_and_files() {
        let file = |links: &[&str], file: &str| {
            Some(Followed { links: links.iter().map(ToString::to_string).collect(), file: file.to_owned() })
        };
        let cases = [
            ("/usr/bin/ip", file(&[], "usr/bin/ip")),
            ("/bin/ip", file(&["bin"], "usr/bin/ip")),
            ("usr/sbin/../sbin/ip", file(&["usr/sbin/ip"], "usr/bin/ip")),
            ("/usr/bin/loop", None),
            ("/etc/resolv.conf", None),
            ("/usr/bin", None),
            ("/usr/bin/none", None),
        ];
        for (path, expected) in cases {
            assert_eq!(tree().follow(path), expected, "{path}");
        }
    }

    #[test]
    fn a_folder_lists_what_lies_directly_in_it() {
        assert_eq!(tree().names_in("usr/bin").collect::<Vec<_>>(), ["ip", "loop"]);
    }
}
