//! What the deployments, the boot entries and the memory together mean: pure functions.

pub mod admit;
pub mod arguments;
pub mod boot_entry;
pub mod gate;
pub mod keep;
mod order;
pub mod policy;
pub mod repair;
pub mod rollback;
pub mod space;
mod trust;
mod version;

pub use self::{
    order::boot_order,
    trust::{floor, running},
    version::compare_versions,
};
use super::model::{
    BootEntry, Command, Deployment, DeploymentId, Digest, FailedRelease, Observed, State, Step, Unattended,
};

/// What `observed` calls for by itself, the most important first; `arguments` are those that the settings want the kernel to have, `now` is
/// in seconds since 1970.
pub fn plan(observed: &Observed, unattended: Unattended, arguments: &str, now: u64) -> Option<Step> {
    // Before what writes to /var: where that cannot be, the boot entries are needed all the more.
    if let Some(device) = observed.unmounted_esp.clone() {
        return Some(Step::MountEsp { device });
    }
    if observed.memory_damage.is_some() {
        return Some(Step::MendMemory);
    }
    if let Some(failed) = newly_failed(observed, now) {
        return Some(Step::MarkFailed { failed });
    }
    // What the node began by itself goes on when it could begin it.
    let goes_on = |command: &&Command| unattended.is_on && unattended.is_open || !command.is_unattended();
    if let Some(command) = observed.memory.wanted.as_ref().filter(goes_on).cloned() {
        return (!observed.lacks_network).then_some(Step::Resume { command });
    }
    // Before what may fail again and again.
    if let Some(learn) = trust::to_learn(observed) {
        return Some(learn);
    }
    if arguments::is_missing(observed, arguments) {
        return Some(Step::Arguments);
    }
    let unasked = match unattended {
        Unattended { is_on: true, is_open: true, reboots: true, .. } if is_upgrade_prepared(observed) => {
            Some(Step::Reboot)
        }
        Unattended { is_on: true, is_open: true, is_due: true, .. } => Some(Step::Upgrade),
        _ => None,
    };
    unasked.or_else(|| trust::to_forget(observed, unattended))
}

/// Whether a release that has never booted is the next to boot, and the one that runs has proved itself.
fn is_upgrade_prepared(observed: &Observed) -> bool {
    let next = bootable(observed).first().and_then(|next| Some((next.deployment.clone(), next.name.tries()?)));
    let is_fresh = next.is_some_and(|(id, tries)| observed.booted.as_ref() != Some(&id) && tries.done == 0);
    is_fresh && booted_entry(observed).is_some_and(BootEntry::is_blessed)
}

/// A release whose tries are used up, that does not run, and that is not yet written down as bad. One that runs on its
/// last try may still prove itself.
fn newly_failed(observed: &Observed, now: u64) -> Option<FailedRelease> {
    let failed = observed.entries.iter().filter(|entry| entry.is_exhausted());
    // An old counter says nothing of a release that has proved itself under another entry.
    let failed = failed.filter(|entry| !observed.has_proved_itself(&entry.deployment));
    let mut failed = failed.filter(|entry| observed.booted.as_ref() != Some(&entry.deployment));
    failed.find_map(|entry| {
        let origin = observed.origin(&entry.deployment)?;
        if observed.memory.failure_of(&origin.digest).is_some() {
            return None;
        }
        let reported = observed.memory.given_up.as_ref().filter(|given_up| given_up.digest == origin.digest);
        let boots = match entry.name.tries().map_or(0, |tries| tries.done) {
            1 => "one boot".to_owned(),
            tries => format!("{tries} boots"),
        };
        let reason = reported
            .map_or_else(|| format!("it did not become healthy in {boots}"), |reported| reported.reason.clone());
        Some(FailedRelease { digest: origin.digest.clone(), version: origin.version.clone(), reason, at: now })
    })
}

/// The boot entries whose deployment is there, in the order in which the boot loader takes them.
pub fn bootable(observed: &Observed) -> Vec<&BootEntry> {
    let there = observed.entries.iter().filter(|entry| observed.on_disk.contains_key(&entry.deployment));
    let mut entries: Vec<&BootEntry> = there.collect();
    entries.sort_by(|one, other| boot_order(one, other));
    entries
}

