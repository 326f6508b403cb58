//! A machine as its agent shows it: it prepares, reboots, tries releases, falls back. Power cuts and crashes come on top.

use ballast_cluster::model::{Facts, Failed, FailedRelease, Hosted, Operation, Order, Os, Prepared, Release};

use super::rng::Rng;

/// Seconds that a release has to prove itself.
const TRIAL: u64 = 40;
/// Boots that a release on trial has.
const TRIES: u32 = 3;

/// The release named by a letter.
pub(crate) fn release(letter: char) -> Release {
    let digest = format!("sha256:{}", letter.to_string().repeat(64));
    Release { image: format!("r.example/os@{digest}"), digest, version: letter.to_string() }
}

pub(crate) struct Machine {
    pub(crate) booted: Release,
    last_good: Release,
    next: Option<Release>,
    failed: Vec<FailedRelease>,
    boot: u32,
    /// The tries that are left to what runs, and when this one ends. None: it has proved itself.
    trial: Option<(u32, u64)>,
    /// From when on it is up.
    up_at: u64,
    /// It went down because the rollout said so, and has not come back with a release that is well.
    pub(crate) is_down_by_order: bool,
    operation: Option<(u64, String, u64)>,
    prepared: Option<Prepared>,
    failure: Option<Failed>,
    /// Releases that do not work.
    pub(crate) bad: Vec<char>,
    /// What the tag means.
    pub(crate) tag: char,
    /// It was ordered to boot a bad release.
    pub(crate) tried_bad: bool,
    pub(crate) kubelet: Kubelet,
}

/// The kubelet on a machine: versions by their letters, each another minor version.
#[derive(Clone, Default)]
pub(crate) struct Kubelet {
    /// None until one is asked for: the machine hosts none.
    pub(crate) runs: Option<char>,
    pub(crate) wanted: Option<char>,
    failed: Vec<char>,
    /// What ran before, and when the new one has proved itself or failed.
    trial: Option<(char, u64)>,
    pub(crate) bad: Vec<char>,
}

impl Kubelet {
    fn waits(&self) -> Option<char> {
        self.wanted.filter(|wanted| self.runs != Some(*wanted) && !self.failed.contains(wanted))
    }

    fn facts(&self) -> Option<Hosted> {
        let runs = self.runs?;
        let failed = |letter: char| FailedRelease {
            digest: release(letter).digest,
            version: letter.to_string(),
            reason: "it was not healthy".to_owned(),
            at: 0,
        };
        Some(Hosted {
            runs: Some(release(runs)),
            on_trial: self.trial.is_some(),
            waits: self.waits().map(release),
            stuck: self.wanted.filter(|wanted| self.failed.contains(wanted)).map(failed),
            failed: self.failed.iter().copied().map(failed).collect(),
            ..Hosted::default()
        })
    }
}

impl Machine {
    pub(crate) fn new(bad: Vec<char>) -> Self {
        let booted = release('a');
        Self {
            last_good: booted.clone(),
            booted,
            next: None,
            failed: Vec::new(),
            boot: 1,
            trial: None,
            up_at: 0,
            is_down_by_order: false,
            operation: None,
            prepared: None,
            failure: None,
            bad,
            tag: 'c',
            tried_bad: false,
            kubelet: Kubelet::default(),
        }
    }

    pub(crate) fn is_up(&self, now: u64) -> bool {
        now >= self.up_at
    }

    fn is_bad(&self, release: &Release) -> bool {
        self.bad.iter().any(|bad| release.version == bad.to_string())
    }

