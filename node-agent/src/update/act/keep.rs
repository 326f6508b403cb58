//! Pins, forgiveness, and the check of all objects.

use std::time::Duration;

use super::{collect, work::Work};
use crate::{
    clients::worker::Checked,
    update::{
        model::{Digest, Failure, FailureKind, Observed, Outcome, Phase, Target, is_named},
        plan::{self, policy::repository},
    },
};

/// Every object is read and hashed: 170 MB, which an emulated machine does in a minute and a busy one in ten.
const CHECK_DEADLINE: Duration = Duration::from_secs(3600);

pub(super) fn pin(work: &Work, target: &Target) -> Result<Outcome, Failure> {
    let (digest, version) = find(&work.look()?, target)?;
    let changed = work.memory.change(|memory| {
        let is_new = !memory.pinned.contains(&digest);
        if is_new {
            memory.pinned.push(digest.clone());
        }
        is_new
    })?;
    let message =
        format!("release {version} is {} until it is unpinned", if changed { "kept" } else { "kept already" });
    Ok(Outcome { message, changed, digest: Some(digest), version: Some(version), ..Outcome::default() })
}

pub(super) fn unpin(work: &Work, target: &Target) -> Result<Outcome, Failure> {
    let (digest, version) = find(&work.look()?, target)?;
    let changed = work.memory.change(|memory| {
        let before = memory.pinned.len();
        memory.pinned.retain(|pinned| *pinned != digest);
        memory.pinned.len() < before
    })?;
    let message = if changed {
        format!("release {version} is not pinned any more")
    } else {
        format!("release {version} was not pinned")
    };
    Ok(Outcome { message, changed, digest: Some(digest), version: Some(version), ..Outcome::default() })
}

/// Forgets that a release failed. Its boot entry with the used-up tries goes first: as long as that is there, it is proof.
pub(super) async fn allow(work: &Work, target: &Target) -> Result<Outcome, Failure> {
    let (name, observed) = (&target.release, work.observe()?);
    let bad = observed.memory.find_bad(name).cloned().ok_or_else(|| Failure {
        kind: FailureKind::NotFound,
        message: format!("no release named {name} is known to be bad; ballast releases shows those that are"),
    })?;
    collect::entries_and_kernels(work, &observed).await?;
    work.memory.change(|memory| memory.bad.retain(|known| known.digest != bad.digest))?;
    Ok(Outcome {
        message: format!("release {} may be tried again", bad.version),
        changed: true,
        digest: Some(bad.digest),
        version: Some(bad.version),
        ..Outcome::default()
    })
}

/// Checks every object; with `repair`, what is damaged is fetched again as part of the running release's image.
pub(super) async fn fsck(work: &Work, repair: bool) -> Result<Outcome, Failure> {
    work.phase(Phase::Check);
    let observed = work.look()?;
    let mut arguments = vec!["fsck".to_owned()];
    let mut registry = None;
    if repair {
        let origin = observed.booted_origin();
        let origin = origin.ok_or_else(|| Failure {
            kind: FailureKind::Damaged,
            message: "nothing tells which image the running release came from".to_owned(),
        })?;
        let name = work
            .settings
            .update
            .image
            .clone()
            .filter(|_| origin.image.starts_with("oci"))
            .unwrap_or_else(|| origin.image.clone());
        let image = if name.starts_with("oci") { name } else { format!("{}@{}", repository(&name), origin.digest) };
        work.tell(|progress| progress.image = Some(image.clone()));
        registry = Some(work.registry(&image)?);
        arguments.extend(["--repair".to_owned(), image]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let checked: Checked = work.worker(&arguments, registry.as_ref(), CHECK_DEADLINE).await?;
    let found = checked.damaged.len();
    let message = match (found, checked.repaired) {
        (0, _) => format!("{} objects checked; all are as they should be", checked.objects),
        (found, repaired) if usize::try_from(repaired).is_ok_and(|repaired| repaired >= found) => {
            format!("{} objects checked; {found} were damaged and are repaired", checked.objects)
        }
        (found, repaired) => {
            let remedy = if repair { "" } else { "; ballast fsck --repair fetches them again" };
            let message = format!(
                "{} objects checked; {found} are damaged, {repaired} repaired{remedy}: {}",
                checked.objects,
                checked.damaged.join(", ")
            );
            return Err(Failure { kind: FailureKind::Damaged, message });
        }
    };
    Ok(Outcome { message, changed: found > 0, damaged: checked.damaged, ..Outcome::default() })
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
