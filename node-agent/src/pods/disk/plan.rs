//! When /var is full, and which pods are over their limits: pure functions. The rules and words are the kubelet's
//! (kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction).

use std::time::{Duration, SystemTime};

use super::model::{Eviction, Observed, Owner, Room, Usage};
use crate::pods::model::{Key, MANIFEST_FOLDERS, Pod, RestartPolicy, Volume};

/// /var is short of room below this much, in percent, and has room again above that (the cluster's condition DiskPressure has the same).
const BYTES_PERCENT: (u64, u64) = (10, 12);
const INODES_PERCENT: (u64, u64) = (5, 7);

/// How long a pod stays ended before it starts again: the longest back-off of containers.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// To end a pod that takes less frees nothing.
const WORTHWHILE_BYTES: u64 = 1 << 20;

/// Whether `room` is short, after it was so or not.
pub(super) fn is_short(room: &Room, was: bool) -> bool {
    let is_below = |left: u64, all: u64, (short, well): (u64, u64)| {
        let percent = if was { well } else { short };
        all > 0 && u128::from(left) * 100 < u128::from(all) * u128::from(percent)
    };
    is_below(room.available_bytes, room.bytes, BYTES_PERCENT)
        || is_below(room.available_inodes, room.inodes, INODES_PERCENT)
}

/// How full it is, in percent, rounded up.
pub(super) fn full_percent(room: &Room) -> u64 {
    let used = u128::from(room.bytes.saturating_sub(room.available_bytes));
    let percent = (used * 100).div_ceil(u128::from(room.bytes.max(1)));
    u64::try_from(percent).unwrap_or(100)
}

/// What is wrong, in one sentence: /var is full and no image is left that may go.
pub(in crate::pods) fn problem(disk: &Observed) -> Option<String> {
    let is_reported = disk.is_short && disk.exhausted_at.is_some();
    is_reported.then(|| {
        format!(
            "/var is {} % full and no unused image is left to remove: pods that take more than they asked for are ended, \
             the largest first",
            full_percent(&disk.room)
        )
    })
}

/// Whether a pod that was ended stays so. One that is to run always starts again after a while, as a controller would have it, but not
/// while the disk is short.
pub(in crate::pods) fn is_in_force(eviction: &Eviction, pod: &Pod, is_short: bool, now: SystemTime) -> bool {
    let over = again_at(eviction);
    pod.spec.restart_policy != RestartPolicy::Always || is_short || !crate::pods::restart_backoff::is_due(over, now)
}

/// When a pod that was ended may start again.
pub(in crate::pods) fn again_at(eviction: &Eviction) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(eviction.at) + AGAIN_AFTER
}

/// Which of `pods` are to be measured: those with a limit, and all when the disk is short.
pub(in crate::pods) fn measured<'a>(pods: impl Iterator<Item = &'a Pod>, disk: &Observed) -> Vec<Owner> {
    if !disk.is_measuring_due {
        return Vec::new();
    }
    let owner = |pod: &Pod| Owner { key: pod.spec.key.clone(), uid: pod.uid.clone() };
    pods.filter(|pod| disk.is_short || has_limit(pod)).map(owner).collect()
}

fn has_limit(pod: &Pod) -> bool {
    let volume = |volume: &Volume| matches!(volume, Volume::EmptyDir { limit_bytes: Some(_), .. });
    pod.spec.volumes.values().any(volume)
        || pod.spec.all_containers().any(|container| container.resources.disk_limit_bytes.is_some())
}

/// Which of `pods`, those that run, are to be ended, with why.
pub(in crate::pods) fn evictions<'a>(
    pods: impl Iterator<Item = &'a Pod> + Clone,
    disk: &Observed,
) -> Vec<(String, String)> {
    let not_yet = |pod: &&Pod| !disk.evicted.contains_key(&pod.uid);
    let usage = |pod: &Pod| disk.usage.get(&pod.uid);
    let over: Vec<(String, String)> =
        pods.clone().filter(not_yet).filter_map(|pod| Some((pod.uid.clone(), over_limit(pod, usage(pod)?)?))).collect();
    // One at a time: what it frees is seen before the next.
    let are_measured = pods.clone().filter(not_yet).all(|pod| usage(pod).is_some());
    // Its sandbox goes after its volumes, so until then it has not freed everything: a grace may take minutes.
    let is_one_ending = pods.clone().any(|pod| disk.evicted.contains_key(&pod.uid));
    if !over.is_empty() || !disk.is_short || disk.exhausted_at.is_none() || !are_measured || is_one_ending {
        return over;
    }
    let largest = pods
        .filter(not_yet)
        .filter(|pod| !pod.source.starts_with(MANIFEST_FOLDERS[0]))
        .filter_map(|pod| Some((usage(pod)?.bytes(), pod)))
        .map(|(bytes, pod)| (bytes.saturating_sub(asked_for(pod)), bytes, pod))
        .filter(|(_, bytes, _)| *bytes >= WORTHWHILE_BYTES)
        .max_by_key(|(beyond, bytes, pod)| (*beyond, *bytes, &pod.spec.key));
    largest
        .map(|(_, bytes, pod)| (pod.uid.clone(), pressure(&pod.spec.key, bytes, asked_for(pod))))
        .into_iter()
        .collect()
}

fn pressure(key: &Key, bytes: u64, asked_for: u64) -> String {
    format!(
        "The node was low on resource: ephemeral-storage. Pod {key} was using {}, request is {}",
        amount(bytes),
        amount(asked_for)
    )
}

fn asked_for(pod: &Pod) -> u64 {
    pod.spec.containers.iter().filter_map(|container| container.resources.disk_request_bytes).sum()
}

/// What of its limits it is over, in the kubelet's words.
fn over_limit(pod: &Pod, usage: &Usage) -> Option<String> {
    for (name, volume) in &pod.spec.volumes {
        let Volume::EmptyDir { limit_bytes: Some(limit), .. } = volume else { continue };
        if usage.volumes.get(name).is_some_and(|bytes| bytes > limit) {
            return Some(format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{}\"", amount(*limit)));
        }
    }
    let limits = || pod.spec.containers.iter().map(|container| container.resources.disk_limit_bytes);
    let whole: Option<u64> = limits().sum();
    if whole.is_some_and(|limit| usage.bytes() > limit) {
        let limit = amount(whole.unwrap_or_default());
        return Some(format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}"));
    }
    pod.spec.all_containers().find_map(|container| {
        let (name, limit) = (&container.name, container.resources.disk_limit_bytes?);
        let is_over = usage.containers.get(name).is_some_and(|bytes| *bytes > limit);
        is_over.then(|| format!("Container {name} exceeded its local ephemeral storage limit \"{}\"", amount(limit)))
    })
}

/// As Kubernetes writes amounts: in the largest unit that it is a whole number of.
fn amount(bytes: u64) -> String {
    let units = [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let fits = units.into_iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    fits.map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

#[cfg(test)]
mod tests;
