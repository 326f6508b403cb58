//! Events that are to be reported, and how often each was.

use std::collections::VecDeque;

use super::{
    member::{Member, time},
    pace::Duty,
};
use crate::{
    act::EventRecorder,
    client::{Failure, Kind},
    plan::{self, event::Event},
};

/// Events that wait to be reported; the oldest are dropped.
const MAX_EVENTS: usize = 16;

/// Those that wait; true: of the agent's start.
pub(super) struct Events {
    waiting: VecDeque<(Event, bool)>,
    recorder: EventRecorder,
}

impl Events {
    /// Begins with those of the agent's start.
    pub(super) fn new(first: Vec<Event>) -> Self {
        let waiting = first.into_iter().map(|event| (event, true)).collect();
        Self { waiting, recorder: EventRecorder::default() }
    }

    fn add(&mut self, events: Vec<Event>) {
        self.waiting.extend(events.into_iter().map(|event| (event, false)));
        while self.waiting.len() > MAX_EVENTS {
            self.waiting.pop_front();
        }
    }
}

impl Member {
    /// Events that are to be reported.
    pub(super) fn will_record(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.events.add(events);
        self.schedule.hasten(Duty::Record, self.now());
    }

    /// Reports the first of those that wait.
    pub(super) async fn record_events(&mut self) -> Result<(), Failure> {
        self.schedule.rest(Duty::Record);
        let Some((event, is_first)) = self.events.waiting.front() else { return Ok(()) };
        let now = time();
        let object = plan::event::object(event, &self.known, &self.identity, &self.subject_uid(), &now);
        let (own, is_first) = (self.access.client.own(), *is_first);
        let reported = self.events.recorder.record(&own, object, is_first, &now).await;
        let is_over = reported.as_ref().err().is_none_or(|failure| failure.kind() == Kind::Rejected);
        if is_over {
            self.events.waiting.pop_front();
        }
        if !self.events.waiting.is_empty() {
            self.schedule.set(Duty::Record, self.now());
        }
        reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Phase};

    #[test]
    fn the_oldest_of_too_many_are_dropped() {
        let first = plan::event::events(None, (&Facts::default(), Phase::Idle));
        let event = first.first().unwrap().clone();
        let mut events = Events::new(first);
        events.add(vec![event; MAX_EVENTS]);
        assert_eq!(events.waiting.len(), MAX_EVENTS);
        assert!(events.waiting.iter().all(|(_, is_first)| !is_first));
    }
}
