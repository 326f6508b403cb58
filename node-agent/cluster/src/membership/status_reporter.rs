//! What a membership reports to the machine: one report, published when it changes.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use crate::{
    client::Counters,
    model::{DrainProgress, Report, State},
};

/// Keeps the report, and says in the log what is new in it.
pub(super) struct StatusReporter {
    report: Report,
    problems: BTreeMap<&'static str, String>,
    counters: Arc<Counters>,
    out: watch::Sender<Report>,
}

impl StatusReporter {
    pub(super) fn new(report: Report, counters: Arc<Counters>, out: watch::Sender<Report>) -> Self {
        let status_reporter = Self { report, problems: BTreeMap::new(), counters, out };
        status_reporter.out.send_replace(status_reporter.report.clone());
        status_reporter
    }

    /// The membership stands so now.
    pub(super) fn set_state(&mut self, state: State) {
        if self.report.state != state {
            let name = &self.report.name;
            match &state {
                State::Off | State::Joining => {}
                State::WaitingForClock => log::info!("cluster {name}: waiting until the clock is set"),
                State::Connected => log::info!("cluster {name}: connected"),
                State::Unreachable { reason, .. } => log::warn!("cluster {name}: {reason}"),
                State::Refused { reason } => log::warn!("cluster {name}: {reason}"),
            }
            self.report.state = state;
        }
        self.publish();
    }

    /// No server answers. Since when it is so is kept, the reason is of the first failure until it changes.
    pub(super) fn unreachable(&mut self, reason: String) {
        let since = match &self.report.state {
            State::Unreachable { since, .. } => *since,
            State::Off | State::WaitingForClock | State::Joining | State::Connected | State::Refused { .. } => {
                seconds()
            }
        };
        self.set_state(State::Unreachable { since, reason });
    }

    /// The node is called so there.
    pub(super) fn set_name(&mut self, name: &str) {
        self.report.node = Some(name.to_owned());
        self.publish();
    }

    /// Whether the cluster answered last.
    pub(super) fn is_connected(&self) -> bool {
        self.report.state == State::Connected
    }

    /// Something is wrong with `what`: said once, until it is another thing or over.
    pub(super) fn set_problem(&mut self, what: &'static str, why: String) {
        if self.problems.get(what) != Some(&why) {
            log::warn!("cluster {}: {what}: {why}", self.report.name);
            self.problems.insert(what, why);
        }
        self.publish();
    }

    /// Nothing is wrong with `what` (any more).
    pub(super) fn clear_problem(&mut self, what: &'static str) {
        if self.problems.remove(what).is_some() {
            log::info!("cluster {}: {what} works again", self.report.name);
        }
        self.publish();
    }

    /// The server in use.
    pub(super) fn set_server(&mut self, server: Option<String>) {
        self.report.server = server.or(self.report.server.take());
    }

    /// The certificate in use ends then.
    pub(super) fn holds_until(&mut self, until: Option<u64>) {
        self.report.certificate_until = until;
        self.publish();
    }

    /// The image that the NodeOS asks for.
    pub(super) fn asks(&mut self, image: Option<&str>) {
        self.report.image = image.map(str::to_owned);
        self.publish();
    }

    /// The kubelet that the NodeOS asks for.
    pub(super) fn asks_kubelet(&mut self, image: Option<&str>) {
        self.report.kubelet = Some(image.map(str::to_owned));
        self.publish();
    }

    /// The API server's version, as far as it is known.
    pub(super) fn set_server_version(&mut self, version: Option<String>) {
        self.report.server_version = version;
        self.publish();
    }

    /// What the rollout is at.
    pub(super) fn rolls(&mut self, rollout: Option<String>) {
        self.report.rollout = rollout;
        self.publish();
    }

    /// How far the node is emptied that is to go down.
    pub(super) fn drains(&mut self, drain: Option<DrainProgress>) {
        self.report.drain = drain;
        self.publish();
    }

    fn publish(&mut self) {
        let problems = self.problems.iter().map(|(what, why)| format!("{what}: {why}")).collect();
        let (counters, report) = (&self.counters, &mut self.report);
        report.problems = problems;
        report.traffic = counters.traffic();
        self.out.send_if_modified(|last| {
            let is_new = *last != *report;
            if is_new {
                last.clone_from(report);
            }
            is_new
        });
    }
}

/// Now, in seconds since 1970.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreachable_is_since_the_first_failure_and_problems_are_reported_while_they_last() {
        let (out, inside) = watch::channel(Report::default());
        let mut status_reporter = StatusReporter::new(Report::default(), Arc::default(), out);
        status_reporter.unreachable("refused".to_owned());
        let State::Unreachable { since, .. } = inside.borrow().state.clone() else { panic!("not unreachable") };
        status_reporter.unreachable("no route".to_owned());
        assert_eq!(inside.borrow().state, State::Unreachable { since, reason: "no route".to_owned() });
        status_reporter.set_problem("watching", "403".to_owned());
        assert_eq!(inside.borrow().problems, ["watching: 403"]);
        status_reporter.clear_problem("watching");
        assert!(inside.borrow().problems.is_empty());
    }
}
