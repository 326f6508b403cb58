//! ROOT: its deployments with all their objects, and the ostree repository.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ext4_view::Ext4;

use super::super::disk::{Region, Scratch};
use super::ext4::{Fsck, Replayed};
use super::sums::Sums;
use crate::tools::Tools;

const DEPLOYMENTS: &str = "/ostree/deploy/ballast/deploy";
const OBJECTS: &str = "/ostree/repo/objects";
const REFS: &str = "/ostree/repo/refs";
const CONFIG: &str = "/ostree/repo/config";
/// The composefs image in a deployment's folder.
const IMAGE: &str = ".ostree.cfs";
/// Of what is wrong with a deployment, so much is reported.
const MAX_REPORTED: usize = 3;

/// A deployment, as /init needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// The fs-verity digest of its composefs image
    pub composefs: String,
    /// What is wrong with it
    pub problems: Vec<String>,
    /// How many objects its image names
    pub objects: usize,
}

/// All that is known of ROOT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of the file system itself
    pub fsck: Fsck,
    /// By their names, COMMIT.SERIAL
    pub deployments: BTreeMap<String, Deployment>,
    /// What is wrong with the repository
    pub repository: Vec<String>,
}

/// How long each object of a repository is, by its path below objects/.
pub type Lengths = BTreeMap<String, u64>;

/// SHA-256 of the content of objects.
pub type Contents = BTreeMap<String, String>;

/// What states are held against.
pub(super) struct Known<'a> {
    /// Objects that were there before anything was recorded: their content is not read again
    pub(super) before: &'a Lengths,
    /// Those that are there behind the recording
    pub(super) after: &'a Contents,
    /// Digests that were made
    pub(super) sums: &'a Sums,
}

/// Reads it.
pub(super) fn read(tools: &Tools, scratch: &Scratch, known: &Known<'_>) -> Result<Facts> {
    let (replayed, fsck) = Replayed::of(tools, scratch, Region::Root)?;
    let mut facts = Facts { fsck, ..Facts::default() };
    // What cannot be read is damaged, whatever e2fsck says.
    if let Err(error) = replayed.files().and_then(|files| collect(&replayed, &files, known, &mut facts)) {
        facts.fsck.damage = facts.fsck.damage.or(Some(format!("{error:#}")));
    }
    replayed.put_back()?;
    Ok(facts)
}

fn collect(replayed: &Replayed<'_>, files: &Ext4, known: &Known<'_>, facts: &mut Facts) -> Result<()> {
    // Listed once: to look each object up by its path takes most of the time that a state has.
    let there: Lengths = list(files)?.into_iter().collect();
    for name in deployments(files)? {
        let unreadable = |error| Deployment { problems: vec![format!("{error:#}")], ..Deployment::default() };
        let deployment = deployment(replayed, files, &name, &there, known).unwrap_or_else(unreadable);
        facts.deployments.insert(name, deployment);
    }
    facts.repository = repository(files, there, known)?;
    Ok(())
}

/// The objects of the repository as it is now.
pub(super) fn lengths(tools: &Tools, scratch: &Scratch) -> Result<Lengths> {
    let (replayed, _) = Replayed::of(tools, scratch, Region::Root)?;
    let found = list(&replayed.files()?)?;
    replayed.put_back()?;
    Ok(found.into_iter().collect())
}

/// The contents of those that were not there before.
pub(super) fn contents(tools: &Tools, scratch: &Scratch, before: &Lengths, sums: &Sums) -> Result<Contents> {
    let (replayed, _) = Replayed::of(tools, scratch, Region::Root)?;
    let files = replayed.files()?;
    let mut found = Contents::new();
    for (name, bytes) in list(&files)? {
        // A link has no content of its own.
        if before.get(&name) != Some(&bytes)
            && let Ok(content) = files.read(format!("{OBJECTS}/{name}").as_str())
        {
            found.insert(name.clone(), hex::encode(sums.sha256(&name, content)));
        }
    }
    replayed.put_back()?;
    Ok(found)
}