    /// When something changes by itself.
    pub(crate) fn next_change(&self, now: u64) -> u64 {
        let operation = self.operation.as_ref().map(|(_, _, end)| *end);
        let trial = self.trial.map(|(_, end)| end);
        let up = (!self.is_up(now)).then_some(self.up_at);
        let kubelet = self.kubelet.trial.map(|(_, end)| end);
        [operation, trial, up, kubelet].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// What has come to pass by `now`.
    pub(crate) fn tick(&mut self, now: u64, rng: &mut Rng) {
        if !self.is_up(now) {
            return;
        }
        if let Some((before, _)) = self.kubelet.trial.take_if(|(_, end)| *end <= now) {
            let is_bad = |letter: &char| self.kubelet.bad.contains(letter);
            if let Some(bad) = self.kubelet.runs.filter(is_bad) {
                self.kubelet.failed.push(bad);
                self.kubelet.runs = Some(before);
            }
            self.is_down_by_order = false;
        }
        if let Some((id, image, _)) = self.operation.take_if(|(_, _, end)| *end <= now) {
            self.prepare(id, image, rng);
        }
        if let Some((tries, _)) = self.trial.filter(|(_, end)| *end <= now) {
            match (self.is_bad(&self.booted), tries) {
                (false, _) => {
                    self.trial = None;
                    self.last_good = self.booted.clone();
                    self.is_down_by_order = false;
                }
                (true, _) => self.reboot(now, rng),
            }
        }
    }

    fn prepare(&mut self, order: u64, image: String, rng: &mut Rng) {
        let wanted = match image.split_once("@sha256:").and_then(|(_, digits)| digits.chars().next()) {
            Some(letter) => release(letter),
            None => Release { image: image.clone(), ..release(self.tag) },
        };
        let digest = wanted.digest.clone();
        if rng.permille(100) {
            let message = "the registry did not answer".to_owned();
            self.failure = Some(Failed { order, image, refused: false, message, digest: None });
        } else if self.failed.iter().any(|failed| failed.digest == digest) {
            let message = "it failed here".to_owned();
            self.failure = Some(Failed { order, image, refused: true, message, digest: Some(digest) });
        } else {
            self.next = (wanted.digest != self.booted.digest).then_some(wanted);
            self.prepared = Some(Prepared { order, image, digest });
        }
    }

    /// Down, and up again with what boots next. What was not written down is forgotten.
    pub(crate) fn reboot(&mut self, now: u64, rng: &mut Rng) {
        self.boot += 1;
        // A version on trial waits again: what ran is known by what is rendered, which a boot forgets.
        if let Some((before, _)) = self.kubelet.trial.take() {
            self.kubelet.runs = Some(before);
        }
        self.up_at = now + rng.between(20, 120);
        self.operation = None;
        self.prepared = None;
        self.failure = None;
        let left = self.trial.map(|(tries, _)| tries);
        if let Some(next) = self.next.take() {
            self.booted = next;
            self.trial = Some((TRIES, self.up_at + TRIAL));
        } else if left == Some(1) {
            self.failed.push(FailedRelease {
                digest: self.booted.digest.clone(),
                version: self.booted.version.clone(),
                reason: "it did not become healthy".to_owned(),
                at: now,
            });
            self.booted = self.last_good.clone();
            self.trial = None;
            self.is_down_by_order = false;
        } else if let Some(tries) = left {
            self.trial = Some((tries - 1, self.up_at + TRIAL));
        } else {
            self.is_down_by_order = false;
        }
    }

    pub(crate) fn order(&mut self, order: &Order, now: u64, rng: &mut Rng) {
        match order {
            Order::Prepare { id, image } => {
                self.operation = Some((*id, image.clone(), now + rng.between(5, 90)));
            }
            Order::Kubelet { digest } => {
                let waits = self.kubelet.waits().filter(|waits| release(*waits).digest == *digest);
                if let (Some(waits), Some(runs)) = (waits, self.kubelet.runs) {
                    self.kubelet.runs = Some(waits);
                    self.kubelet.trial = Some((runs, now + rng.between(5, 60)));
                    self.tried_bad |= self.kubelet.bad.contains(&waits);
                    self.is_down_by_order = true;
                }
            }
            Order::Reboot { .. } => {
                self.tried_bad |= self.next.as_ref().is_some_and(|next| self.is_bad(next));
                self.is_down_by_order = true;
                self.reboot(now, rng);
            }
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        let operation =
            self.operation.as_ref().map(|_| Operation { name: "upgrade".to_owned(), ..Operation::default() });
        let is_ready = self.trial.is_none() || !self.is_bad(&self.booted);
        Facts {
            boot_id: self.boot.to_string(),
            clock_is_set: true,
            ready: if is_ready { Ok(()) } else { Err("no runtime".to_owned()) },
            os: Os {
                booted: self.booted.clone(),
                next: self.next.clone(),
                last_good: Some(self.last_good.clone()),
                failed: self.failed.clone(),
                on_trial: self.trial.is_some(),
                operation,
                prepared: self.prepared.clone(),
                failure: self.failure.clone(),
            },
            hosted: self.kubelet.facts(),
            ..Facts::default()
        }
    }
}
