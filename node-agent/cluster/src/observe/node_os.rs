//! The node's NodeOS: a watch of this one object, which begins with what there is.

use futures_util::{StreamExt, stream::BoxStream};
use http::Request;
use kube::core::{ObjectMeta, WatchEvent};
use serde::Deserialize;

use crate::{
    client::{ApiClient, Failure, Refusal},
    model::{NodeOsSnapshot, NodeOsSpec, NodeOsStatus, Resolved},
};

/// A watch of every object of that kind; which one, and from where on, comes behind it. kube-core's own takes no time over five minutes.
const WATCH: &str = "/apis/os.ballast.dev/v1alpha1/nodeoses?watch=true&allowWatchBookmarks=true";

/// A NodeOS, as far as it is read: one without spec or status is one, too.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Observed {
    metadata: ObjectMeta,
    spec: NodeOsSpec,
    status: NodeOsStatus,
}

impl Observed {
    /// What a rollout goes by: the spec, and what this node itself found the image to mean. Of the status nothing, since others may write there.
    pub(crate) fn snapshot(&self, resolved: Option<&Resolved>) -> NodeOsSnapshot {
        NodeOsSnapshot { spec: self.spec.clone(), resolved: resolved.cloned() }
    }

    /// The state of the spec.
    pub(crate) fn generation(&self) -> Option<i64> {
        self.metadata.generation
    }

    /// Its status, as it was written last.
    pub(crate) fn status(&self) -> &NodeOsStatus {
        &self.status
    }

    /// Of which event this is.
    pub(crate) fn resource_version(&self) -> Option<&str> {
        self.metadata.resource_version.as_deref()
    }

    /// Which object of that name this is.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.metadata.uid.as_deref()
    }
}

/// What a watch reports.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is so now.
    Is(Box<Observed>),
    /// It is not there any more.
    Gone,
    /// Nothing has changed up to this version.
    Same(String),
}

/// An open watch. At its end it is opened again from the last version.
pub(crate) type Watch = BoxStream<'static, Result<Change, Failure>>;

/// Opens a watch on the NodeOS `name`, from `version` on or with what there is now, for `secs` seconds.
pub(crate) async fn watch(client: &ApiClient, name: &str, version: Option<&str>, secs: u64) -> Result<Watch, Failure> {
    let from = version.map(|version| format!("&resourceVersion={version}")).unwrap_or_default();
    // The name of a node is one of DNS, a version is digits: nothing has to be escaped.
    let uri = format!("{WATCH}&timeoutSeconds={secs}&fieldSelector=metadata.name%3D{name}{from}");
    let request = Request::get(uri).body(Vec::new());
    let request =
        request.map_err(|error| Failure::Unexpected(format!("no NodeOS can have the name {name:?}: {error}")))?;
    let events = client.watch::<Observed>(request).await?;
    Ok(events.map(|event| event.and_then(change)).boxed())
}

fn change(event: WatchEvent<Observed>) -> Result<Change, Failure> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => Ok(Change::Is(Box::new(object))),
        WatchEvent::Deleted(_) => Ok(Change::Gone),
        WatchEvent::Bookmark(mark) => Ok(Change::Same(mark.metadata.resource_version)),
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
        let bare = r#"{"type":"ADDED","object":{"apiVersion":"os.ballast.dev/v1alpha1","kind":"NodeOS","metadata":{"name":"n1"}}}"#;
        let Ok(Change::Is(read)) = of(bare) else { panic!("no object") };
        assert_eq!(read.snapshot(None), NodeOsSnapshot::default());
        let full = r#"{"type":"MODIFIED","object":{"metadata":{"name":"n1","generation":3,"resourceVersion":"7"},
            "spec":{"image":"r.example/os:1","paused":true,"unknown":1},"status":{"observedImage":"r.example/os:1","observedDigest":"sha256:0"}}}"#;
        let Ok(Change::Is(read)) = of(full) else { panic!("no object") };
        let snapshot = read.snapshot(None);
        assert!(
            snapshot.spec.paused && snapshot.resolved.is_none(),
            "what stands in the status is believed: {snapshot:?}"
        );
        assert_eq!((read.generation(), read.resource_version()), (Some(3), Some("7")));
        assert!(matches!(of(r#"{"type":"DELETED","object":{}}"#), Ok(Change::Gone)));
        let mark =
            r#"{"type":"BOOKMARK","object":{"apiVersion":"a/v1","kind":"NodeOS","metadata":{"resourceVersion":"9"}}}"#;
        assert!(matches!(of(mark), Ok(Change::Same(version)) if version == "9"));
        let gone =
            r#"{"type":"ERROR","object":{"status":"Failure","reason":"Expired","message":"too old","code":410}}"#;
        assert_eq!(of(gone).unwrap_err().kind(), crate::client::Kind::Gone);
    }
}
