//! The objects: with resourceVersion, merge patches, lists, and one kind of watch.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use rcgen::{Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{Fault, certificates::sign};

pub(super) type Answer = Response<BoxBody<Bytes, std::convert::Infallible>>;

pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Value>,
    pub(super) version: u64,
    /// `METHOD PATH`, as `user` where one is known.
    pub(crate) log: Vec<(String, String)>,
    /// For requests whose `METHOD PATH` begins so, or is so before a `$`: what happens instead, first come first served.
    pub(crate) faults: Vec<(String, VecDeque<Fault>)>,
    /// How long watches last.
    pub(crate) watch: Duration,
    /// Whether somebody has to approve requests for certificates ([`Api::sign`]).
    pub(crate) is_by_hand: bool,
    /// How long certificates hold.
    pub(crate) life: Duration,
    pub(super) events: broadcast::Sender<(String, Value)>,
}

pub(super) fn whole(code: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

pub(super) fn status(code: u16, reason: &str, after: Option<u64>) -> Answer {
    let value = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code });
    let mut answer = whole(code, &value);
    if let Some(after) = after {
        answer.headers_mut().insert("retry-after", after.to_string().parse().unwrap());
    }
    answer
}

impl State {
    pub(super) fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let is_new = !self.objects.contains_key(path);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        self.objects.insert(path.to_owned(), object.clone());
        let kind = if is_new { "ADDED" } else { "MODIFIED" };
        let _ = self.events.send((path.to_owned(), json!({ "type": kind, "object": object })));
        object
    }

    /// Pods are listed over all namespaces. Of each object what `show` makes of it.
    pub(super) fn list(&self, path: &str, query: &str, show: impl Fn(&Value) -> Value) -> Answer {
        let inner = format!("{}/", path.trim_start_matches("/api/v1"));
        let here = self.objects.iter().filter(|(at, _)| at.contains(&inner)).map(|(_, found)| found);
        let items: Vec<_> = here.filter(|found| is_selected(found, query)).map(show).collect();
        whole(200, &json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items }))
    }

    pub(super) fn apply(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        body: &Value,
        issuer: &Issuer<'static, KeyPair>,
    ) -> Answer {
        let path = path.trim_end_matches("/status");
        match *method {
            Method::POST if path.ends_with("/eviction") => {
                self.objects.remove(path.trim_end_matches("/eviction"));
                status(201, "Success", None)
            }
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap_or_default());
                if self.objects.contains_key(&path) {
                    return status(409, "AlreadyExists", None);
                }
                let mut object = body.clone();
                if object["kind"] == "CertificateSigningRequest" && !self.is_by_hand {
                    object["status"] = json!({ "certificate": sign(&object, issuer, self.life) });
                }
                whole(201, &self.store(&path, object))
            }
            Method::GET => match self.objects.get(path) {
                Some(object) => whole(200, object),
                None if path.ends_with("/leases") || path.ends_with("/pods") => self.list(path, query, Value::clone),
                None => status(404, "NotFound", None),
            },
            Method::PUT | Method::PATCH => {
                let Some(found) = self.objects.get(path).cloned() else { return status(404, "NotFound", None) };
                let uid = &body["metadata"]["uid"];
                if *method == Method::PATCH && !uid.is_null() && *uid != found["metadata"]["uid"] {
                    return status(409, "Conflict", None);
                }
                let version = &body["metadata"]["resourceVersion"];
                if !version.is_null() && *version != found["metadata"]["resourceVersion"] {
                    return status(409, "Conflict", None);
                }
                let mut object = if *method == Method::PUT { body.clone() } else { found.clone() };
                if *method == Method::PATCH {
                    merge(&mut object, body);
                }
                object["metadata"]["uid"] = found["metadata"]["uid"].clone();
                whole(200, &self.store(path, object))
            }
            Method::DELETE => match self.objects.remove(path) {
                Some(object) => {
                    let _ = self.events.send((path.to_owned(), json!({ "type": "DELETED", "object": object })));
                    whole(200, &object)
                }
                None => status(404, "NotFound", None),
            },
            _ => status(405, "MethodNotAllowed", None),
        }
    }

    /// Of one object, or of the pods of a node, by a field selector.
    pub(super) fn watch(&self, path: &str, query: &str) -> Answer {
        let selected = |field: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix("fieldSelector=")?.strip_prefix(field))
                .map(str::to_owned)
        };
        let only = format!("{path}/{}", selected("metadata.name%3D").unwrap_or_default());
        let node = selected("spec.nodeName%3D");
        let is_here = move |at: &str, object: &Value| match &node {
            Some(node) => at.contains("/pods/") && object["spec"]["nodeName"] == node.as_str(),
            None => at == only,
        };
        let now: Vec<Value> = self
            .objects
            .iter()
            .filter(|(at, object)| is_here(at, object))
            .map(|(_, object)| json!({ "type": "ADDED", "object": object }))
            .collect();
        let later = futures_util::stream::unfold(self.events.subscribe(), |mut events| async {
            events.recv().await.ok().map(|event| (event, events))
        });
        let later =
            later.filter_map(move |(at, event)| std::future::ready(is_here(&at, &event["object"]).then_some(event)));
        let all = futures_util::stream::iter(now).chain(later);
        let all = all.take_until(Box::pin(tokio::time::sleep(self.watch)));
        let all = all.map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))));
        Response::new(BodyExt::boxed(StreamBody::new(SyncStream(Mutex::new(Box::pin(all))))))
    }
}

/// Whether an object has the one label that `query` asks for: `KEY` or `KEY=VALUE`.
fn is_selected(object: &Value, query: &str) -> bool {
    let Some(label) = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector=")) else { return true };
    let label = label.replace("%2F", "/").replace("%3D", "=");
    let (key, value) = label.split_once('=').map_or((label.as_str(), None), |(key, value)| (key, Some(value)));
    object["metadata"]["labels"][key].as_str().is_some_and(|found| value.is_none_or(|value| value == found))
}

/// Bodies have to be Sync, streams of a broadcast are not.
struct SyncStream<S>(Mutex<std::pin::Pin<Box<S>>>);

impl<S: futures_util::Stream> futures_util::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.0.lock().unwrap().as_mut().poll_next(context)
    }
}

fn merge(object: &mut Value, patch: &Value) {
    let (Value::Object(object), Value::Object(patch)) = (&mut *object, patch) else {
        *object = patch.clone();
        return;
    };
    for (key, value) in patch {
        match value {
            Value::Null => drop(object.remove(key)),
            Value::Object(_) => merge(object.entry(key).or_insert_with(|| json!({})), value),
            value => drop(object.insert(key.clone(), value.clone())),
        }
    }
}
