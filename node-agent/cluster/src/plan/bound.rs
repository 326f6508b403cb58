//! Pods that are bound to a node on which no kubelet runs: nobody starts them, and nobody ends them when they are deleted. They are handed back,
//! as a kubelet does with a pod that it cannot take: the pod has failed, and its controller makes another, which goes elsewhere.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::drain::MIRROR_ANNOTATION;
use crate::model::PodId;

/// The reason of such a pod's end.
pub const REASON: &str = "NoKubelet";

/// What is to be done with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandBack {
    /// It is said to have failed: [`failed`].
    Fail,
    /// It was deleted, and is removed without another wait: nothing of it runs.
    Remove,
}

/// What is to be done with the pod of this `metadata` and `status.phase`. None: nothing, or it has no name, as no object of the API has.
pub fn hand_back(metadata: &ObjectMeta, phase: Option<&str>) -> Option<(PodId, HandBack)> {
    let id = PodId { namespace: metadata.namespace.clone()?, name: metadata.name.clone()?, uid: metadata.uid.clone()? };
    // What shows in the API what a kubelet ran by itself: it has no controller, and its kubelet is gone.
    let is_mirror = metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR_ANNOTATION));
    let is_deleted = metadata.deletion_timestamp.is_some();
    // Then only finalizers hold it, which are somebody else's to remove.
    let is_removed = is_deleted && metadata.deletion_grace_period_seconds == Some(0);
    let has_ended = matches!(phase, Some("Succeeded" | "Failed"));
    let what = match (is_deleted || is_mirror, has_ended) {
        _ if is_removed => return None,
        (true, _) => HandBack::Remove,
        (false, true) => return None,
        (false, false) => HandBack::Fail,
    };
    Some((id, what))
}

/// The strategic merge patch of the pod's status; it holds for the pod with this uid or not at all.
pub fn failed(uid: &str) -> Value {
    json!({
        "metadata": { "uid": uid },
        "status": {
            "phase": "Failed",
            "reason": REASON,
            "message": "no kubelet runs on this node, so the pod was not started",
            "conditions": [{ "type": "Ready", "status": "False", "reason": REASON }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_runs_is_handed_back() {
        let what = |extra: Value, phase: Option<&str>| {
            let mut metadata = json!({"namespace": "n", "name": "p", "uid": "u"});
            metadata.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            hand_back(&serde_json::from_value(metadata).unwrap(), phase).map(|(_, what)| what)
        };
        let deleted = json!({"deletionTimestamp": "2026-11-21T00:00:00Z", "deletionGracePeriodSeconds": 30});
        let removed = json!({"deletionTimestamp": "2026-11-21T00:00:00Z", "deletionGracePeriodSeconds": 0});
        let mirror = json!({"annotations": {MIRROR_ANNOTATION: "x"}});
        for (extra, phase, expected) in [
            (json!({}), None, Some(HandBack::Fail)),
            (json!({}), Some("Pending"), Some(HandBack::Fail)),
            // Of a kubelet that ran here before.
            (json!({}), Some("Running"), Some(HandBack::Fail)),
            (json!({}), Some("Failed"), None),
            (json!({}), Some("Succeeded"), None),
            (deleted.clone(), Some("Pending"), Some(HandBack::Remove)),
            (deleted, Some("Failed"), Some(HandBack::Remove)),
            (removed, Some("Running"), None),
            (mirror, Some("Running"), Some(HandBack::Remove)),
        ] {
            assert_eq!(what(extra.clone(), phase), expected, "{extra} {phase:?}");
        }
        assert_eq!(hand_back(&ObjectMeta::default(), None), None);
    }
}
