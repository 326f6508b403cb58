//! `NodeOS` status: what the node reports about its operating system.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    chrono::{DateTime, Utc},
};
use serde_json::{Value, json};

use crate::model::{
    ApiStatus, Decision, Facts, FailedRelease, FailedReleaseStatus, Hosted, Identity, KubeletStatus, NodeOsStatus,
    Release, Resolved,
};

/// The status for `facts` and what the rollout is at. `resolved` is what stands there of a tag, if this pass found nothing newer.
pub fn status(
    facts: &Facts,
    identity: &Identity,
    rollout: &Decision,
    resolved: Option<&Resolved>,
    generation: Option<i64>,
    conditions: Vec<Condition>,
) -> NodeOsStatus {
    let os = &facts.os;
    let resolved = rollout.resolved.as_ref().or(resolved);
    // Before the clock is set, it would be a time in 1970.
    let booted_at = facts.boot.started_at.filter(|_| facts.clock_is_set);
    NodeOsStatus {
        booted: Some(os.booted.clone()),
        next: os.next.clone(),
        last_good: os.last_good.clone(),
        failed: os.failed.iter().map(failed).collect(),
        kubelet: facts.hosted.as_ref().map(kubelet),
        api: facts
            .api
            .as_ref()
            .map(|api| ApiStatus { address: api.address.clone(), fingerprint: api.fingerprint.clone() }),
        phase: rollout.phase,
        message: rollout.message.clone(),
        slot: rollout.slot.clone(),
        pool: Some(identity.pool.clone()),
        observed_image: resolved.map(|resolved| resolved.image.clone()),
        observed_digest: resolved.map(|resolved| resolved.digest.clone()),
        observed_generation: generation,
        booted_at: booted_at.map(|at| whole_seconds(DateTime::<Utc>::from(at))),
        ready_millis: facts.boot.ready_ms,
        conditions,
    }
}

/// The server-side apply of `status`, for the status subresource.
pub fn apply(name: &str, status: &NodeOsStatus) -> Value {
    json!({
        "apiVersion": "os.ballast.dev/v1alpha1",
        "kind": "NodeOS",
        "metadata": { "name": name },
        "status": status,
    })
}

fn kubelet(hosted: &Hosted) -> KubeletStatus {
    let Release { digest, version, .. } = hosted.runs.clone().unwrap_or_default();
    KubeletStatus {
        version,
        digest,
        state: hosted.state.clone(),
        next: hosted.waits.clone(),
        failed: hosted.failed.iter().map(failed).collect(),
    }
}

fn failed(failed: &FailedRelease) -> FailedReleaseStatus {
    FailedReleaseStatus {
        digest: failed.digest.clone(),
        version: failed.version.clone(),
        reason: failed.reason.clone(),
        at: time(failed.at),
    }
}

/// Seconds since 1970; what no calendar has is 1970.
fn time(unix_secs: u64) -> Time {
    let at = i64::try_from(unix_secs).ok().and_then(|secs| DateTime::from_timestamp(secs, 0));
    Time(at.unwrap_or(DateTime::UNIX_EPOCH))
}

/// The API keeps whole seconds of such times: with more, each status would differ from what was read.
fn whole_seconds(at: DateTime<Utc>) -> Time {
    Time(DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::model::{ApiFacts, Boot, FailedRelease, Os, Phase};

    #[test]
    fn what_is_not_known_is_not_said() {
        let mut facts = Facts {
            os: Os {
                booted: Release { version: "1".to_owned(), ..Release::default() },
                failed: vec![FailedRelease {
                    digest: "sha256:00".to_owned(),
                    version: "2".to_owned(),
                    reason: "r".to_owned(),
                    at: 0,
                }],
                ..Os::default()
            },
            boot: Boot { ready_ms: Some(2000), started_at: Some(UNIX_EPOCH + Duration::from_millis(1500)) },
            ..Facts::default()
        };
        let rollout = Decision { phase: Phase::Failed, message: "m".to_owned(), ..Decision::default() };
        let apply = |facts: &Facts, resolved: Option<&Resolved>| {
            apply("n", &status(facts, &Identity::default(), &rollout, resolved, Some(4), Vec::new()))["status"].clone()
        };
        let status = apply(&facts, None);
        assert_eq!(status["booted"], json!({ "version": "1" }));
        assert_eq!(status["failed"][0]["at"], "1970-01-01T00:00:00Z");
        for absent in ["api", "next", "lastGood", "slot", "bootedAt", "observedImage", "conditions"] {
            assert_eq!(status.get(absent), None, "{absent}");
        }
        facts.clock_is_set = true;
        facts.api = Some(ApiFacts { address: "192.0.2.1:9600".to_owned(), fingerprint: "sha256:22".to_owned() });
        let resolved = Resolved { image: "r/os:1".to_owned(), digest: "sha256:11".to_owned() };
        let status = apply(&facts, Some(&resolved));
        assert_eq!(status["api"], json!({ "address": "192.0.2.1:9600", "fingerprint": "sha256:22" }));
        assert_eq!(status["bootedAt"], "1970-01-01T00:00:01Z");
        assert_eq!((&status["observedImage"], &status["observedDigest"]), (&json!("r/os:1"), &json!("sha256:11")));
    }
}
