//! Layers become files: only those that the signed manifest names, and of no other size.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions, Permissions},
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::{
    failure::{Failure, Kind},
    measure,
    model::{Artifact, in_layer},
};

/// Folders are the manifest's, not the layer's: they are made for the files.
const MODE: u32 = 0o555;

/// Unpacks one layer into `folder`, and adds what it brought to `found`. Reads `layer` to its end.
pub(crate) fn unpack(
    layer: &mut dyn Read,
    artifact: &Artifact,
    folder: &Path,
    found: &mut BTreeSet<String>,
) -> Result<()> {
    let mut content = GzDecoder::new(layer);
    let mut archive = Archive::new(&mut content);
    for entry in archive.entries().context("reading a layer")? {
        let mut entry = entry.context("reading a layer")?;
        let path = entry.path().context("reading a layer's names")?.into_owned();
        let name = in_layer(&path).context("a name in a layer is not in UTF-8")?.to_owned();
        let refused = |why: &str| Failure::new(Kind::NotAnArtifact, format!("a layer has {name:?}, {why}"));
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            continue;
        }
        if kind != EntryType::Regular {
            return Err(refused("which is neither a file nor a folder").into());
        }
        let file = artifact.files.get(&name).ok_or_else(|| refused("which its manifest does not name"))?;
        if entry.size() != file.bytes || !found.insert(name.clone()) {
            return Err(refused("twice, or not of the size that its manifest says").into());
        }
        write(&mut entry, &folder.join(&name)).with_context(|| format!("unpacking {name}"))?;
    }
    // What is behind the archive's end belongs to the blob, too, whose digest is checked as a whole.
    io::copy(&mut content, &mut io::sink()).context("reading a layer to its end")?;
    io::copy(content.get_mut(), &mut io::sink()).context("reading a layer to its end")?;
    Ok(())
}

fn write(content: &mut impl Read, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context("making its folder")?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(())
}

/// All of them are there, and each is sealed.
pub(crate) fn seal(artifact: &Artifact, folder: &Path, found: &BTreeSet<String>) -> Result<()> {
    let missing: Vec<&str> = artifact.files.keys().filter(|name| !found.contains(*name)).map(String::as_str).collect();
    ensure!(missing.is_empty(), Failure::new(Kind::NotAnArtifact, format!("no layer has {}", missing.join(", "))));
    for (name, file) in &artifact.files {
        measure::seal(&folder.join(name), &file.verity)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::model::File;

    fn artifact(files: &[(&str, u64)]) -> Artifact {
        let file = |bytes: u64| File { verity: "ab".repeat(32), bytes };
        Artifact {
            name: "kubelet".to_owned(),
            version: "1".to_owned(),
            files: files.iter().map(|(name, bytes)| ((*name).to_owned(), file(*bytes))).collect(),
            layers: Vec::new(),
        }
    }

    fn layer(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o4777);
            // As it stands: `set_path` refuses what a stranger would write.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        let mut gzip = builder.into_inner().unwrap();
        gzip.flush().unwrap();
        gzip.finish().unwrap()
    }

    type Entries = &'static [(&'static str, EntryType, &'static str)];

    #[test]
    fn only_what_the_manifest_names_is_unpacked() {
        let table: [(Entries, Option<&str>); 7] = [
            (&[("./", EntryType::Directory, ""), ("./bin/kubelet", EntryType::Regular, "abc")], None),
            (&[("bin/other", EntryType::Regular, "abc")], Some("its manifest does not name")),
            (&[("../bin/kubelet", EntryType::Regular, "abc")], Some("its manifest does not name")),
            (&[("bin/kubelet", EntryType::Regular, "abcd")], Some("not of the size")),
            (&[("bin/kubelet", EntryType::Symlink, "")], Some("neither a file nor a folder")),
            (&[("bin/kubelet", EntryType::Char, "")], Some("neither a file nor a folder")),
            (&[("bin/kubelet", EntryType::Regular, "abc"), ("bin/kubelet", EntryType::Regular, "abc")], Some("twice")),
        ];
        for (entries, expected) in table {
            let folder = tempfile::tempdir().unwrap();
            let mut found = BTreeSet::new();
            let layer = layer(entries);
            let done = unpack(&mut &layer[..], &artifact(&[("bin/kubelet", 3)]), folder.path(), &mut found);
            match expected {
                None => {
                    done.unwrap();
                    let file = folder.path().join("bin/kubelet");
                    assert_eq!(fs::read_to_string(&file).unwrap(), "abc");
                    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, MODE);
                }
                Some(expected) => {
                    let error = format!("{:#}", done.unwrap_err());
                    assert!(error.contains(expected), "{error}");
                }
            }
        }
    }

    #[test]
    fn what_is_missing_is_reported() {
        let error = seal(&artifact(&[("kubelet", 3)]), Path::new("/none"), &BTreeSet::new()).unwrap_err();
        assert_eq!(error.to_string(), "no layer has kubelet");
    }

    #[test]
    fn a_layer_is_read_to_its_end() {
        let mut layer = layer(&[("kubelet", EntryType::Regular, "abc")]);
        layer.extend_from_slice(b"behind it");
        let mut rest = &layer[..];
        let folder = tempfile::tempdir().unwrap();
        unpack(&mut rest, &artifact(&[("kubelet", 3)]), folder.path(), &mut BTreeSet::new()).unwrap();
        assert!(rest.is_empty());
    }
}
