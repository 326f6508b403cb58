//! The pods that are bound to a node: a watch, which begins with those that there are.

use futures_util::{StreamExt, stream::BoxStream};
use http::Request;
use kube::core::{ObjectMeta, WatchEvent};
use serde::Deserialize;

use crate::{
    client::{ApiClient, Failure, Refusal},
    model::PodId,
    plan::bound::{HandBack, hand_back},
};

/// A watch of pods; of which node, and from where on, comes behind it.
const WATCH: &str = "/api/v1/pods?watch=true&allowWatchBookmarks=true";

/// A pod, as far as it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Bound {
    metadata: ObjectMeta,
    status: BoundStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct BoundStatus {
    phase: Option<String>,
}

/// What a watch of pods reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodChange {
    /// Up to where it was reported.
    pub(crate) version: Option<String>,
    /// What is to be done with the pod that it is about.
    pub(crate) hand_back: Option<(PodId, HandBack)>,
}

/// An open watch. At its end it is opened again from the last version.
pub(crate) type PodWatch = BoxStream<'static, Result<PodChange, Failure>>;

/// Opens a watch on the pods that are bound to `node`, from `version` on or with those that there are now, for `secs` seconds.
pub(crate) async fn watch_pods(
    client: &ApiClient,
    node: &str,
    version: Option<&str>,
    secs: u64,
) -> Result<PodWatch, Failure> {
    let from = version.map(|version| format!("&resourceVersion={version}")).unwrap_or_default();
    // The name of a node is one of DNS, a version is digits: nothing has to be escaped.
    let uri = format!("{WATCH}&timeoutSeconds={secs}&fieldSelector=spec.nodeName%3D{node}{from}");
    let request = Request::get(uri).body(Vec::new());
    let request =
        request.map_err(|error| Failure::Unexpected(format!("no node can have the name {node:?}: {error}")))?;
    let events = client.watch::<Bound>(request).await?;
    Ok(events.map(|event| event.and_then(change)).boxed())
}

fn change(event: WatchEvent<Bound>) -> Result<PodChange, Failure> {
    match event {
        WatchEvent::Added(pod) | WatchEvent::Modified(pod) => Ok(PodChange {
            hand_back: hand_back(&pod.metadata, pod.status.phase.as_deref()),
            version: pod.metadata.resource_version,
        }),
        WatchEvent::Deleted(pod) => Ok(PodChange { version: pod.metadata.resource_version, hand_back: None }),
        WatchEvent::Bookmark(mark) => Ok(PodChange { version: Some(mark.metadata.resource_version), hand_back: None }),
        WatchEvent::Error(status) => Err(Failure::Refused(Refusal {
            code: status.code,
            reason: status.reason,
            message: status.message,
            retry_after: None,
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read() {
        let of = |text: &str| change(serde_json::from_str(text).unwrap());
        let pod = r#"{"type":"ADDED","object":{"metadata":{"namespace":"n","name":"p","uid":"u","resourceVersion":"7"},
            "spec":{"nodeName":"n1","containers":[{"name":"c"}]},"status":{"phase":"Pending","unknown":[1]}}}"#;
        let id = PodId { namespace: "n".to_owned(), name: "p".to_owned(), uid: "u".to_owned() };
        let expected = PodChange { version: Some("7".to_owned()), hand_back: Some((id, HandBack::Fail)) };
        assert_eq!(of(pod).unwrap(), expected);
        let ended = pod.replace("Pending", "Failed");
        assert_eq!(of(&ended).unwrap().hand_back, None);
        let gone = pod.replace("ADDED", "DELETED");
        assert_eq!(of(&gone).unwrap(), PodChange { hand_back: None, ..expected });
        let old = r#"{"type":"ERROR","object":{"status":"Failure","reason":"Expired","message":"too old","code":410}}"#;
        assert_eq!(of(old).unwrap_err().kind(), crate::client::Kind::Gone);
    }
}
