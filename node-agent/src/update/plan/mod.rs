//! What the deployments and the boot entries together mean: pure functions.

pub mod gate;

use std::cmp::Ordering;

use super::model::{BootEntry, Deployment, DeploymentId, Observed, State, Step};

/// What `observed` calls for, if anything.
pub fn plan(observed: &Observed) -> Option<Step> {
    observed.unmounted_esp.clone().map(|device| Step::MountEsp { device })
}

/// The releases on this node, the booted one first, the others by what would boot next.
pub fn deployments(observed: &Observed) -> Vec<Deployment> {
    let mut entries: Vec<&BootEntry> = observed.entries.iter().collect();
    entries.sort_by(|one, other| boot_order(one, other));
    let next = entries.first().map(|entry| &entry.deployment);
    let mut ids: Vec<&DeploymentId> = entries.iter().map(|entry| &entry.deployment).collect();
    ids.extend(&observed.on_disk);
    let mut deployments: Vec<Deployment> = Vec::new();
    for id in ids {
        let is_known = deployments.iter().any(|known| known.id == *id);
        if is_known || !observed.on_disk.contains(id) {
            continue;
        }
        let booted = observed.booted.as_ref() == Some(id);
        let entry = entries.iter().find(|entry| entry.deployment == *id);
        let version = entry.map(|entry| entry.version.clone()).filter(|version| !version.is_empty());
        deployments.push(Deployment {
            id: id.clone(),
            version: version
                .or_else(|| booted.then(|| observed.booted_version.clone()))
                .unwrap_or_else(|| "unknown".to_owned()),
            booted,
            next: next == Some(id),
            state: entry.map_or(State::Unknown, |entry| state(entry)),
        });
    }
    deployments.sort_by_key(|deployment| !deployment.booted);
    deployments
}

fn state(entry: &BootEntry) -> State {
    match entry.tries_left {
        None => State::Good,
        Some(0) => State::Bad,
        Some(_) => State::Trial,
    }
}

/// The order in which systemd-boot takes our entries, which all have one sort key: those with no tries left last, then
/// the newest version first (systemd-boot(7)).
fn boot_order(one: &BootEntry, other: &BootEntry) -> Ordering {
    let bad = |entry: &BootEntry| state(entry) == State::Bad;
    bad(one)
        .cmp(&bad(other))
        .then_with(|| compare_versions(&other.version, &one.version))
        .then_with(|| compare_versions(&other.file, &one.file))
}

/// By runs of digits, as numbers, and runs of other letters (as strverscmp(3) does for versions like ours).
fn compare_versions(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        let mut parts: Vec<(u64, String)> = Vec::new();
        for letter in text.chars() {
            match (letter.to_digit(10), parts.last_mut()) {
                (Some(digit), Some((number, text))) if text.is_empty() => {
                    *number = number.saturating_mul(10).saturating_add(u64::from(digit));
                }
                (Some(digit), _) => parts.push((u64::from(digit), String::new())),
                (None, Some((_, text))) if !text.is_empty() => text.push(letter),
                (None, _) => parts.push((0, letter.to_string())),
            }
        }
        parts
    };
    parts(one).cmp(&parts(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: &str) -> DeploymentId {
        DeploymentId { commit: letter.repeat(64), serial: 0 }
    }

    fn entry(letter: &str, version: &str, tries_left: Option<u32>) -> BootEntry {
        BootEntry { file: format!("{letter}.conf"), deployment: id(letter), version: version.to_owned(), tries_left }
    }

    fn shown(entries: Vec<BootEntry>, booted: &str) -> Vec<String> {
        let observed = Observed {
            booted: Some(id(booted)),
            booted_version: "20261121.9".to_owned(),
            on_disk: vec![id("a"), id("b")],
            entries,
            unmounted_esp: None,
        };
        let show = |one: Deployment| {
            let letter = one.id.commit.get(..1).unwrap().to_owned();
            let marks = format!("{}{}", if one.booted { "*" } else { "" }, if one.next { ">" } else { "" });
            format!("{letter}{marks} {} {:?}", one.version, one.state)
        };
        deployments(&observed).into_iter().map(show).collect()
    }

    #[test]
    fn the_next_to_boot_is_the_newest_that_is_not_bad() {
        let (old, new) = ("20261121.9", "20261121.10");
        let table = [
            (entry("a", old, None), entry("b", new, Some(3)), ["a* 20261121.9 Good", "b> 20261121.10 Trial"]),
            (entry("a", old, None), entry("b", new, Some(0)), ["a*> 20261121.9 Good", "b 20261121.10 Bad"]),
            (entry("a", new, Some(2)), entry("b", old, None), ["a*> 20261121.10 Trial", "b 20261121.9 Good"]),
        ];
        for (one, other, expected) in table {
            assert_eq!(shown(vec![one, other], "a"), expected);
        }
    }

    #[test]
    fn what_has_no_entry_is_unknown_and_what_is_not_on_the_disk_is_not_shown() {
        assert_eq!(shown(vec![entry("c", "1", None)], "b"), ["b* 20261121.9 Unknown", "a unknown Unknown"]);
    }
}
