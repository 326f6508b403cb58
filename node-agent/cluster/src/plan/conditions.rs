//! The Node's conditions. Readings go up and down around a limit, conditions shall not: each has one limit to become true and another,
//! better one to become false again.

use k8s_openapi::{
    api::core::v1::NodeCondition,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};

use super::{bound, node::NO_KUBELET_TAINT};
use crate::model::{Decision, Facts, Phase};

/// Memory is short below this: the kubelet's own default (`memory.available<100Mi`).
const MEMORY_SHORT: u64 = 100 << 20;
/// And is not any more from this on.
const MEMORY_WELL: u64 = 150 << 20;
/// Per cent of /var that are free: short below the first, well again from the second on (the kubelet's own default is 10).
const STORAGE_PERCENT: (u64, u64) = (10, 12);
/// Per cent of its inodes that are free (the kubelet's own default is 5).
const INODES_PERCENT: (u64, u64) = (5, 7);
/// Per cent of `kernel.pid_max` that are left.
const PIDS_PERCENT: (u64, u64) = (10, 15);
/// The longest message: it is shown in tables, and travels with each status.
const MOST_LETTERS: usize = 512;

/// One condition, before it has times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Its type.
    pub kind: &'static str,
    /// Whether it holds.
    pub is_true: bool,
    /// In one word.
    pub reason: String,
    /// In a sentence.
    pub message: String,
}

/// What holds of the machine; `before` is what this function said last, and empty at first. `is_tainted`: whether its Node keeps pods away.
pub fn conditions(facts: &Facts, rollout: &Decision, is_tainted: bool, before: &[Reported]) -> Vec<Reported> {
    let mut reported = vec![ready(facts), no_kubelet(facts, is_tainted)];
    reported.extend(pressures(facts, before));
    reported.extend(operating_system(facts, rollout));
    reported
}

/// What the agent says on the Node of a kubelet, which says all else.
pub fn beside_kubelet(facts: &Facts, rollout: &Decision, is_tainted: bool) -> Vec<Reported> {
    let mut message = "a kubelet runs on this node".to_owned();
    if is_tainted {
        // Of a time before, and a node may not take it away.
        message.push_str(&format!("; a taint keeps pods away: kubectl taint node NAME {NO_KUBELET_TAINT}:NoSchedule-"));
    }
    let mut reported = vec![one("NoKubelet", false, "KubeletRuns", &message)];
    reported.extend(operating_system(facts, rollout));
    reported
}

/// Those of them that are of the operating system, also for a machine without a Node.
pub fn operating_system(facts: &Facts, rollout: &Decision) -> Vec<Reported> {
    vec![
        upgrade(facts, rollout),
        problems("OSDegraded", &facts.degraded, ("Degraded", "AsItShouldBe"), "nothing is wrong"),
        problems("SettingsDegraded", &facts.settings_problems, ("Invalid", "AllApply"), "all settings apply"),
    ]
}

fn ready(facts: &Facts) -> Reported {
    let (is_true, reason, message) = match &facts.ready {
        Ok(()) => (true, "BallastReady", "the runtime answers"),
        Err(reason) => (false, "RuntimeNotReady", reason.as_str()),
    };
    one("Ready", is_true, reason, message)
}

/// Why the node offers no pods although it is Ready.
fn no_kubelet(facts: &Facts, is_tainted: bool) -> Reported {
    const KIND: &str = "NoKubelet";
    if facts.kubelet {
        return one(KIND, false, "KubeletRuns", "a kubelet runs on this node");
    }
    let mut message = format!(
        "no kubelet runs on this node: it offers no pods, and pods that are bound to it are ended with the reason {}",
        bound::REASON
    );
    if !is_tainted {
        message.push_str(&format!(
            "; its taint is missing and a node may not add it: kubectl taint node NAME {NO_KUBELET_TAINT}:NoSchedule"
        ));
    }
    one(KIND, true, "KubeletNotInstalled", &message)
}

