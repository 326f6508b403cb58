//! Volumes whose files the manifest says. They are written once: another content is another pod.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::fs::{Gid, chown};

use super::private_folder;
use crate::pods::model::{Facts, File, FileContent};

/// Everybody in the pod may list the files; what is in them is another matter.
const FOLDER_MODE: u32 = 0o755;

/// What the pod's group may do with a file besides, and with a folder: what is in it is the group's too (as the kubelet does it).
const GROUP_READS: u32 = 0o440;
const OF_THE_GROUP: u32 = 0o2000;

/// Writes the files, unless they are there. They appear at once.
///
/// # Errors
/// If one cannot be written.
pub(super) fn provide(folder: &Path, files: &BTreeMap<String, File>, group: Option<Gid>, facts: &Facts) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        private_folder(parent)?;
    }
    // A volume's name has no dot in it.
    let new = folder.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("removing {}", new.display()))?;
    }
    make_folder(&new, group)?;
    for (path, file) in files {
        let doing = || format!("writing its file {path}");
        let place = new.join(path);
        let above: Vec<&Path> =
            Path::new(path).ancestors().skip(1).filter(|above| above.components().next().is_some()).collect();
        for above in above.into_iter().rev() {
            let folder = new.join(above);
            if !folder.is_dir() {
                make_folder(&folder, group).with_context(doing)?;
            }
        }
        let content = match &file.content {
            FileContent::Bytes(content) => content.bytes().to_vec(),
            FileContent::Text(text) => facts.fill(text).into_bytes(),
        };
        // Nobody gets at it before it has its mode: the folder above is root's alone.
        fs::write(&place, content).with_context(doing)?;
        own(&place, file.mode | group.map_or(0, |_| GROUP_READS), group).with_context(doing)?;
    }
    fs::rename(&new, folder).with_context(|| format!("moving it to {}", folder.display()))
}

fn make_folder(path: &Path, group: Option<Gid>) -> Result<()> {
    fs::create_dir(path).with_context(|| format!("making the folder {}", path.display()))?;
    own(path, FOLDER_MODE | group.map_or(0, |_| OF_THE_GROUP), group)
}

fn own(path: &Path, mode: u32, group: Option<Gid>) -> Result<()> {
    if let Some(group) = group {
        chown(path, None, Some(group)).context("giving it to the pod's group")?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).context("setting its mode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::model::{Content, late};

    #[test]
    fn files_have_their_content_and_modes_and_are_written_once() {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("uid/volumes/v");
        let bytes = |text: &str| FileContent::Bytes(Content::of(text.as_bytes().to_vec()));
        let files = BTreeMap::from([
            ("a/b/token".to_owned(), File { content: bytes("s3cret"), mode: 0o400 }),
            ("uid".to_owned(), File { content: FileContent::Text(late("metadata.uid")), mode: 0o644 }),
        ]);
        let facts = Facts { uid: "u-1".to_owned(), ..Facts::default() };
        let group = Gid::from_raw(rustix::process::getgid().as_raw());
        provide(&folder, &files, Some(group), &facts).unwrap();
        let mode = |path: &str| fs::metadata(folder.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(fs::read_to_string(folder.join("a/b/token")).unwrap(), "s3cret");
        assert_eq!(fs::read_to_string(folder.join("uid")).unwrap(), "u-1");
        assert_eq!((mode("a/b/token"), mode("uid"), mode("a/b"), mode("")), (0o440, 0o644, 0o2755, 0o2755));
        let above = fs::metadata(tree.path().join("uid/volumes")).unwrap().permissions().mode() & 0o777;
        assert_eq!(above, 0o700);
        fs::write(folder.join("uid"), "x").unwrap();
        provide(&folder, &files, None, &facts).unwrap();
        assert_eq!(fs::read_to_string(folder.join("uid")).unwrap(), "x");
    }
}
