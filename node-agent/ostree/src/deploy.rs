//! `deploy`: a fetched release becomes a deployment, ready to be named by a boot entry.

use std::path::Path;

use anyhow::{Context, Result};
use ballast_types::worker::{Deployed, Release};
use ostree_ext::{
    bootabletree, gio,
    ostree::{Deployment, Repo, RepoFile, Sysroot, SysrootWriteDeploymentsOpts},
    prelude::{Cast, FileExt, InputStreamExtManual},
};

use crate::{
    failure::{Failure, Kind},
    fetch::commit,
    image::Digest,
    objects,
    origin::{Origin, unverified},
    release,
    repository::{self, NEVER, Stored},
    verity,
};

/// libostree's name for the one OS of the system: its folder is below /ostree/deploy.
const OS_NAME: &str = "ballast";

/// The kernel's command line in the release, without what names the deployment.
const CMDLINE: &str = "usr/lib/ballast/cmdline";

/// A command line is some hundred bytes; the kernel takes 2 KiB (COMMAND_LINE_SIZE on x86).
const MAX_CMDLINE_BYTES: usize = 2048;

pub(crate) async fn deploy(root: &Path, digest: &Digest) -> Result<Deployed> {
    let doing = || format!("deploying {digest}");
    let sysroot = repository::open_locked(root).await?;
    let repo = sysroot.repo();
    let found = repository::find(&repo, digest).with_context(doing)?;
    let absent =
        || Failure::new(Kind::NotFound, format!("the release {digest} is not here, expected it to be fetched"));
    let (stored, state) = found.ok_or_else(absent).with_context(doing)?;
    let release = release::read(&state.configuration).with_context(doing)?;
    let deployment = deployment(&sysroot, commit(&state), &stored, &release).with_context(doing)?;
    describe(root, &sysroot, &deployment, digest, release).with_context(doing)
}

/// The deployment of that commit for that release: the one that is there, else a new one.
fn deployment(sysroot: &Sysroot, commit: &str, stored: &Stored, release: &Release) -> Result<Deployment> {
    let present = sysroot.deployments();
    let is_it = |deployment: &&Deployment| {
        deployment.csum() == commit
            && repository::origin(deployment).is_some_and(|origin| origin.digest == stored.digest)
    };
    if let Some(deployment) = present.iter().find(is_it) {
        return Ok(deployment.clone());
    }
    let origin =
        Origin { digest: stored.digest.clone(), version: release.version.clone(), image: stored.asked.clone() };
    let origin = origin.write(&unverified(&stored.reference));
    // No merge: /etc is made anew on each boot. No arguments: the command line is in the release, the entry the agent's.
    let new = sysroot
        .deploy_tree(Some(OS_NAME), commit, Some(&origin), None, &[], NEVER)
        .with_context(|| format!("checking out the commit {commit}"))?;
    let all: Vec<Deployment> = [new.clone()].into_iter().chain(present).collect();
    // What is old is for `remove` to take away, when the agent says so.
    let keep = SysrootWriteDeploymentsOpts { do_postclean: false };
    sysroot.write_deployments_with_options(&all, &keep, NEVER).context("listing it among the deployments")?;
    Ok(new)
}

/// What the agent needs for the boot entry.
fn describe(
    root: &Path,
    sysroot: &Sysroot,
    deployment: &Deployment,
    digest: &Digest,
    release: Release,
) -> Result<Deployed> {
    let image = objects::composefs(root, sysroot, deployment);
    objects::seal(root, &image)?;
    let composefs = verity::digest(&image)?;
    let boot = boot_files(&sysroot.repo(), &deployment.csum())?;
    let object = |checksum: &str| objects::path(root, checksum, "file").display().to_string();
    Ok(Deployed {
        digest: digest.clone(),
        version: release.version,
        commit: deployment.csum().into(),
        deployment: repository::name(deployment).parse()?,
        composefs,
        kernel: object(&boot.kernel),
        initramfs: object(&boot.initramfs),
        cmdline: boot.cmdline,
    })
}

struct BootFiles {
    kernel: String,
    initramfs: String,
    cmdline: String,
}

fn boot_files(repo: &Repo, commit: &str) -> Result<BootFiles> {
    let (tree, _) = repo.read_commit(commit, NEVER).with_context(|| format!("reading the commit {commit}"))?;
    let folder = bootabletree::find_kernel_dir(&tree, NEVER)?
        .ok_or_else(|| Failure::new(Kind::NotARelease, "the release has no kernel in usr/lib/modules"))?;
    let checksum =
        |name| checksum(&folder.child(name)).with_context(|| format!("looking for {name} in usr/lib/modules"));
    let cmdline = cmdline(repo, &tree).with_context(|| format!("reading {CMDLINE} of the release"))?;
    Ok(BootFiles { kernel: checksum("vmlinuz")?, initramfs: checksum("initramfs.img")?, cmdline })
}

/// The object that lies there in a commit.
fn checksum(file: &gio::File) -> Result<String> {
    let file = file.downcast_ref::<RepoFile>().context("the tree is no commit's")?;
    file.ensure_resolved()?;
    Ok(file.checksum().into())
}

fn cmdline(repo: &Repo, tree: &gio::File) -> Result<String> {
    let (content, ..) = repo.load_file(&checksum(&tree.resolve_relative_path(CMDLINE))?, NEVER)?;
    let mut bytes = vec![0; MAX_CMDLINE_BYTES];
    let (length, _) = content.context("it is no file")?.read_all(&mut bytes, NEVER)?;
    let text = std::str::from_utf8(&bytes[..length])?.trim();
    if text.is_empty() || text.contains('\n') {
        let text = format!("expected one line of less than {MAX_CMDLINE_BYTES} bytes");
        return Err(Failure::new(Kind::NotARelease, text).into());
    }
    Ok(text.to_owned())
}
