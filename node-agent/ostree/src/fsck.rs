//! `fsck`: each object of the repository against its checksum, and whether all are there that releases need.

use std::{collections::HashSet, path::Path};

use anyhow::{Context, Result, bail};
use ballast_types::worker::Checked;
use ostree_ext::ostree::{ObjectName, ObjectType, Repo, ffi::OSTREE_REPO_LIST_OBJECTS_ALL};

use crate::{
    findings::Findings,
    image::Image,
    objects,
    options::Proxy,
    repair,
    repository::{self, NEVER},
    verity,
};

pub(crate) async fn fsck(root: &Path, image: Option<&Image>, options: &Proxy) -> Result<Checked> {
    let Some(image) = image else {
        let findings = check(root, &repository::open(root)?.repo())?;
        return Ok(findings.reported(0));
    };
    if image.digest.is_none() {
        bail!("repairing from {image}: expected IMAGE@sha256:HEX, as for fetch");
    }
    let sysroot = repository::open_locked(root).await?;
    let repo = sysroot.repo();
    let before = check(root, &repo)?;
    if before.len() == 0 {
        return Ok(before.reported(0));
    }
    if !before.bad.is_empty() {
        let doing = || format!("repairing from {image}");
        repair::fetch_anew(root, &repo, image, options, &before).await.with_context(doing)?;
    }
    for (_, path) in objects::contents(root)? {
        if !verity::ensure(&path)? {
            break;
        }
    }
    let after = check(root, &repo)?;
    let repaired = before.len().saturating_sub(after.len());
    Ok(after.reported(repaired))
}

fn check(root: &Path, repo: &Repo) -> Result<Findings> {
    let listed = repo.list_objects(OSTREE_REPO_LIST_OBJECTS_ALL, NEVER).context("listing the objects")?;
    let present: HashSet<ObjectName> = listed.into_keys().collect();
    let mut findings = Findings { objects: present.len(), ..Findings::default() };
    for name in &present {
        if let Err(error) = repo.fsck_object(name.object_type(), name.checksum(), NEVER) {
            findings.add(copy(name), true, error.to_string());
        }
    }
    for (what, commit) in repo.list_refs(None, NEVER).context("listing what releases need")? {
        match repo.traverse_commit(&commit, 0, NEVER) {
            Ok(needed) => needed.iter().filter(|name| !present.contains(name)).for_each(|name| {
                findings.add(copy(name), false, format!("is missing, needed by {what}"));
            }),
            Err(error) => {
                let why = format!("what it names cannot be read: {error}, needed by {what}");
                findings.add(ObjectName::new(commit.as_str(), ObjectType::Commit), false, why);
            }
        }
    }
    findings.unsealed = unsealed(root)?;
    Ok(findings)
}

/// Objects without fs-verity, where others have it: a file system that has it for none cannot.
fn unsealed(root: &Path) -> Result<Vec<String>> {
    let contents = objects::contents(root)?;
    let mut off = Vec::new();
    for (checksum, path) in &contents {
        // What cannot be opened has been found before.
        if !verity::is_on(path).unwrap_or(true) {
            off.push(format!("{checksum}.file"));
        }
    }
    Ok(if off.len() == contents.len() { Vec::new() } else { off })
}

fn copy(name: &ObjectName) -> ObjectName {
    ObjectName::new(name.checksum(), name.object_type())
}
