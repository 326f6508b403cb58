//! Which pods must be evicted before a reboot, and the next step to that end.

use std::{collections::BTreeMap, time::Duration};

use ballast_client::backoff;
use k8s_openapi::api::core::v1::Pod;

use crate::model::{Blocked, Eviction, Memory, PodId, PodKind, PodSnapshot};

/// The annotation of a pod that only shows in the API what the node runs by itself.
pub(super) const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
/// How long after a budget's no a pod is asked again: at first, at most. The same that `kubectl drain` waits, then less often.
const BLOCKED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// How often pods that end are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// So many are asked in one pass: the deadline is looked at between them.
const AT_ONCE: usize = 20;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drain {
    /// Nothing: none is left that has to go.
    Done,
    /// Ask these to go.
    Evict(Vec<PodId>),
    /// End these, which were asked to go.
    Remove(Vec<PodId>),
    /// Wait.
    Wait {
        /// For what, in a sentence.
        message: String,
        /// How long.
        wait: Duration,
    },
}

/// What is to be done next with `pods`, of which `blocked` are held back by a budget. `has_kubelet`: one ends those that were asked to go, with
/// their grace, and removes them then; else nobody runs them.
pub fn drain(pods: &[PodSnapshot], blocked: &BTreeMap<String, Blocked>, has_kubelet: bool, now: Duration) -> Drain {
    let of = |kind: PodKind| pods.iter().filter(move |pod| pod.kind == kind).map(|pod| &pod.id);
    let is_due = |id: &&PodId| blocked.get(&id.uid).is_none_or(|blocked| blocked.until <= now);
    let due: Vec<PodId> = of(PodKind::Runs).filter(is_due).take(AT_ONCE).cloned().collect();
    if !due.is_empty() {
        return Drain::Evict(due);
    }
    let ending: Vec<PodId> = of(PodKind::Ends).take(AT_ONCE).cloned().collect();
    if !ending.is_empty() && !has_kubelet {
        return Drain::Remove(ending);
    }
    if let (Some(first), None) = (ending.first(), of(PodKind::Runs).next()) {
        let message = format!("{} of its pods end, {}/{} among them", ending.len(), first.namespace, first.name);
        return Drain::Wait { message, wait: POLL_INTERVAL };
    }
    let Some(first) = of(PodKind::Runs).next() else { return Drain::Done };
    let count = of(PodKind::Runs).count();
    let held = |id: &PodId| blocked.get(&id.uid);
    let why = held(first).map_or("", |blocked| blocked.message.as_str());
    let until = of(PodKind::Runs).filter_map(held).map(|blocked| blocked.until).min();
    Drain::Wait {
        message: format!(
            "{count} {} to go, {}/{}: {why}",
            if count == 1 { "pod has" } else { "pods have" },
            first.namespace,
            first.name
        ),
        wait: until.map_or(POLL_INTERVAL, |until| until.saturating_sub(now)).clamp(Duration::from_secs(1), BLOCKED.1),
    }
}

impl Memory {
    /// Remembers the result of the eviction of a pod.
    pub fn evicted(&mut self, pod: &PodId, answer: Eviction, now: Duration) {
        match answer {
            Eviction::Accepted => drop(self.blocked.remove(&pod.uid)),
            Eviction::Blocked(message) => {
                let blocked = self.blocked.entry(pod.uid.clone()).or_default();
                blocked.times = blocked.times.saturating_add(1);
                blocked.until = now + backoff::doubled(BLOCKED.0, BLOCKED.1, blocked.times);
                blocked.message = message;
            }
        }
    }
}