fn deployments(files: &Ext4) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in files.read_dir(DEPLOYMENTS).with_context(|| format!("listing {DEPLOYMENTS}"))? {
        let entry = entry.with_context(|| format!("listing {DEPLOYMENTS}"))?;
        let name = String::from_utf8_lossy(entry.file_name().as_ref()).into_owned();
        let is_name =
            name.split_once('.').is_some_and(|(commit, serial)| is_checksum(commit) && serial.parse::<u32>().is_ok());
        if is_name {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_checksum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn deployment(
    replayed: &Replayed<'_>,
    files: &Ext4,
    name: &str,
    there: &Lengths,
    known: &Known<'_>,
) -> Result<Deployment> {
    let place = format!("{DEPLOYMENTS}/{name}/{IMAGE}");
    let image = files.read(place.as_str()).with_context(|| format!("reading {place}"))?;
    let named = named_objects(&image);
    let mut found = Deployment {
        composefs: hex::encode(known.sums.verity(&place, image)),
        objects: named.len(),
        ..Deployment::default()
    };
    if named.is_empty() {
        found.problems.push(format!("{place} names no objects"));
    }
    let mut sealed = vec![place];
    for (object, digest) in &named {
        let place = format!("{OBJECTS}/{object}");
        match there.get(object) {
            None => found.problems.push(format!("its object {object} is not there")),
            bytes if known.before.get(object) == bytes => {}
            Some(_) => {
                let content = files.read(place.as_str()).with_context(|| format!("reading {place}"))?;
                if known.sums.verity(object, content) != *digest {
                    found.problems.push(format!("its object {object} has another content than its image says"));
                }
                sealed.push(place);
            }
        }
    }
    for (place, has_verity) in sealed.iter().zip(replayed.verity(&sealed)?) {
        if has_verity != Some(true) {
            found.problems.push(format!("{place} has no fs-verity"));
        }
    }
    let commit = name.split('.').next().unwrap_or(name);
    if !files.exists(object_path(commit, "commit").as_str())? {
        found.problems.push("its commit is not in the repository".to_owned());
    }
    let more = found.problems.len().saturating_sub(MAX_REPORTED);
    found.problems.truncate(MAX_REPORTED);
    if more > 0 {
        found.problems.push(format!("and {more} more"));
    }
    Ok(found)
}

/// The objects that a composefs image names, and the digest that it has of each: overlayfs' attributes `metacopy` (four bytes, then the
/// digest) and behind it `redirect`, as they lie in the EROFS image.
fn named_objects(image: &[u8]) -> BTreeMap<String, [u8; 32]> {
    const METACOPY: &[u8] = b"overlay.metacopy";
    const REDIRECT: &[u8] = b"overlay.redirect/";
    const PATH: usize = "ab/".len() + 62 + ".file".len();
    let mut found = BTreeMap::new();
    let mut at = 0;
    while let Some(next) = find(&image[at..], METACOPY) {
        at += next + METACOPY.len();
        let rest = &image[at..];
        let digest = rest.get(4..36).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let path = rest.get(..36 + 32).and_then(|near| find(near, REDIRECT)).map(|found| found + REDIRECT.len());
        let path =
            path.and_then(|path| rest.get(path..path + PATH)).map(|path| String::from_utf8_lossy(path).into_owned());
        if let (Some(digest), Some(path)) = (digest, path) {
            found.insert(path, digest);
        }
    }
    found
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn object_path(checksum: &str, kind: &str) -> String {
    let (folder, rest) = checksum.split_at_checked(2).unwrap_or((checksum, ""));
    format!("{OBJECTS}/{folder}/{rest}.{kind}")
}

/// The objects, by their paths below objects/, with their lengths.
fn list(files: &Ext4) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for folder in (0..=255).map(|byte| format!("{byte:02x}")) {
        let place = format!("{OBJECTS}/{folder}");
        if !files.exists(place.as_str())? {
            continue;
        }
        for entry in files.read_dir(place.as_str()).with_context(|| format!("listing {place}"))? {
            let entry = entry.with_context(|| format!("listing {place}"))?;
            let name = String::from_utf8_lossy(entry.file_name().as_ref()).into_owned();
            if !matches!(name.as_str(), "." | "..") {
                found.push((format!("{folder}/{name}"), entry.metadata()?.len()));
            }
        }
    }
    Ok(found)
}

/// What is wrong with the repository: an object under a name that is not its own would never be fetched again.
fn repository(files: &Ext4, there: Lengths, known: &Known<'_>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    if files.read(CONFIG).map_or(true, |config| config.is_empty()) {
        problems.push(format!("{CONFIG} is empty or missing"));
    }
    for (name, bytes) in there {
        if known.before.get(&name) == Some(&bytes) {
            continue;
        }
        let (checksum, kind) = name.rsplit_once('.').unwrap_or((&name, ""));
        let content = match files.read(format!("{OBJECTS}/{name}").as_str()) {
            Ok(content) => content,
            // A link, or gone with a folder that is none.
            Err(_) => continue,
        };
        let sum = hex::encode(known.sums.sha256(&name, content));
        let is_right = match kind {
            "commit" | "dirtree" | "dirmeta" => sum == checksum.replace('/', ""),
            _ => known.after.get(&name).is_none_or(|later| *later == sum),
        };
        if !is_right {
            problems.push(format!("the object {name} has another content than its name says"));
        }
    }
    refs(files, REFS, &mut problems)?;
    Ok(problems)
}

fn refs(files: &Ext4, folder: &str, problems: &mut Vec<String>) -> Result<()> {
    for entry in files.read_dir(folder).with_context(|| format!("listing {folder}"))? {
        let entry = entry.with_context(|| format!("listing {folder}"))?;
        let name = String::from_utf8_lossy(entry.file_name().as_ref()).into_owned();
        let place = format!("{folder}/{name}");
        if matches!(name.as_str(), "." | "..") {
            continue;
        }
        if entry.metadata()?.is_dir() {
            refs(files, &place, problems)?;
            continue;
        }
        let text = files.read(place.as_str()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        if !is_checksum(&text) || !files.exists(object_path(&text, "commit").as_str())? {
            problems.push(format!("{place} names no commit that is there: {text:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_names_objects_and_their_digests() {
        let object = |byte: char| format!("ab/{}.file", byte.to_string().repeat(62));
        let mut image = b"rubbish overlay.metacopy cut".to_vec();
        for byte in ['1', '2'] {
            image.extend_from_slice(b"\0\x10\x09trusted.overlay.metacopy\0\x24\0\x01");
            image.extend_from_slice(&[byte as u8; 32]);
            image.extend_from_slice(b"\0\0\x10\x04\x48\0overlay.redirect/");
            image.extend_from_slice(object(byte).as_bytes());
        }
        let want = ['1', '2'].map(|byte| (object(byte), [byte as u8; 32]));
        assert_eq!(named_objects(&image), BTreeMap::from(want));
    }
}
