//! The commit: its objects, where in the tree each content object lies, and what the image's labels say of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result, bail};
use ostree_ext::{
    gio, glib,
    ostree::{self, Repo, RepoFile},
    prelude::{Cast, FileEnumeratorExt, FileExt},
};

/// Nothing here is cancelled.
pub(crate) const NEVER: Option<&gio::Cancellable> = None;

/// A commit as the image needs it.
pub(crate) struct Tree {
    pub(crate) commit: String,
    pub(crate) version: String,
    /// Content object → all paths at which it lies, without the slash in front.
    pub(crate) contents: BTreeMap<String, BTreeSet<String>>,
    /// Objects of all kinds.
    pub(crate) objects: usize,
    /// Bytes of all content objects: what the release takes on ROOT, but for rounding.
    pub(crate) installed_bytes: u64,
    /// Kernel and initramfs: what it takes on the ESP.
    pub(crate) boot_bytes: u64,
}

pub(crate) fn open(folder: &Path) -> Result<Repo> {
    let repo = Repo::new_for_path(folder);
    repo.open(NEVER).with_context(|| format!("opening the repository {}", folder.display()))?;
    Ok(repo)
}

pub(crate) fn load(repo: &Repo, revision: &str) -> Result<Tree> {
    let doing = || format!("reading the commit {revision}");
    let (root, commit) = repo.read_commit(revision, NEVER).with_context(doing)?;
    let (variant, _) = repo.load_commit(&commit).with_context(doing)?;
    let version = glib::VariantDict::new(Some(&variant.child_value(0))).lookup::<String>("version").ok().flatten();
    let mut tree = Tree {
        objects: repo.traverse_commit(&commit, 0, NEVER).with_context(doing)?.len(),
        commit: commit.into(),
        version: version.context("the commit has no version")?,
        contents: BTreeMap::new(),
        installed_bytes: 0,
        boot_bytes: 0,
    };
    tree.walk(&root, "").with_context(doing)?;
    Ok(tree)
}

impl Tree {
    fn walk(&mut self, folder: &gio::File, prefix: &str) -> Result<()> {
        let what = "standard::name,standard::type,standard::size";
        let entries = folder.enumerate_children(what, gio::FileQueryInfoFlags::NOFOLLOW_SYMLINKS, NEVER)?;
        while let Some(about) = entries.next_file(NEVER)? {
            let name = about.name();
            let Some(name) = name.to_str() else { bail!("a name in {prefix:?} is not UTF-8") };
            let path = format!("{prefix}{name}");
            let child = folder.child(name);
            if about.file_type() == gio::FileType::Directory {
                self.walk(&child, &format!("{path}/"))?;
                continue;
            }
            let file = child.downcast_ref::<RepoFile>().context("the tree is no commit's")?;
            file.ensure_resolved()?;
            let bytes = u64::try_from(about.size()).unwrap_or_default();
            self.add(file.checksum().into(), path, bytes);
        }
        Ok(())
    }

    fn add(&mut self, checksum: String, path: String, bytes: u64) {
        if path.starts_with("usr/lib/modules/")
            && ["/vmlinuz", "/initramfs.img"].iter().any(|name| path.ends_with(name))
        {
            self.boot_bytes += bytes;
        }
        let paths = self.contents.entry(checksum).or_default();
        if paths.is_empty() {
            self.installed_bytes += bytes;
        }
        paths.insert(path);
    }
}

/// Whether this is the libostree that the image has, or a newer one: the one that computes the same.
pub(crate) fn check_library() -> Result<()> {
    // Composefs digests came with 2023.4; an older library would write commits that no node could use.
    if !ostree::check_version(2024, 3) {
        bail!("libostree is older than 2024.3; run this in the tools tree");
    }
    Ok(())
}
