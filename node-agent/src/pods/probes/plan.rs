//! What follows from the answers of probes, and when the next is due: the rules of the kubelet's prober (pkg/kubelet/prober/worker.go).
//! Pure: times are since the prober's beginning.

use std::time::Duration;

use super::model::{Answer, Failed, Kind, Probe, Probes, Verdict};

/// The probes of one run of a container.
#[derive(Debug)]
pub struct Watch {
    probes: Probes,
    /// By kind, as in [`Kind::ALL`].
    tracks: [Track; 3],
}

/// What is known by one probe.
#[derive(Debug, Default)]
struct Track {
    next_at: Duration,
    is_asking: bool,
    last: Option<bool>,
    in_a_row: u32,
    verdict: Option<bool>,
    message: String,
}

impl Watch {
    /// The probes of a container that has run for `ran`. Those of one that was found running begin at different times within their
    /// periods, as `seed` says: an agent that was just started must not ask all of them at once.
    pub fn new(probes: Probes, now: Duration, ran: Duration, seed: u32) -> Self {
        let first = |probe: &Probe| match ran > probe.initial_delay + probe.period {
            true => now + probe.period * (seed % 1000) / 1000,
            false => now + probe.initial_delay.saturating_sub(ran),
        };
        let track = |kind| Track { next_at: probes.get(kind).map_or(now, first), ..Track::default() };
        Self { tracks: Kind::ALL.map(track), probes }
    }

    /// The probe of this kind.
    pub fn probe(&self, kind: Kind) -> Option<&Probe> {
        self.probes.get(kind)
    }

    /// When the next is due; None while nothing is.
    pub fn next_at(&self) -> Option<Duration> {
        Kind::ALL.into_iter().filter(|kind| self.is_wanted(*kind)).map(|kind| self.track(kind).next_at).min()
    }

    /// What is due; it is taken to be asked now.
    pub fn take_due(&mut self, now: Duration) -> Vec<Kind> {
        let is_due = |kind: &Kind| self.is_wanted(*kind) && self.track(*kind).next_at <= now;
        let due: Vec<Kind> = Kind::ALL.into_iter().filter(is_due).collect();
        for kind in &due {
            let period = self.probes.get(*kind).map_or(Duration::ZERO, |probe| probe.period);
            let track = self.track_mut(*kind);
            track.is_asking = true;
            track.next_at = now + period;
        }
        due
    }

    /// Takes note of an answer.
    pub fn note(&mut self, kind: Kind, answer: &Answer) {
        let Some((successes, failures)) = self.probes.get(kind).map(|probe| (probe.successes, probe.failures)) else {
            return;
        };
        let track = self.track_mut(kind);
        track.is_asking = false;
        let is_success = match answer {
            Answer::Success => true,
            Answer::Failure(message) => {
                track.message.clone_from(message);
                false
            }
            // Says nothing of the container.
            Answer::Unknown(_) => return,
        };
        track.in_a_row = if track.last == Some(is_success) { track.in_a_row.saturating_add(1) } else { 1 };
        track.last = Some(is_success);
        if track.in_a_row >= if is_success { successes } else { failures } {
            track.verdict = Some(is_success);
        }
    }

    /// What the answers say by now.
    pub fn verdict(&self) -> Verdict {
        let is_started = self.says(Kind::Startup, true);
        let failed = [Kind::Startup, Kind::Liveness].into_iter().find(|kind| self.track(*kind).verdict == Some(false));
        let readiness = self.track(Kind::Readiness);
        let unready = || Some(readiness.message.clone()).filter(|message| !message.is_empty());
        Verdict {
            is_started,
            is_ready: is_started && self.says(Kind::Readiness, true),
            failed: failed.map(|kind| Failed { kind, message: self.track(kind).message.clone() }),
            unready: if readiness.verdict == Some(true) { None } else { unready() },
        }
    }

    /// Whether a probe said so, or there is none.
    fn says(&self, kind: Kind, verdict: bool) -> bool {
        self.probes.get(kind).is_none() || self.track(kind).verdict == Some(verdict)
    }

    /// Whether it is to be asked at all. After a failure that restarts the container nothing is asked any more: its next run has probes of
    /// its own.
    fn is_wanted(&self, kind: Kind) -> bool {
        let is_over = [Kind::Startup, Kind::Liveness].iter().any(|kind| self.track(*kind).verdict == Some(false));
        let is_started = self.says(Kind::Startup, true);
        let has_turn = if kind == Kind::Startup { self.track(kind).verdict.is_none() } else { is_started };
        self.probes.get(kind).is_some() && has_turn && !is_over && !self.track(kind).is_asking
    }

    fn track(&self, kind: Kind) -> &Track {
        let [startup, liveness, readiness] = &self.tracks;
        match kind {
            Kind::Startup => startup,
            Kind::Liveness => liveness,
            Kind::Readiness => readiness,
        }
    }