fn pressures(facts: &Facts, before: &[Reported]) -> [Reported; 3] {
    let was = |kind: &str| before.iter().any(|reported| reported.kind == kind && reported.is_true);
    let (capacity, readings) = (&facts.capacity, &facts.pressure);
    let is_short = |kind: &str, left: u64, all: u64, percent: (u64, u64)| {
        let limit = if was(kind) { percent.1 } else { percent.0 };
        // What could not be measured is not short.
        all > 0 && left.saturating_mul(100) < all.saturating_mul(limit)
    };
    let memory_limit = if was("MemoryPressure") { MEMORY_WELL } else { MEMORY_SHORT };
    let memory = capacity.memory_bytes > 0 && readings.memory_available_bytes < memory_limit;
    let storage = is_short("DiskPressure", readings.storage_available_bytes, capacity.storage_bytes, STORAGE_PERCENT)
        || is_short("DiskPressure", readings.storage_inodes_available, readings.storage_inodes_total, INODES_PERCENT);
    let pids_left = capacity.pids_max.saturating_sub(readings.pids_used);
    let pids = is_short("PIDPressure", pids_left, capacity.pids_max, PIDS_PERCENT);
    // The kubelet's own words: alerts know them.
    let reported = |kind, is_true, word: &str| {
        let (reason, message) = if is_true {
            (format!("KubeletHasInsufficient{word}"), format!("{word} is short"))
        } else {
            (format!("KubeletHasSufficient{word}"), format!("{word} is sufficient"))
        };
        one(kind, is_true, &reason, &message)
    };
    let no_disk_pressure = one("DiskPressure", false, "KubeletHasNoDiskPressure", "/var has room");
    [
        reported("MemoryPressure", memory, "Memory"),
        if storage {
            one("DiskPressure", true, "KubeletHasDiskPressure", "/var has too few bytes or inodes left")
        } else {
            no_disk_pressure
        },
        reported("PIDPressure", pids, "PID"),
    ]
}

/// True while a rollout or an operation by hand goes on.
fn upgrade(facts: &Facts, rollout: &Decision) -> Reported {
    let is_under_way = match rollout.phase {
        Phase::Idle | Phase::Failed | Phase::Paused => false,
        Phase::Preparing
        | Phase::Prepared
        | Phase::WaitingForWindow
        | Phase::WaitingForSlot
        | Phase::Draining
        | Phase::Rebooting
        | Phase::Verifying => true,
    };
    match &facts.os.operation {
        Some(operation) if !is_under_way => {
            let message = format!("{} is at {}", operation.name, operation.phase);
            one("OSUpgrade", true, "Operation", &message)
        }
        _ if facts.os.on_trial && !is_under_way => {
            one("OSUpgrade", true, "Verifying", "the release that runs has yet to prove itself")
        }
        // Why it rests stands in the NodeOS: here it would be one more report of each node that begins, to say the same.
        _ if rollout.phase == Phase::Idle => one("OSUpgrade", false, "Idle", "nothing is under way"),
        _ => one("OSUpgrade", is_under_way, &format!("{:?}", rollout.phase), &rollout.message),
    }
}

fn problems(kind: &'static str, problems: &[String], reasons: (&str, &str), well: &str) -> Reported {
    match problems {
        [] => one(kind, false, reasons.1, well),
        problems => one(kind, true, reasons.0, &problems.join("; ")),
    }
}

fn one(kind: &'static str, is_true: bool, reason: &str, message: &str) -> Reported {
    let mut short: String = message.chars().take(MOST_LETTERS).collect();
    if short.len() < message.len() {
        short.push('…');
    }
    Reported { kind, is_true, reason: reason.to_owned(), message: short }
}

const fn word(is_true: bool) -> &'static str {
    if is_true { "True" } else { "False" }
}

/// `reported` as the Node has it. What holds on keeps the time of its transition in `found`, the Node's conditions as they were read or written last.
pub fn on_node(reported: &[Reported], found: &[NodeCondition], now: &Time) -> Vec<NodeCondition> {
    let one = |reported: &Reported| {
        let status = word(reported.is_true);
        let same = found.iter().find(|found| found.type_ == reported.kind && found.status == status);
        NodeCondition {
            type_: reported.kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reported.reason.clone()),
            message: Some(reported.message.clone()),
            last_heartbeat_time: Some(now.clone()),
            last_transition_time: same.and_then(|same| same.last_transition_time.clone()).or_else(|| Some(now.clone())),
        }
    };
    reported.iter().map(one).collect()
}

