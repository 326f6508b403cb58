//! Removes what no boot needs: entries first, then kernels, then releases.

use std::time::Duration;

use anyhow::Context;
use tokio::task::spawn_blocking;

use super::work::Work;
use crate::{
    clients::{
        esp::{self, Writable},
        worker::Removed,
    },
    update::{
        model::{Failure, FailureKind, Observed, Outcome, Phase},
        plan::keep::{Surplus, surplus},
    },
};

/// Removing takes seconds, on a slow emulated disk a minute.
const REMOVE_DEADLINE: Duration = Duration::from_secs(600);

/// `ballast collect`.
pub(super) async fn collect(work: &Work) -> Result<Outcome, Failure> {
    work.phase(Phase::Collect);
    let (surplus, removed, freed_bytes) = everything(work).await?;
    let files = surplus.entries.len() + surplus.kernels.len();
    let message = match (files, removed) {
        (0, 0) => "there is nothing to remove".to_owned(),
        _ => format!(
            "removed {removed} releases and {files} files of the boot loader; {} MB freed",
            freed_bytes / 1_000_000
        ),
    };
    Ok(Outcome { message, changed: files + removed > 0, ..Outcome::default() })
}

/// Removes all that is surplus, behind the commit point: the operation is done all the same, and what cannot be removed now
/// is removed next time.
pub(super) async fn at_the_end(work: &Work) {
    work.phase(Phase::Collect);
    if let Err(failure) = everything(work).await {
        log::warn!("removing what is not needed any more: {failure}");
    }
}

/// The same, if there is something that an operation left which was cut short behind its commit point.
pub(super) async fn leftovers(work: &Work) {
    let left = match (work.observe().await, work.kernels().await) {
        (Ok(observed), Ok(kernels)) => has_leftovers(&observed, &surplus(&observed, &kernels)),
        (Err(_), _) | (_, Err(_)) => true,
    };
    if left {
        at_the_end(work).await;
    }
}

fn has_leftovers(observed: &Observed, surplus: &Surplus) -> bool {
    let mut origins = observed.on_disk.values().flatten();
    let is_going = origins.any(|origin| !surplus.keep.contains(&origin.digest));
    is_going || !surplus.entries.is_empty() || !surplus.kernels.is_empty()
}

/// Removes all that is surplus; returns what, how many releases, and how many bytes came free on ROOT.
pub(super) async fn everything(work: &Work) -> Result<(Surplus, usize, u64), Failure> {
    let observed = work.observe().await?;
    let surplus = entries_and_kernels(work, &observed).await?;
    if observed.booted_origin().is_none() {
        // Nothing says which of the releases is the one that runs: none goes.
        let message = "the running release has no origin file, so nothing on ROOT is removed".to_owned();
        return Err(Failure { kind: FailureKind::Damaged, message });
    }
    let keep = surplus.keep.iter().flat_map(|digest| ["--keep", digest.as_str()]);
    let arguments: Vec<&str> = ["remove"].into_iter().chain(keep).collect();
    let removed: Removed = work.worker(&arguments, None, REMOVE_DEADLINE).await?;
    Ok((surplus, removed.removed.len(), removed.freed_bytes))
}

/// Removes surplus boot entries and kernels from the ESP.
pub(super) async fn entries_and_kernels(work: &Work, observed: &Observed) -> Result<Surplus, Failure> {
    let found = surplus(observed, &work.kernels().await?);
    if found.entries.is_empty() && found.kernels.is_empty() {
        return Ok(found);
    }
    let (host, files) = (work.host.clone(), found.clone());
    let guard = work.esp.take().await;
    let removed = spawn_blocking(move || {
        let writable = Writable::open(&host, guard)?;
        let entries = files.entries.iter().map(|file| format!("{}/{file}", esp::ENTRIES));
        let kernels = files.kernels.iter().map(|file| format!("{}/{file}", esp::KERNELS));
        entries.chain(kernels).try_for_each(|name| writable.remove(&name))
    });
    removed
        .await
        .context("removing from the ESP")?
        .context("removing what no boot needs from the EFI system partition")?;
    Ok(found)
}
