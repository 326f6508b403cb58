//! Looks how much room /var has, and does what the plan says: removes images and measures pods beside the loop, remembers which pods
//! were ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};
use ballast_types::ImageReference;
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    collect::is_enough,
    model::{DiskUse, Eviction, Image, Marks, Observed, Room, Steps, Usage},
    plan::{full_percent, is_short},
    usage,
};
use crate::clients::{
    cri::{self, Cri},
    host::Host,
    space, store,
};

const VAR: &str = "/var";

/// Which pods were ended: over a restart of the agent, not of the node.
const EVICTED: &str = "/run/ballast/evicted.json";

/// How often pods are measured (the kubelet's housekeeping), at the least; and which part of the time that may take.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
const MEASURE_SHARE: u32 = 20;

/// Keeps room on /var.
#[derive(Debug)]
pub struct DiskController {
    host: Host,
    changed: Arc<Notify>,
    /// Images by id: since when they are here, and when they were last used. None before the first look.
    images: Option<BTreeMap<String, (SystemTime, Option<SystemTime>)>>,
    marks: Marks,
    room: Room,
    is_short: bool,
    collecting: Option<JoinHandle<Collected>>,
    exhausted_at: Option<SystemTime>,
    measuring: Option<JoinHandle<Result<BTreeMap<String, Usage>>>>,
    began: Option<Instant>,
    measure_at: Option<Instant>,
    usage: BTreeMap<String, Usage>,
    evicted: Option<BTreeMap<String, Eviction>>,
    images_removed: u64,
    evictions: u64,
}

/// What came of removing images.
#[derive(Debug)]
struct Collected {
    removed: u64,
    is_enough: bool,
}

impl DiskController {
    /// Has seen nothing yet. The end of what it does beside the loop wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        Self {
            host,
            changed,
            images: None,
            marks: Marks::default(),
            room: Room::default(),
            is_short: false,
            collecting: None,
            exhausted_at: None,
            measuring: None,
            began: None,
            measure_at: None,
            usage: BTreeMap::new(),
            evicted: None,
            images_removed: 0,
            evictions: 0,
        }
    }

    /// What the disk looks like; `used` are the ids of images that containers of ours have.
    pub(in crate::pods) async fn observe(
        &mut self,
        listed: Vec<cri::Image>,
        used: &BTreeSet<String>,
        marks: Marks,
        now: SystemTime,
    ) -> Observed {
        self.collect_ended(now).await;
        self.marks = marks;
        self.room = room(&self.host);
        self.is_short = is_short(&self.room, self.is_short);
        if !self.is_short && full_percent(&self.room) < u64::from(marks.high_percent) {
            self.exhausted_at = None;
        }
        let images = self.note_images(listed, used, now);
        let evicted = self.evicted().clone();
        Observed {
            marks,
            room: self.room,
            is_short: self.is_short,
            images,
            usage: self.usage.clone(),
            is_measuring_due: self.measuring.is_none() && self.measure_at.is_none_or(|at| at <= Instant::now()),
            is_collecting: self.collecting.is_some(),
            exhausted_at: self.exhausted_at,
            evicted,
        }
    }

    /// Does what the plan says.
    ///
    /// # Errors
    /// If it cannot be written down which pods were ended; they are all the same.
    pub(in crate::pods) fn act(&mut self, steps: &Steps, cri: &Cri, now: SystemTime) -> Result<()> {
        if let Some(images) = &steps.collect {
            let (host, cri, marks) = (self.host.clone(), cri.clone(), self.marks);
            let (images, changed) = (images.clone(), Arc::clone(&self.changed));
            self.collecting = Some(tokio::spawn(async move {
                let collected = collect(&host, &cri, images, marks).await;
                changed.notify_one();
                collected
            }));
        }
        if !steps.measure.is_empty() {
            let (host, cri, owners) = (self.host.clone(), cri.clone(), steps.measure.clone());
            let changed = Arc::clone(&self.changed);
            self.began = Some(Instant::now());
            self.measuring = Some(tokio::spawn(async move {
                let usage = usage::measure(host, cri, owners).await;
                changed.notify_one();
                usage
            }));
        }
        self.end(steps, now)
    }

    /// What was done so far.
    pub fn disk_use(&self) -> DiskUse {
        let Self { room, is_short, images_removed, evictions, .. } = *self;
        DiskUse { room, is_short, images_removed, evictions }
    }

    fn end(&mut self, steps: &Steps, now: SystemTime) -> Result<()> {
        if steps.evict.is_empty() && steps.forgive.is_empty() {
            return Ok(());
        }
        let at = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let evicted = self.evicted.get_or_insert_default();
        steps.forgive.iter().for_each(|uid| drop(evicted.remove(uid)));
        for (uid, message) in &steps.evict {
            log::warn!("ending a pod: {message}");
            evicted.insert(uid.clone(), Eviction { at, message: message.clone() });
            self.usage.remove(uid);
            self.evictions += 1;
            self.changed.notify_one();
        }
        // What the ended pods free is seen before another one has to go for it.
        self.exhausted_at = None;
        let text = serde_json::to_vec(&self.evicted).context("writing down which pods were ended")?;
        store::write(&self.host.path(EVICTED), &text)
    }

    fn evicted(&mut self) -> &BTreeMap<String, Eviction> {
        let Self { host, evicted, .. } = self;
        evicted.get_or_insert_with(|| {
            recall(host).unwrap_or_else(|error| {
                log::warn!("{error:#}; pods that were ended start again");
                BTreeMap::new()
            })
        })
    }

    async fn collect_ended(&mut self, now: SystemTime) {
        if let Some(task) = self.collecting.take_if(|task| task.is_finished()) {
            match task.await {
                Ok(Collected { removed, is_enough }) => {
                    self.images_removed += removed;
                    self.exhausted_at = (!is_enough).then_some(now);
                }
                Err(error) => log::error!("removing images: {error}"),
            }
        }
        if let Some(task) = self.measuring.take_if(|task| task.is_finished()) {
            match task.await.context("its task ended").and_then(|usage| usage) {
                Ok(usage) => self.usage = usage,
                Err(error) => log::warn!("measuring what pods take of the disk: {error:#}"),
            }
            let took = self.began.map(|began| began.elapsed()).unwrap_or_default();
            self.measure_at = Some(Instant::now() + MEASURE_EVERY.max(took * MEASURE_SHARE));
        }
    }

    fn note_images(&mut self, listed: Vec<cri::Image>, used: &BTreeSet<String>, now: SystemTime) -> Vec<Image> {
        // Those that were here before the agent are old (the kubelet's rule).
        let before = self.images.take();
        let since = if before.is_none() { SystemTime::UNIX_EPOCH } else { now };
        let before = before.unwrap_or_default();
        let mut known = BTreeMap::new();
        let note = |image: cri::Image| {
            let (since, used_at) = before.get(&image.id).copied().unwrap_or((since, None));
            let used_at = if used.contains(&image.id) { Some(now) } else { used_at };
            known.insert(image.id.clone(), (since, used_at));
            let references = image.references.iter().filter_map(|text| ImageReference::parse(text).ok()).collect();
            let cri::Image { id, size_bytes, is_pinned, .. } = image;
            Image { id, references, size_bytes, is_pinned, since, used_at }
        };
        let images = listed.into_iter().map(note).collect();
        self.images = Some(known);
        images
    }
}