    fn track_mut(&mut self, kind: Kind) -> &mut Track {
        let [startup, liveness, readiness] = &mut self.tracks;
        match kind {
            Kind::Startup => startup,
            Kind::Liveness => liveness,
            Kind::Readiness => readiness,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::model::Check, *};

    const NO: &str = "HTTP 500";

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn probe(successes: u32, failures: u32) -> Probe {
        Probe {
            check: Check::Tcp { host: None, port: 80 },
            initial_delay: Duration::ZERO,
            period: secs(10),
            timeout: secs(1),
            successes,
            failures,
            grace: None,
        }
    }

    fn watch(probes: Probes) -> Watch {
        Watch::new(probes, Duration::ZERO, Duration::ZERO, 0)
    }

    fn answer(letter: char) -> Answer {
        match letter {
            '+' => Answer::Success,
            '-' => Answer::Failure(NO.to_owned()),
            _ => Answer::Unknown("no such program".to_owned()),
        }
    }

    /// `r` while ready, `.` while not, after each of `answers`; what comes after a failure is not asked.
    fn readiness(successes: u32, failures: u32, answers: &str) -> String {
        let mut watch = watch(Probes { readiness: Some(probe(successes, failures)), ..Probes::default() });
        let mut now = Duration::ZERO;
        let one = |letter| {
            assert_eq!(watch.take_due(now), [Kind::Readiness], "{answers}");
            watch.note(Kind::Readiness, &answer(letter));
            now += secs(10);
            if watch.verdict().is_ready { 'r' } else { '.' }
        };
        answers.chars().map(one).collect()
    }

    #[test]
    fn thresholds_count_answers_in_a_row() {
        let table = [
            (1, 3, "+--+---+", "rrrrrr.r"),
            (1, 1, "-+-", ".r."),
            (2, 1, "+-++", "...r"),
            // What could not be asked neither counts nor ends a row.
            (1, 2, "+-?-", "rrr."),
            (1, 2, "??+", "..r"),
        ];
        for (successes, failures, answers, expected) in table {
            assert_eq!(readiness(successes, failures, answers), expected, "{successes} {failures} {answers}");
        }
    }

    #[test]
    fn a_container_without_probes_is_ready_and_nothing_is_due() {
        let mut none = watch(Probes::default());
        assert_eq!(none.verdict(), Verdict { is_started: true, is_ready: true, ..Verdict::default() });
        assert_eq!((none.next_at(), none.take_due(secs(99))), (None, vec![]));
    }

    #[test]
    fn liveness_is_held_after_it_failed() {
        let mut watch = watch(Probes { liveness: Some(probe(1, 2)), ..Probes::default() });
        assert!(watch.verdict().is_ready);
        for at in [0, 10] {
            assert_eq!(watch.verdict().failed, None);
            assert_eq!(watch.take_due(secs(at)), [Kind::Liveness]);
            watch.note(Kind::Liveness, &answer('-'));
        }
        let failed = Failed { kind: Kind::Liveness, message: NO.to_owned() };
        assert_eq!(watch.verdict().failed, Some(failed));
        assert_eq!((watch.next_at(), watch.take_due(secs(99))), (None, vec![]));
    }

    #[test]
    fn the_startup_probe_holds_the_others_back_and_is_asked_no_more_when_it_succeeded() {
        let some = || Some(probe(1, 3));
        let mut watch = watch(Probes { startup: some(), liveness: some(), readiness: some() });
        assert_eq!(watch.take_due(secs(0)), [Kind::Startup]);
        // It is being asked.
        assert_eq!((watch.next_at(), watch.take_due(secs(50))), (None, vec![]));
        watch.note(Kind::Startup, &answer('-'));
        assert_eq!((watch.verdict().is_started, watch.verdict().is_ready), (false, false));
        assert_eq!((watch.next_at(), watch.take_due(secs(10))), (Some(secs(10)), vec![Kind::Startup]));
        watch.note(Kind::Startup, &answer('+'));
        assert_eq!((watch.verdict().is_started, watch.verdict().is_ready), (true, false));
        assert_eq!(watch.take_due(secs(10)), [Kind::Liveness, Kind::Readiness]);
        watch.note(Kind::Readiness, &answer('+'));
        watch.note(Kind::Liveness, &answer('+'));
        assert!(watch.verdict().is_ready);
        assert_eq!((watch.next_at(), watch.take_due(secs(20)).len()), (Some(secs(20)), 2));
    }

    #[test]
    fn a_startup_probe_that_fails_restarts() {
        let mut watch = watch(Probes { startup: Some(probe(1, 1)), liveness: Some(probe(1, 1)), readiness: None });
        watch.take_due(secs(0));
        watch.note(Kind::Startup, &answer('-'));
        assert_eq!(watch.verdict().failed.map(|failed| failed.kind), Some(Kind::Startup));
        assert_eq!(watch.next_at(), None);
    }

    #[test]
    fn the_delay_is_from_the_containers_start() {
        let probes =
            |delay| Probes { liveness: Some(Probe { initial_delay: secs(delay), ..probe(1, 1) }), ..Probes::default() };
        // now, delay, ran, seed, first
        let table = [
            (5, 0, 0, 0, 5),
            (5, 15, 0, 0, 20),
            (5, 15, 10, 0, 10),
            (5, 15, 20, 0, 5),
            (5, 15, 99, 500, 10),
            (5, 0, 99, 900, 14),
        ];
        for (now, delay, ran, seed, first) in table {
            let watch = Watch::new(probes(delay), secs(now), secs(ran), seed);
            assert_eq!(watch.next_at(), Some(secs(first)), "{now} {delay} {ran} {seed}");
        }
    }

    #[test]
    fn why_it_is_not_ready_is_reported_until_it_is() {
        let mut watch = watch(Probes { readiness: Some(probe(1, 3)), ..Probes::default() });
        assert_eq!(watch.verdict().unready, None);
        watch.note(Kind::Readiness, &answer('-'));
        assert_eq!(watch.verdict().unready.as_deref(), Some(NO));
        watch.note(Kind::Readiness, &answer('+'));
        assert_eq!(watch.verdict().unready, None);
    }
}
