//! What boots: kernels under the names of their content, and the entry, whose appearance is the commit point.

use std::fs;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use super::{collect, work::Work};
use crate::{
    clients::{
        esp::{self, EspGuard, Writable},
        host::Host,
        worker::Deployed,
    },
    update::{
        model::{BootEntryName, Failure, Outcome, Phase},
        plan::{
            self,
            boot_entry::{self, New},
            rollback as planned,
        },
    },
};

/// Writes the kernel and the initramfs of `deployed` to the ESP, unless they are there, and returns what the entry is made
/// from.
pub(super) async fn kernel(work: &Work, deployed: &Deployed, version: &str) -> Result<New, Failure> {
    let deployment = deployed.deployment.clone();
    let (host, files) = (work.host.clone(), [deployed.kernel.clone(), deployed.initramfs.clone()]);
    let guard = work.esp.take().await;
    let copied = spawn_blocking(move || copy(&host, guard, &files)).await.context("writing to the ESP")?;
    let [linux, initrd] = copied.context("writing kernel and initramfs to the EFI system partition")?;
    let options = boot_entry::options(&deployment, &deployed.composefs, &deployed.cmdline);
    // Those that this kernel proves to be good: others could make a good release fail.
    let options = boot_entry::with_arguments(&options, &work.observe().await?.booted_arguments);
    Ok(New { deployment, version: version.to_owned(), linux, initrd, options, is_good: false })
}

fn copy(host: &Host, guard: EspGuard, [kernel, initramfs]: &[String; 2]) -> Result<[String; 2]> {
    let writable = Writable::open(host, guard)?;
    Ok([put(host, &writable, kernel, "vmlinuz")?, put(host, &writable, initramfs, "initramfs")?])
}

/// Copies one file to the name of its content; returns its path on the partition, with a slash in front.
fn put(host: &Host, writable: &Writable, from: &str, kind: &str) -> Result<String> {
    let content = fs::read(host.path(from)).with_context(|| format!("reading {from}"))?;
    let name = format!("{}/{}-{kind}", esp::KERNELS, hex::encode(Sha256::digest(&content)));
    // What is there under this name may be half of it after a power cut: FAT promises nothing.
    let is_there = fs::read(esp::path(host, &name)).is_ok_and(|there| there == content);
    if !is_there {
        writable.put(&name, &content)?;
    }
    Ok(format!("/{name}"))
}

/// Writes the entry. When this returns, it is what boots next. What has proved itself under another entry need not again.
pub(super) async fn commit(work: &Work, mut new: New) -> Result<BootEntryName, Failure> {
    let observed = work.observe().await?;
    new.is_good |= observed.has_proved_itself_with(&new.deployment, &new.options);
    let file = boot_entry::name(&new, &observed.entries);
    let (host, name) = (work.host.clone(), format!("{}/{file}", esp::ENTRIES));
    let guard = work.esp.take().await;
    work.commits();
    let written = spawn_blocking(move || Writable::open(&host, guard)?.put(&name, boot_entry::text(&new).as_bytes()));
    written.await.context("writing to the ESP")?.context("writing the boot entry")?;
    Ok(file)
}

/// Makes another entry for the release that runs, with the arguments of the settings. It is on trial, if they were not tried before.
pub(super) async fn arguments(work: &Work) -> Result<Outcome, Failure> {
    let observed = work.observe().await?;
    let wanted = work.settings.arguments.as_str();
    let Some(booted) = plan::booted_entry(&observed).filter(|_| plan::arguments::is_missing(&observed, wanted)) else {
        return Ok(Outcome {
            message: "the boot entry has the arguments of the settings".to_owned(),
            ..Outcome::default()
        });
    };
    work.phase(Phase::Commit);
    let options = boot_entry::with_arguments(&booted.options, wanted);
    let file = commit(work, New { options, is_good: false, ..planned::entry(booted) }).await?;
    let message = format!("the next boot has the arguments of the settings ({file})");
    Ok(Outcome { message, changed: true, ..Outcome::default() })
}

/// Makes the release before this one the next to boot.
pub(super) async fn rollback(work: &Work, reboot: bool) -> Result<Outcome, Failure> {
    let observed = work.observe().await?;
    let target = planned::target(&observed)?;
    let origin = observed.origin(&target.deployment);
    let (version, digest) = (target.version.clone(), origin.map(|origin| origin.digest.clone()));
    let is_next = plan::bootable(&observed).first().is_some_and(|next| next.deployment == target.deployment);
    if !is_next {
        work.phase(Phase::Commit);
        commit(work, planned::entry(target)).await?;
        let is_back = observed.booted.as_ref() == Some(&target.deployment);
        let left = plan::booted_digest(&observed).cloned().filter(|_| !is_back);
        work.remember(|memory| memory.left = left).await;
    }
    collect::at_the_end(work).await;
    let then = if reboot { "rebooting into it" } else { "reboot to run it" };
    if reboot {
        work.phase(Phase::Reboot);
    }
    Ok(Outcome {
        message: format!("release {version} boots next; {then}"),
        changed: !is_next,
        digest,
        version: Some(version),
        reboots: reboot,
        ..Outcome::default()
    })
}