fn recall(host: &Host) -> Result<BTreeMap<String, Eviction>> {
    let Some(text) = store::read(&host.path(EVICTED))? else { return Ok(BTreeMap::new()) };
    serde_json::from_slice(&text).with_context(|| format!("reading {EVICTED}"))
}

/// What cannot be asked is not short.
fn room(host: &Host) -> Room {
    match space::room(host, VAR) {
        Ok(space::Room { bytes, available_bytes, inodes, available_inodes }) => {
            Room { bytes, available_bytes, inodes, available_inodes }
        }
        Err(error) => {
            log::debug!("{error:#}");
            Room::default()
        }
    }
}

/// Removes `images`, one after the other, until /var is at the low mark.
async fn collect(host: &Host, cri: &Cri, images: Vec<Image>, marks: Marks) -> Collected {
    let mut removed = 0;
    let enough = || {
        let room = room(host);
        is_enough(&room, marks.low_percent, is_short(&room, true))
    };
    // Also by containers that are not ours, and by those that came since.
    let used = match cri.images_in_use().await {
        Ok(used) => used,
        Err(error) => {
            log::warn!("removing images: {error}");
            return Collected { removed, is_enough: false };
        }
    };
    let is_used = |image: &Image| {
        used.contains(&image.id) || image.references.iter().any(|reference| used.contains(&reference.to_string()))
    };
    for image in images {
        if enough() {
            break;
        }
        if is_used(&image) {
            continue;
        }
        let full = full_percent(&room(host));
        match cri.remove_image(&image.id).await {
            Ok(()) => {
                removed += 1;
                log::info!("removed the image {}, {} bytes: /var is {full} % full", image.name(), image.size_bytes);
            }
            Err(error) => log::warn!("removing the image {}: {error}", image.name()),
        }
    }
    Collected { removed, is_enough: enough() }
}
