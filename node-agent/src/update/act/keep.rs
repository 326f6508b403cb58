//! `pin`, `allow` and `fsck`.

use std::{fmt::Write, time::Duration};

use anyhow::Context;

use super::{collect, work::Work};
use crate::{
    clients::worker::Checked,
    update::{
        model::{Digest, Failure, FailureKind, Memory, Observed, Outcome, Phase, Target, is_named},
        plan::{
            self,
            repair::{Source, sources},
        },
    },
};

/// Every object is read and hashed: 170 MB, which an emulated machine does in a minute and a busy one in ten.
const CHECK_DEADLINE: Duration = Duration::from_secs(3600);

pub(super) async fn pin(work: &Work, target: &Target) -> Result<Outcome, Failure> {
    let (digest, version) = find(&work.observe_releases().await?, target)?;
    let pinned = digest.clone();
    let pin = move |memory: &mut Memory| {
        let is_new = !memory.pinned.contains(&pinned);
        if is_new {
            memory.pinned.push(pinned);
        }
        is_new
    };
    let changed = work.memory.change(pin).await?;
    let message =
        format!("release {version} is {} until it is unpinned", if changed { "kept" } else { "kept already" });
    Ok(Outcome { message, changed, digest: Some(digest), version: Some(version), ..Outcome::default() })
}

pub(super) async fn unpin(work: &Work, target: &Target) -> Result<Outcome, Failure> {
    let (digest, version) = find(&work.observe_releases().await?, target)?;
    let unpinned = digest.clone();
    let unpin = move |memory: &mut Memory| {
        let before = memory.pinned.len();
        memory.pinned.retain(|pinned| *pinned != unpinned);
        memory.pinned.len() < before
    };
    let changed = work.memory.change(unpin).await?;
    let message = if changed {
        format!("release {version} is not pinned any more")
    } else {
        format!("release {version} was not pinned")
    };
    Ok(Outcome { message, changed, digest: Some(digest), version: Some(version), ..Outcome::default() })
}

/// Forgets that a release failed. Its boot entry with the used-up tries goes first: as long as that is there, it is proof.
pub(super) async fn allow(work: &Work, target: &Target) -> Result<Outcome, Failure> {
    let (name, observed) = (&target.release, work.observe().await?);
    let failed = observed.memory.find_failed(name).cloned().ok_or_else(|| Failure {
        kind: FailureKind::NotFound,
        message: format!("no release named {name} is known to be bad; ballast releases shows those that are"),
    })?;
    collect::entries_and_kernels(work, &observed).await?;
    let allowed = failed.digest.clone();
    work.memory.change(move |memory| memory.failed.retain(|known| known.digest != allowed)).await?;
    Ok(Outcome {
        message: format!("release {} may be tried again", failed.version),
        changed: true,
        digest: Some(failed.digest),
        version: Some(failed.version),
        ..Outcome::default()
    })
}

/// Checks every object; with `repair`, what is damaged is fetched again, from the image of each release until all is well.
pub(super) async fn fsck(work: &Work, repair: bool) -> Result<Outcome, Failure> {
    work.phase(Phase::Check);
    let (checked, remedy) = match repair {
        false => {
            let checked = work.worker(&["fsck"], None, CHECK_DEADLINE).await?;
            (checked, "; ballast fsck --repair fetches them again".to_owned())
        }
        true => repaired(work).await?,
    };
    let Checked { objects, damaged, repaired } = checked;
    if !damaged.is_empty() {
        let found = damaged.len();
        let message = format!(
            "{objects} objects checked; {found} are damaged, {repaired} repaired{remedy}: {}",
            damaged.join(", ")
        );
        return Err(Failure { kind: FailureKind::Damaged, message });
    }
    let message = match repaired {
        0 => format!("{objects} objects checked; all are as they should be"),
        repaired => format!("{objects} objects checked; {repaired} were damaged and are repaired"),
    };
    Ok(Outcome { message, changed: repaired > 0, ..Outcome::default() })
}

/// Repairs from one release's image after the other. Gives what is there then, and what to do if that is not all well.
async fn repaired(work: &Work) -> Result<(Checked, String), Failure> {
    let mut all = Checked { objects: 0, damaged: Vec::new(), repaired: 0 };
    let mut remedy = String::new();
    let observed = work.observe_releases().await?;
    let sources = sources(&observed, work.settings.update.image.as_deref())?;
    for (number, source) in sources.into_iter().enumerate() {
        match repaired_from(work, &source).await {
            Ok(checked) => all = Checked { repaired: all.repaired + checked.repaired, ..checked },
            // Nothing is forgotten yet, and without the release that runs the others are of little use.
            Err(failure) if number == 0 => return Err(failure),
            Err(failure) => write!(remedy, "; {failure}").context("reporting a failure")?,
        }
        if all.damaged.is_empty() {
            break;
        }
    }
    remedy.push_str("; ballast collect removes what no release needs, and a release that cannot be had goes once it is neither pinned nor last good");
    Ok((all, remedy))
}

async fn repaired_from(work: &Work, Source { version, image }: &Source) -> Result<Checked, Failure> {
    let image = image.as_ref().ok_or_else(|| Failure {
        kind: FailureKind::Failed,
        message: format!(
            "nothing says where release {version} can be had: set update.image = \"REGISTRY/NAME:TAG\" in the settings, then ballast fsck --repair"
        ),
    })?;
    work.report(|progress| progress.image = Some(image.clone()));
    let registry = work.registry_for_repair(image).await?;
    let checked = work.worker(&["fsck", "--repair", image], Some(&registry), CHECK_DEADLINE).await;
    checked.map_err(|failure| failure.while_doing(&format!("fetching release {version} anew")))
}

/// The release on this node that `target` names.
fn find(observed: &Observed, target: &Target) -> Result<(Digest, String), Failure> {
    let name = &target.release;
    let all = plan::deployments(observed).into_iter().filter_map(|one| Some((one.digest?, one.version)));
    let mut found: Vec<(Digest, String)> = all.filter(|(digest, version)| is_named(digest, version, name)).collect();
    found.dedup();
    match (found.pop(), found.is_empty()) {
        (Some(found), true) => Ok(found),
        (None, _) => Err(Failure {
            kind: FailureKind::NotFound,
            message: format!("no release on this node is named {name}; ballast releases shows them"),
        }),
        (Some(_), false) => Err(Failure {
            kind: FailureKind::NotFound,
            message: format!("more than one release on this node is named {name}; name it by its digest"),
        }),
    }
}