/// `reported` as a NodeOS has it.
pub fn on_node_os(reported: &[Reported], found: &[Condition], generation: Option<i64>, now: &Time) -> Vec<Condition> {
    let one = |reported: &Reported| {
        let status = word(reported.is_true);
        let same = found.iter().find(|found| found.type_ == reported.kind && found.status == status);
        Condition {
            type_: reported.kind.to_owned(),
            status: status.to_owned(),
            reason: reported.reason.clone(),
            message: reported.message.clone(),
            last_transition_time: same.map_or_else(|| now.clone(), |same| same.last_transition_time.clone()),
            observed_generation: generation,
        }
    };
    reported.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_a_kubelet_only_what_is_ours_is_said() {
        let reported = beside_kubelet(&Facts::default(), &Decision::default(), true);
        let kinds: Vec<&str> = reported.iter().map(|reported| reported.kind).collect();
        assert_eq!(kinds, ["NoKubelet", "OSUpgrade", "OSDegraded", "SettingsDegraded"]);
        assert!(!reported[0].is_true && reported[0].message.contains("os.ballast.dev/no-kubelet:NoSchedule-"));
        assert!(!beside_kubelet(&Facts::default(), &Decision::default(), false)[0].message.contains("taint"));
    }
    use crate::model::{Capacity, Operation, Readings};

    fn facts(memory_mib: u64, storage: u64, inodes: u64, pids: u64) -> Facts {
        Facts {
            capacity: Capacity { cpus: 1, memory_bytes: 1 << 30, storage_bytes: 1000, pids_max: 1000, pods: 110 },
            pressure: Readings {
                memory_available_bytes: memory_mib << 20,
                storage_available_bytes: storage,
                storage_inodes_total: 1000,
                storage_inodes_available: inodes,
                pids_used: pids,
            },
            ready: Ok(()),
            kubelet: true,
            ..Facts::default()
        }
    }

    fn holding(reported: &[Reported]) -> String {
        reported.iter().filter(|reported| reported.is_true).map(|reported| reported.kind).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pressure_has_two_limits() {
        let mut before = Vec::new();
        for (facts, expected) in [
            (facts(500, 500, 500, 100), "Ready"),
            (facts(99, 500, 500, 100), "Ready MemoryPressure"),
            (facts(120, 500, 500, 100), "Ready MemoryPressure"),
            (facts(150, 500, 500, 100), "Ready"),
            (facts(120, 99, 500, 100), "Ready DiskPressure"),
            (facts(120, 119, 500, 100), "Ready DiskPressure"),
            (facts(120, 120, 500, 100), "Ready"),
            (facts(120, 120, 49, 100), "Ready DiskPressure"),
            (facts(120, 120, 70, 901), "Ready PIDPressure"),
            (facts(120, 120, 70, 860), "Ready PIDPressure"),
            (facts(120, 120, 70, 850), "Ready"),
        ] {
            before = conditions(&facts, &Decision::default(), true, &before);
            assert_eq!(holding(&before), expected, "{:?}", facts.pressure);
        }
        let unknown = Facts { kubelet: true, ..Facts::default() };
        assert_eq!(holding(&conditions(&unknown, &Decision::default(), true, &[])), "", "nothing measured");
    }

    #[test]
    fn without_a_kubelet_it_says_so_and_what_is_missing() {
        let no_kubelet = |kubelet, is_tainted| {
            let facts = Facts { kubelet, ..facts(500, 500, 500, 100) };
            let reported = conditions(&facts, &Decision::default(), is_tainted, &[]);
            reported.into_iter().find(|reported| reported.kind == "NoKubelet").unwrap()
        };
        assert!(!no_kubelet(true, false).is_true);
        let reported = no_kubelet(false, true);
        assert!(reported.is_true && !reported.message.contains("kubectl"), "{reported:?}");
        assert!(no_kubelet(false, false).message.contains("kubectl taint node"));
    }

    #[test]
    fn the_operating_system_says_what_it_is_at() {
        let mut facts = facts(500, 500, 500, 100);
        let rollout = Decision { phase: Phase::Draining, message: "2 pods".to_owned(), ..Decision::default() };
        let upgrade = |facts: &Facts, rollout: &Decision| operating_system(facts, rollout).remove(0);
        let reported = upgrade(&facts, &rollout);
        assert_eq!(
            (reported.is_true, reported.reason.as_str(), reported.message.as_str()),
            (true, "Draining", "2 pods")
        );
        facts.os.operation =
            Some(Operation { name: "upgrade".to_owned(), phase: "fetch".to_owned(), ..Operation::default() });
        assert_eq!(upgrade(&facts, &rollout).reason, "Draining");
        let reported = upgrade(&facts, &Decision::default());
        assert_eq!((reported.is_true, reported.message.as_str()), (true, "upgrade is at fetch"));
        facts.settings_problems = vec!["a".repeat(1000)];
        let reported = operating_system(&facts, &rollout).remove(2);
        assert_eq!((reported.is_true, reported.message.chars().count()), (true, MOST_LETTERS + 1));
    }

    #[test]
    fn a_transition_keeps_its_time() {
        let time = |text: &str| serde_json::from_value::<Time>(serde_json::json!(text)).unwrap();
        let (then, now) = (time("2026-11-21T00:00:00Z"), time("2026-11-21T01:00:00Z"));
        let reported = |is_true| [one("Ready", is_true, "Reason", "message")];
        let first = on_node(&reported(true), &[], &then);
        let second = on_node(&reported(true), &first, &now);
        assert_eq!(second[0].last_transition_time, Some(then));
        assert_eq!(second[0].last_heartbeat_time, Some(now.clone()));
        assert_eq!(on_node(&reported(false), &second, &now)[0].last_transition_time, Some(now.clone()));
        assert_eq!(on_node_os(&reported(false), &[], Some(3), &now)[0].last_transition_time, now);
    }
}
