//! Which images are removed when /var is full, and in which order: a pure function.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use ballast_types::ImageReference;

use super::{
    model::{Image, Observed, Room},
    plan::full_percent,
};
use crate::pods::{desired::Desired, model};

/// How soon it is tried again when all that may go has gone.
const AGAIN: Duration = Duration::from_secs(60);

/// The images that may go, the one whose use is longest ago first; None while /var has room, or it was just tried.
pub(in crate::pods) fn surplus(desired: &Desired, observed: &model::Observed, now: SystemTime) -> Option<Vec<Image>> {
    let disk = &observed.disk;
    let has_tried = disk.exhausted_at.is_some_and(|at| now.duration_since(at).is_ok_and(|ago| ago < AGAIN));
    if disk.is_collecting || has_tried || !is_due(disk) {
        return None;
    }
    let mut kept: BTreeSet<&str> = observed.archives.values().map(|archive| archive.config.as_str()).collect();
    let wanted = desired.pods.values().flat_map(|pod| pod.spec.all_containers()).map(|container| &container.image);
    kept.extend(wanted.filter_map(|reference| observed.images.get(reference)).map(String::as_str));
    let is_old = |image: &Image| match now.duration_since(image.since) {
        Ok(age) => age >= disk.marks.minimum_age,
        // The clock was set back: how old it is nobody knows.
        Err(_) => false,
    };
    let is_of_the_os = |reference: &ImageReference| {
        observed.archives.contains_key(reference) || reference.to_string() == model::SANDBOX_IMAGE
    };
    let mut surplus: Vec<Image> = disk
        .images
        .iter()
        .filter(|image| !image.is_pinned && !kept.contains(&*image.id) && image.used_at != Some(now) && is_old(image))
        .filter(|image| !image.references.iter().any(is_of_the_os))
        .cloned()
        .collect();
    surplus.sort_by(|one, other| (one.used_at, one.since, &one.id).cmp(&(other.used_at, other.since, &other.id)));
    Some(surplus)
}

fn is_due(disk: &Observed) -> bool {
    disk.room.bytes > 0 && (disk.is_short || full_percent(&disk.room) >= u64::from(disk.marks.high_percent))
}

/// Whether enough is free again.
pub(super) fn is_enough(room: &Room, low_percent: u32, is_short: bool) -> bool {
    !is_short && full_percent(room) <= u64::from(low_percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::{
        disk::model::Marks,
        manifest,
        model::{Archive, Pod},
    };

    const NOW: u64 = 10_000;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn image(id: &str, since: u64, used_at: Option<u64>) -> Image {
        Image {
            id: id.to_owned(),
            references: [format!("quay.io/{id}:1").parse().unwrap()].into(),
            size_bytes: 1,
            is_pinned: false,
            since: at(since),
            used_at: used_at.map(at),
        }
    }

    fn observed(percent_full: u64) -> model::Observed {
        let mut observed = model::Observed::default();
        observed.disk.marks = Marks { high_percent: 85, low_percent: 80, minimum_age: Duration::from_secs(120) };
        observed.disk.room = Room { bytes: 100, available_bytes: 100 - percent_full, ..Room::default() };
        observed
    }

    fn ids(desired: &Desired, observed: &model::Observed) -> Option<Vec<String>> {
        surplus(desired, observed, at(NOW)).map(|images| images.into_iter().map(|image| image.id).collect())
    }

    #[test]
    fn nothing_goes_while_there_is_room_or_it_was_just_tried() {
        let (full, none) = (observed(85), Desired::default());
        assert_eq!(ids(&none, &full), Some(vec![]));
        assert_eq!(ids(&none, &observed(84)), None);
        assert_eq!(ids(&none, &model::Observed::default()), None);
        for (ago, expected) in [(59, false), (60, true)] {
            let mut tried = full.clone();
            tried.disk.exhausted_at = Some(at(NOW - ago));
            assert_eq!(ids(&none, &tried).is_some(), expected, "{ago}");
        }
        let mut busy = full;
        busy.disk.is_collecting = true;
        assert_eq!(ids(&none, &busy), None);
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_needed_stays() {
        let mut observed = observed(90);
        let pinned = Image { is_pinned: true, ..image("pinned", 0, None) };
        let pause = Image { references: [model::SANDBOX_IMAGE.parse().unwrap()].into(), ..image("pause", 0, None) };
        observed.disk.images = vec![
            image("lately", 0, Some(NOW - 5)),
            image("never", 9000, None),
            image("before", 0, Some(50)),
            image("used", 0, Some(NOW)),
            image("new", NOW - 119, None),
            image("old", NOW - 120, None),
            image("wanted", 0, None),
            image("preloaded", 0, None),
            image("named", 0, None),
            image("ahead", NOW + 5, None),
            pinned,
            pause,
        ];
        let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: 'quay.io/wanted:1'}]}}";
        let pod: Pod = manifest::parse("/a.yaml", text).unwrap();
        let wanted = pod.spec.containers[0].image.clone();
        observed.images.insert(wanted, "wanted".to_owned());
        let archive = |name: &str, config: &str| {
            let reference: ImageReference = name.parse().unwrap();
            (reference.clone(), Archive { path: String::new(), reference, config: config.to_owned() })
        };
        observed.archives = [archive("localhost/x:1", "preloaded"), archive("quay.io/named:1", "another")].into();
        let desired = Desired { pods: [(pod.spec.key.clone(), pod)].into(), problems: Vec::new() };
        let expected = ["never", "old", "before", "lately"].map(str::to_owned).to_vec();
        assert_eq!(ids(&desired, &observed), Some(expected));
    }

    #[test]
    fn the_low_mark_ends_it() {
        let room = |available_bytes| Room { bytes: 100, available_bytes, ..Room::default() };
        assert!(is_enough(&room(20), 80, false) && !is_enough(&room(19), 80, false) && !is_enough(&room(50), 80, true));
    }
}
