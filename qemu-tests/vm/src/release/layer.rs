//! One ordinary layer: a gzipped tar of files, links and whiteouts, the same bytes for the same content.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    File { mode: u32, content: Vec<u8> },
    Link { target: String },
}

/// A layer in the making: paths without a slash in front.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    things: BTreeMap<String, Thing>,
}

impl Layer {
    pub(super) fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.things.insert(path.to_owned(), Thing::File { mode, content });
    }

    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.things.insert(path.to_owned(), Thing::Link { target: target.to_owned() });
    }

    /// `FOLDER/.wh.NAME` takes NAME of the layers below away.
    pub(super) fn whiteout(&mut self, path: &str) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.file(&format!("{folder}/.wh.{name}"), 0o644, Vec::new());
    }

    /// The layer, and the same compressed.
    pub(super) fn pack(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut tar = Builder::new(Vec::new());
        for folder in self.folders() {
            append(&mut tar, EntryType::Directory, &folder, 0o755, &[])?;
        }
        for (path, thing) in &self.things {
            match thing {
                Thing::File { mode, content } => append(&mut tar, EntryType::Regular, path, *mode, content)?,
                Thing::Link { target } => {
                    let mut header = header(EntryType::Symlink, 0o777, 0);
                    tar.append_link(&mut header, path, target).with_context(|| format!("adding {path}"))?;
                }
            }
        }
        let tar = tar.into_inner().context("ending the archive")?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&tar).context("compressing")?;
        Ok((tar, gzip.finish().context("compressing")?))
    }

    /// The folders on the way to each path, parents first.
    fn folders(&self) -> BTreeSet<String> {
        let above = |path: &String| Path::new(path).ancestors().skip(1).map(|one| one.display().to_string()).collect();
        self.things.keys().flat_map(|path| -> Vec<String> { above(path) }).filter(|one| !one.is_empty()).collect()
    }
}

fn append(tar: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = header(kind, mode, content.len() as u64);
    tar.append_data(&mut header, path, content).with_context(|| format!("adding {path}"))
}

/// root's, from 1970: as ostree has all files.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_layer_has_its_folders_first_and_is_the_same_each_time() {
        let mut layer = Layer::default();
        layer.file("usr/lib/x", 0o644, b"seven".to_vec());
        layer.link("usr/bin/y", "../lib/x");
        layer.whiteout("usr/lib/gone");
        let (tar, gzip) = layer.pack().unwrap();
        assert_eq!(layer.pack().unwrap().1, gzip);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, tar);
        let mut archive = tar::Archive::new(&tar[..]);
        let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        let want = ["usr", "usr/bin", "usr/lib", "usr/bin/y", "usr/lib/.wh.gone", "usr/lib/x"];
        assert_eq!(names.map(|name| name.trim_end_matches('/').to_owned()).collect::<Vec<_>>(), want);
    }
}