/// A pod as the cluster has it, as far as a drain goes. None: it has no name, as no object of the API is.
pub fn pod(pod: &Pod) -> Option<PodSnapshot> {
    let metadata = &pod.metadata;
    let is_mirror = metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR_ANNOTATION));
    let owners = metadata.owner_references.iter().flatten();
    let is_daemon = owners.filter(|owner| owner.controller == Some(true)).any(|owner| owner.kind == "DaemonSet");
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Succeeded" | "Failed"));
    let kind = match (is_mirror || is_daemon || has_ended, metadata.deletion_timestamp.is_some()) {
        (true, _) => PodKind::Stays,
        (false, true) => PodKind::Ends,
        (false, false) => PodKind::Runs,
    };
    let id = PodId { namespace: metadata.namespace.clone()?, name: metadata.name.clone()?, uid: metadata.uid.clone()? };
    Some(PodSnapshot { id, kind })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(text: &str) -> Vec<PodSnapshot> {
        let pod = |word: &str| {
            let kind = match word.as_bytes().first() {
                Some(b'-') => PodKind::Stays,
                Some(b'~') => PodKind::Ends,
                _ => PodKind::Runs,
            };
            let name = word.trim_start_matches(['-', '~']).to_owned();
            PodSnapshot { id: PodId { namespace: "default".to_owned(), uid: name.clone(), name }, kind }
        };
        text.split_whitespace().map(pod).collect()
    }

    fn shown(drain: Drain) -> String {
        let names = |pods: Vec<PodId>| pods.into_iter().map(|pod| pod.name).collect::<Vec<_>>().join(" ");
        match drain {
            Drain::Done => "done".to_owned(),
            Drain::Evict(pods) => format!("evict {}", names(pods)),
            Drain::Remove(pods) => format!("remove {}", names(pods)),
            Drain::Wait { message, wait } => format!("wait {} s: {message}", wait.as_secs()),
        }
    }

    #[test]
    fn all_go_but_those_that_stay() {
        let mut memory = Memory::default();
        let now = Duration::from_secs(100);
        let id = |name: &str| PodId { namespace: "default".to_owned(), name: name.to_owned(), uid: name.to_owned() };
        memory.evicted(&id("b"), Eviction::Blocked("budget".to_owned()), now);
        // A kubelet ends them with their grace, and removes them itself.
        for (pods, expected) in [
            ("a ~c", "evict a"),
            ("~c ~d", "wait 5 s: 2 of its pods end, default/c among them"),
            ("b ~c", "wait 5 s: 1 pod has to go, default/b: budget"),
            ("-daemon", "done"),
        ] {
            assert_eq!(shown(drain(&seen(pods), &memory.blocked, true, now)), expected, "{pods}");
        }
        for (pods, expected) in [
            ("", "done"),
            ("-mirror -daemon", "done"),
            ("a -daemon b ~c", "evict a"),
            ("b ~c", "remove c"),
            ("b -daemon", "wait 5 s: 1 pod has to go, default/b: budget"),
        ] {
            assert_eq!(shown(drain(&seen(pods), &memory.blocked, false, now)), expected, "{pods}");
        }
        memory.evicted(&id("b"), Eviction::Blocked("budget".to_owned()), now);
        assert!(shown(drain(&seen("b"), &memory.blocked, false, now)).starts_with("wait 10 s"));
        assert_eq!(shown(drain(&seen("b"), &memory.blocked, false, now + Duration::from_secs(10))), "evict b");
        memory.evicted(&id("b"), Eviction::Accepted, now);
        assert!(memory.blocked.is_empty());
    }

    #[test]
    fn pods_are_distinguished() {
        let kind = |extra: Value, phase: &str| {
            let mut value =
                json!({"metadata": {"namespace": "n", "name": "p", "uid": "u"}, "status": {"phase": phase}});
            let fields = extra.as_object().unwrap().clone();
            value["metadata"].as_object_mut().unwrap().extend(fields);
            pod(&serde_json::from_value(value).unwrap()).unwrap().kind
        };
        let owner = |kind: &str| json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "o", "controller": true}]});
        let deleted = json!({"deletionTimestamp": "2026-11-21T00:00:00Z"});
        assert_eq!(kind(json!({}), "Running"), PodKind::Runs);
        assert_eq!(kind(json!({}), "Pending"), PodKind::Runs);
        assert_eq!(kind(json!({}), "Succeeded"), PodKind::Stays);
        assert_eq!(kind(owner("ReplicaSet"), "Running"), PodKind::Runs);
        assert_eq!(kind(owner("DaemonSet"), "Running"), PodKind::Stays);
        assert_eq!(kind(deleted, "Running"), PodKind::Ends);
        assert_eq!(kind(json!({"annotations": {MIRROR_ANNOTATION: "x"}}), "Running"), PodKind::Stays);
        assert_eq!(pod(&Pod::default()), None);
    }
}
