//! What to do now about a node that is to go down: pure.

use std::time::Duration;

use ballast_types::FailureKind;

use super::model::{Action, Cluster, Failure, LATEST, Order, Phase, Pods, Scheduled, Seen, Step, Underway};

/// A scheduled one waits so long for an operation: an upgrade has an hour to fetch, and more to do.
const OPERATION: Duration = Duration::from_secs(2 * 3600);

/// What ending pods takes beside their grace: the runtime has to do it.
const BESIDE_GRACE: Duration = Duration::from_secs(30);

/// No pod keeps the node up for longer, whatever grace its manifest asks for: as with a kubelet's pods.
const LONGEST: Duration = Duration::from_secs(600);

/// systemd stops every unit within 90 s, one after the other at worst; by then it has not.
const GOING: Duration = Duration::from_secs(300);

/// So many pods are named.
const SOME_NAMES: usize = 3;

/// What speaks against `order`; None: nothing.
pub fn refusal(order: &Order, operation: Option<&str>, pending: Option<&str>) -> Option<Failure> {
    let refused = |message: String| Some(Failure { kind: FailureKind::Refused, message });
    let busy = |message: String| Some(Failure { kind: FailureKind::Busy, message });
    if order.action == Action::Cancel {
        return None;
    }
    if let Some(pending) = pending {
        return busy(pending.to_owned());
    }
    if let Some(operation) = operation.filter(|_| !order.force) {
        return busy(format!("{operation} is running; wait for its end, or use --force, which cancels it"));
    }
    if order.in_secs.is_some_and(|secs| secs > LATEST.as_secs()) {
        return refused(format!("in_secs: expected at most {} s", LATEST.as_secs()));
    }
    if order.drain_timeout_secs.is_some_and(|secs| secs > LATEST.as_secs()) {
        return refused(format!("drain_timeout_secs: expected at most {} s", LATEST.as_secs()));
    }
    None
}

/// Whether its time has come.
pub fn is_due(scheduled: &Scheduled, now: Duration) -> bool {
    now >= Duration::from_secs(scheduled.at_secs)
}

/// What to do now about `underway`.
pub fn step(underway: &Underway, seen: &Seen) -> Step {
    let Underway { order, phase, since, .. } = underway;
    let been = seen.now.saturating_sub(*since);
    let busy = seen.operation.as_deref().filter(|_| !order.force);
    match phase {
        Phase::Waits => match busy {
            None if order.drain => Step::Enter(Phase::Drains),
            None => Step::Enter(Phase::EndsPods),
            Some(operation) => wait_for(operation, been),
        },
        Phase::Drains => match (drains(order, seen.clusters.as_deref(), been), busy) {
            (None, None) => Step::Enter(Phase::EndsPods),
            (None, Some(operation)) => wait_for(operation, been),
            (Some(step), _) => step,
        },
        Phase::EndsPods if underway.is_hurried => Step::Enter(Phase::GoesDown),
        Phase::EndsPods => ends(&seen.pods, been),
        Phase::GoesDown if been > GOING => give_up(format!(
            "systemd was told to go down and did not within {} s; see ballast logs, or use --force",
            GOING.as_secs()
        )),
        Phase::GoesDown => Step::Wait(order.action.sentence().to_owned()),
    }
}

fn give_up(message: String) -> Step {
    Step::GiveUp(Failure { kind: FailureKind::Failed, message })
}

fn wait_for(operation: &str, been: Duration) -> Step {
    match been > OPERATION {
        true => give_up(format!("{operation} does not end; see ballast releases, or use --force, which cancels it")),
        false => Step::Wait(format!("{operation} is running; its end is waited for")),
    }
}

/// None: all are empty.
fn drains(order: &Order, clusters: Option<&[Cluster]>, been: Duration) -> Option<Step> {
    let waits: Vec<String> = match clusters {
        Some(clusters) => clusters
            .iter()
            .filter_map(|cluster| Some(format!("cluster {}: {}", cluster.name, cluster.waits.as_ref()?)))
            .collect(),
        None => vec!["its clusters are not known yet".to_owned()],
    };
    if waits.is_empty() {
        return None;
    }
    let waits = waits.join("; ");
    Some(match been >= order.drain_timeout() {
        true => give_up(format!(
            "not drained within {} s, so the node stays up and takes pods again: {waits}; give it longer (--drain-timeout), or leave --drain out",
            order.drain_timeout().as_secs()
        )),
        false => Step::Wait(waits),
    })
}