/// What boots if the next one fails: the newest entry that has proved itself, of another deployment.
pub fn last_good(observed: &Observed) -> Option<&BootEntry> {
    let entries = bootable(observed);
    let next = entries.first()?;
    entries.iter().find(|entry| entry.is_blessed() && entry.deployment != next.deployment).copied()
}

/// Whether something else would boot if the running release were given up.
pub fn has_alternative(observed: &Observed) -> bool {
    bootable(observed).iter().any(|entry| !entry.is_exhausted())
}

/// The entry that was booted: of several that name its deployment, the first to boot, if it can be with the arguments that the kernel has.
pub fn booted_entry(observed: &Observed) -> Option<&BootEntry> {
    let booted = observed.booted.as_ref()?;
    let entries: Vec<&BootEntry> = bootable(observed).into_iter().filter(|entry| entry.deployment == *booted).collect();
    let mut same = entries.iter().filter(|one| boot_entry::arguments(&one.options) == observed.booted_arguments);
    same.next().or(entries.first()).copied()
}

/// The digest of the release that runs, if it is known.
pub fn booted_digest(observed: &Observed) -> Option<&Digest> {
    Some(&observed.booted_origin()?.digest)
}

/// The digest of the release that boots next, if it is known.
pub fn next_digest(observed: &Observed) -> Option<&Digest> {
    Some(&observed.origin(&bootable(observed).first()?.deployment)?.digest)
}

/// The releases on this node, the booted one first, the others by what would boot next.
pub fn deployments(observed: &Observed) -> Vec<Deployment> {
    let entries = bootable(observed);
    let next = entries.first().map(|entry| &entry.deployment);
    let last_good = last_good(observed).map(|entry| &entry.deployment);
    let mut ids: Vec<&DeploymentId> = Vec::new();
    for id in entries.iter().map(|entry| &entry.deployment).chain(observed.on_disk.keys()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let describe = |id: &DeploymentId| {
        let origin = observed.origin(id);
        let booted = observed.booted.as_ref() == Some(id);
        let entry = match booted {
            true => booted_entry(observed),
            false => entries.iter().find(|entry| entry.deployment == *id).copied(),
        };
        let version = origin.map(|origin| origin.version.clone()).or_else(|| entry.map(|entry| entry.version.clone()));
        let digest = origin.map(|origin| origin.digest.clone());
        Deployment {
            id: id.clone(),
            version: version
                .filter(|version| !version.is_empty())
                .or_else(|| booted.then(|| observed.booted_version.clone()))
                .unwrap_or_else(|| "unknown".to_owned()),
            pinned: digest.as_ref().is_some_and(|digest| observed.memory.pinned.contains(digest)),
            image: origin.map(|origin| origin.image.clone()),
            digest,
            booted,
            next: next == Some(id),
            last_good: last_good == Some(id),
            state: entry.map_or(State::Unknown, state),
        }
    };
    let mut deployments: Vec<Deployment> = ids.into_iter().map(describe).collect();
    deployments.sort_by_key(|deployment| !deployment.booted);
    deployments
}

/// What a boot entry says of its release.
fn state(entry: &BootEntry) -> State {
    match entry.name.tries() {
        None => State::Good,
        Some(tries) if tries.left == 0 => State::Failed,
        Some(_) => State::Trial,
    }
}

/// What people must know of the releases, one sentence each; `now` is in seconds since 1970.
pub fn reasons(observed: &Observed, now: u64) -> Vec<String> {
    let missing = observed.entries.iter().filter(|entry| !observed.on_disk.contains_key(&entry.deployment));
    let mut reasons: Vec<String> = missing
        .map(|entry| {
            format!("boot entry {} names a deployment that is not there; ballast collect removes it", entry.name)
        })
        .collect();
    let is_bad = booted_digest(observed).and_then(|digest| observed.memory.failure_of(digest));
    if let Some(failed) = is_bad {
        reasons.push(format!("release {} runs although it was found bad: {}", failed.version, failed.reason));
    }
    reasons.extend(trust::reasons(observed, now));
    reasons
}

#[cfg(test)]
pub(super) mod tests;
