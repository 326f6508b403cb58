//! What the loop does for a node that is to go down: tells it what the domains know, ends the kubelet's pods where one runs them, and says on the
//! console what is asked for.

use std::time::Duration;

use super::{Agent, Observed, kubelet};
use crate::{
    cluster::model::{Report, State},
    kubelet::observe::LONGEST_GRACE,
    pods::plan::left_to_end,
    power::model::{Cluster, Pods, Seen},
    report::{console, socket::AskedPower},
};

impl Agent {
    /// Takes orders, and goes on with the one that has begun.
    pub(super) async fn act_on_power(&mut self, observed: &Observed) {
        let operation = self.update.running().map(|(command, _)| command.name().to_owned());
        while let Ok(AskedPower { order, client }) = self.asked_power.try_recv() {
            self.power.ask(order, client, operation.as_deref());
        }
        if !self.power.is_up() {
            let pods = self.pods_left(observed);
            let reports = self.memberships.reports();
            let clusters = observed.settings.as_ref().map(|_| reports.iter().filter_map(cluster).collect());
            self.power.go_on(Seen { now: Duration::ZERO, operation, clusters, pods }).await;
        }
        if !self.power.is_ending() {
            self.kubelet.stay();
        }
        if observed.is_ending
            && let Some((_, pods)) = &observed.pods
        {
            let noted = self.pods.cut_short(&self.host, pods).await;
            self.warnings.note(noted);
        }
        for line in self.power.announced() {
            self.warnings.note(console::print(&self.host, &format!("ballast: {line}")));
        }
    }

    /// The pods that still run here; a kubelet's are ended first.
    fn pods_left(&mut self, observed: &Observed) -> Pods {
        let is_hosted = observed.kubelet.as_ref().is_some_and(kubelet::Observation::is_hosted);
        match (&observed.pods, self.runtime.cri()) {
            (_, Some(cri)) if is_hosted && observed.is_ending => {
                let has_left = self.kubelet.leave(observed.systemd.as_ref(), cri);
                let names = if has_left { Vec::new() } else { vec!["those of the kubelet".to_owned()] };
                Pods::Run { names, grace: LONGEST_GRACE }
            }
            (Some((desired, pods)), Some(_)) if !is_hosted => {
                let (names, grace) = left_to_end(desired, pods);
                Pods::Run { names, grace }
            }
            (Some(_) | None, _) => Pods::Unknown,
        }
    }
}

/// A cluster that has a Node of this machine, as far as a drain goes.
fn cluster(report: &Report) -> Option<Cluster> {
    if !report.role.has_node() {
        return None;
    }
    let waits = match (&report.state, &report.drain) {
        (State::Connected, Some(drain)) if drain.is_done => None,
        (State::Connected, Some(drain)) => Some(drain.message.clone()),
        (State::Connected, None) => Some("it is asked which pods are here".to_owned()),
        // A cluster that the settings have nothing to join with has no pods here.
        (State::Off, _) => return None,
        (State::Unreachable { reason, .. } | State::Refused { reason }, _) => {
            Some(format!("it does not answer ({reason})"))
        }
        (State::WaitingForClock | State::Joining, _) => Some("it is not joined yet".to_owned()),
    };
    Some(Cluster { name: report.name.clone(), waits })
}