/// Each has its grace. What does not end then keeps the node from nothing: systemd kills it.
fn ends(pods: &Pods, been: Duration) -> Step {
    match pods {
        Pods::Run { names, .. } if names.is_empty() => Step::Enter(Phase::GoesDown),
        Pods::Run { names, grace } if been < (*grace).min(LONGEST) + BESIDE_GRACE => {
            let grace = (*grace).min(LONGEST);
            let some = names.iter().take(SOME_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if names.len() > SOME_NAMES { ", …" } else { "" };
            let verb = if names.len() == 1 { "pod ends" } else { "pods end" };
            Step::Wait(format!("{} {verb}, within {} s: {some}{more}", names.len(), grace.as_secs()))
        }
        Pods::Unknown if been < BESIDE_GRACE => {
            Step::Wait("the container runtime does not answer, so nobody knows which pods run".to_owned())
        }
        Pods::Run { .. } | Pods::Unknown => Step::Enter(Phase::GoesDown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(drain: bool, force: bool) -> Order {
        Order { drain, drain_timeout_secs: Some(60), ..Order::now(Action::Reboot, force) }
    }

    fn seen(now: u64, operation: Option<&str>, waits: Option<&str>, pods: &[&str]) -> Seen {
        Seen {
            now: Duration::from_secs(now),
            operation: operation.map(str::to_owned),
            clusters: Some(vec![Cluster { name: "a".to_owned(), waits: waits.map(str::to_owned) }]),
            pods: Pods::Run {
                names: pods.iter().map(|&name| name.to_owned()).collect(),
                grace: Duration::from_secs(30),
            },
        }
    }

    #[test]
    fn no_pod_keeps_the_node_up_for_ever() {
        let run = |secs| Pods::Run { names: vec!["db".to_owned()], grace: Duration::from_secs(secs) };
        let day = |now| Seen { pods: run(86_400), ..seen(now, None, None, &[]) };
        assert_eq!(shown(Phase::EndsPods, order(false, false), &day(700)), "wait: 1 pod ends, within 600 s: db");
        assert_eq!(shown(Phase::EndsPods, order(false, false), &day(731)), "goes-down");
        let underway = Underway {
            order: order(false, true),
            is_scheduled: false,
            phase: Phase::EndsPods,
            since: Duration::from_secs(100),
            is_hurried: true,
        };
        assert_eq!(step(&underway, &day(101)), Step::Enter(Phase::GoesDown));
        // Nobody knows yet which clusters there are: nothing is drained before.
        let unknown = |now| Seen { clusters: None, ..seen(now, None, None, &[]) };
        let drains = |now| shown(Phase::Drains, order(true, false), &unknown(now));
        assert_eq!(drains(101), "wait: its clusters are not known yet");
        assert!(drains(161).starts_with("give up: not drained within 60 s"), "{}", drains(161));
    }

    fn shown(phase: Phase, order: Order, seen: &Seen) -> String {
        let underway =
            Underway { order, is_scheduled: false, phase, since: Duration::from_secs(100), is_hurried: false };
        match step(&underway, seen) {
            Step::Wait(message) => format!("wait: {message}"),
            Step::Enter(phase) => phase.name().to_owned(),
            Step::GiveUp(failure) => format!("give up: {}", failure.message),
        }
    }

    #[test]
    fn each_phase_follows_from_what_is_seen() {
        let (empty, held) = (|now| seen(now, None, None, &[]), |now| seen(now, None, Some("budget"), &[]));
        let busy = |now| seen(now, Some("upgrade"), None, &[]);
        let runs = |now| seen(now, None, None, &["web", "db", "a", "b"]);
        let unknown = |now| Seen { pods: Pods::Unknown, ..empty(now) };
        let goes = "the node reboots";
        for (phase, order, seen, expected) in [
            (Phase::Waits, order(false, false), empty(100), "ends-pods"),
            (Phase::Waits, order(true, false), empty(100), "drains"),
            (Phase::Waits, order(true, false), busy(100), "wait: upgrade is running; its end is waited for"),
            (Phase::Waits, order(false, true), busy(100), "ends-pods"),
            (Phase::Waits, order(false, false), busy(100 + 7201), "give up: upgrade does not end"),
            (Phase::Drains, order(true, false), empty(100), "ends-pods"),
            (Phase::Drains, order(true, false), held(159), "wait: cluster a: budget"),
            (
                Phase::Drains,
                order(true, true),
                held(160),
                "give up: not drained within 60 s, so the node stays up and takes pods again: cluster a: budget",
            ),
            (Phase::Drains, order(true, false), busy(100), "wait: upgrade is running"),
            (Phase::EndsPods, order(false, false), runs(159), "wait: 4 pods end, within 30 s: web, db, a, …"),
            (Phase::EndsPods, order(false, false), runs(160), "goes-down"),
            (Phase::EndsPods, order(false, false), empty(100), "goes-down"),
            (Phase::EndsPods, order(false, false), unknown(129), "wait: the container runtime does not answer"),
            (Phase::EndsPods, order(false, false), unknown(130), "goes-down"),
            (Phase::GoesDown, order(false, false), empty(400), &format!("wait: {goes}")),
            (Phase::GoesDown, order(false, false), empty(401), "give up: systemd was told to go down"),
        ] {
            let found = shown(phase, order, &seen);
            assert!(found.starts_with(expected), "{phase:?} {seen:?}: {found}");
        }
    }

    #[test]
    fn what_is_in_the_way_is_reported() {
        let kind = |order: &Order, operation, pending| refusal(order, operation, pending).map(|failure| failure.kind);
        let reboot = order(false, false);
        assert_eq!(kind(&reboot, None, None), None);
        assert_eq!(kind(&reboot, Some("upgrade"), None), Some(FailureKind::Busy));
        assert_eq!(kind(&order(false, true), Some("upgrade"), None), None);
        assert_eq!(kind(&order(false, true), None, Some("the node reboots in 5 s")), Some(FailureKind::Busy));
        assert_eq!(kind(&Order::now(Action::Cancel, false), Some("upgrade"), Some("x")), None);
        let late = Order { in_secs: Some(LATEST.as_secs() + 1), ..reboot };
        assert_eq!(kind(&late, None, None), Some(FailureKind::Refused));
        let scheduled = Scheduled { order: late, at_secs: 10 };
        assert!(!is_due(&scheduled, Duration::from_millis(9999)) && is_due(&scheduled, Duration::from_secs(10)));
    }
}
