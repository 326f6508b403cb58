//! What happened, reported once: the Events of a node.

use std::time::UNIX_EPOCH;

use k8s_openapi::{
    api::core::v1::{Event as WireEvent, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::{Facts, FailedRelease, Identity, Phase, Subject};

/// Where Events of objects without a namespace are.
pub const NAMESPACE: &str = "default";

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// In one word.
    pub reason: &'static str,
    /// In a sentence.
    pub message: String,
    /// Whether somebody should look.
    pub is_warning: bool,
}

/// What Events follow from: the facts, and what the rollout is at.
pub type Reported<'a> = (&'a Facts, Phase);

/// What happened from `before` to `after`; None: the agent has just begun.
pub fn events(before: Option<Reported<'_>>, after: Reported<'_>) -> Vec<Event> {
    let (facts, phase) = after;
    let report = |reason, message| Event { reason, message, is_warning: false };
    let warn = |reason, message| Event { reason, message, is_warning: true };
    let booted = &facts.os.booted;
    let mut events = Vec::new();
    let is_same_boot = before.is_some_and(|(before, _)| before.boot_id == facts.boot_id);
    if !is_same_boot {
        events.push(report("Booted", format!("booted {}, boot {}", booted.version, facts.boot_id)));
    }
    let started_at = facts.boot.started_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let is_known = |failed: &FailedRelease| match before {
        Some((before, _)) => before.os.failed.iter().any(|known| known.digest == failed.digest),
        // An agent that has just begun says what this boot found, once more if need be: the name of an Event makes it one.
        None => failed.at < started_at.as_secs(),
    };
    for failed in facts.os.failed.iter().filter(|failed| failed.digest != booted.digest && !is_known(failed)) {
        let message = format!("{} failed and {} runs again: {}", failed.version, booted.version, failed.reason);
        events.push(warn("RolledBack", message));
    }
    let Some((before, phase_before)) = before else { return events };
    if facts.runtime_restarts > before.runtime_restarts {
        events.push(warn("RuntimeRestarted", "the runtime did not answer and was started again".to_owned()));
    }
    let next = facts.os.next.as_ref().filter(|next| next.digest != booted.digest);
    if let Some(next) = next.filter(|_| facts.os.next != before.os.next) {
        events.push(report("UpgradePrepared", format!("{} boots next", next.version)));
    }
    if phase == Phase::Rebooting && phase_before != phase {
        events.push(report("Rebooting", format!("reboots from {}", booted.version)));
    }
    if before.os.on_trial && !facts.os.on_trial && is_same_boot {
        events.push(report("Upgraded", format!("{} has proved itself", booted.version)));
    }
    events
}

/// The object of the API. Its name follows from what it says: reporting it twice is one Event, whose count is raised.
pub fn object(event: &Event, facts: &Facts, identity: &Identity, uid: &str, now: &Time) -> WireEvent {
    let mut hash = Sha256::new();
    for part in [event.reason, &event.message, &facts.boot_id] {
        hash.update(part);
        hash.update([0]);
    }
    let digits: String = hex::encode(&hash.finalize()[..8]);
    let kind = Subject::from(identity.role);
    let api_version = match kind {
        Subject::Node => "v1",
        Subject::NodeOs => "os.ballast.dev/v1alpha1",
    };
    WireEvent {
        metadata: ObjectMeta {
            name: Some(format!("{}.{digits}", identity.name)),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.name().to_owned()),
            name: Some(identity.name.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        },
        reason: Some(event.reason.to_owned()),
        message: Some(event.message.clone()),
        type_: Some(if event.is_warning { "Warning" } else { "Normal" }.to_owned()),
        source: Some(EventSource { component: Some("ballast".to_owned()), host: Some(identity.name.clone()) }),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now.clone()),
        count: Some(1),
        ..WireEvent::default()
    }
}

/// The merge patch for an Event that is there already.
pub fn again(found: &WireEvent, now: &Time) -> Value {
    json!({ "count": found.count.unwrap_or(1).saturating_add(1), "lastTimestamp": now })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Os, Release};

    fn release(version: &str) -> Release {
        Release { version: version.to_owned(), digest: format!("sha256:{version}"), ..Release::default() }
    }

    fn facts(boot: &str, booted: &str) -> Facts {
        Facts { boot_id: boot.to_owned(), os: Os { booted: release(booted), ..Os::default() }, ..Facts::default() }
    }

    fn with(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = facts("a", "1");
        change(&mut facts);
        facts
    }

    #[test]
    fn what_happens_is_reported() {
        let first = facts("a", "1");
        let failed =
            vec![FailedRelease { digest: "sha256:2".to_owned(), version: "2".to_owned(), ..FailedRelease::default() }];
        let idle = Phase::Idle;
        let table: [(Option<Reported<'_>>, Facts, Phase, &str); 7] = [
            (None, first.clone(), idle, "Booted"),
            (Some((&first, idle)), first.clone(), idle, ""),
            (Some((&first, idle)), facts("b", "2"), idle, "Booted"),
            (Some((&first, idle)), with(|facts| facts.os.next = Some(release("2"))), idle, "UpgradePrepared"),
            (Some((&first, Phase::Draining)), first.clone(), Phase::Rebooting, "Rebooting"),
            (Some((&first, idle)), with(|facts| facts.runtime_restarts = 1), idle, "RuntimeRestarted"),
            (None, with(|facts| facts.os.failed = failed), idle, "Booted RolledBack"),
        ];
        for (before, after, phase, expected) in table {
            let reported: Vec<&str> = events(before, (&after, phase)).iter().map(|event| event.reason).collect();
            assert_eq!(reported.join(" "), expected);
        }
        let trial = with(|facts| facts.os.on_trial = true);
        assert_eq!(events(Some((&trial, idle)), (&first, idle))[0].reason, "Upgraded");
    }

    #[test]
    fn the_same_event_has_the_same_name() {
        let now: Time = serde_json::from_value(json!("2026-11-21T00:00:00Z")).unwrap();
        let identity = Identity { name: "node-1".to_owned(), ..Identity::default() };
        let event = |message: &str| Event { reason: "Booted", message: message.to_owned(), is_warning: false };
        let name = |message: &str, boot: &str| {
            object(&event(message), &facts(boot, "1"), &identity, "uid", &now).metadata.name.unwrap()
        };
        assert_eq!(name("m", "a"), name("m", "a"));
        assert!(name("m", "a") != name("m", "b") && name("m", "a") != name("n", "a"));
        let found = object(&event("m"), &facts("a", "1"), &identity, "uid", &now);
        assert_eq!(again(&found, &now)["count"], 2);
    }
}
