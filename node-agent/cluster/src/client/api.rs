//! The API's requests: objects as types, watches as streams of events. What a request looks like is kube-core's to know; kube's own client is not
//! used (docs/design/cluster-connection.md says why), and `.cargo/deny.toml` keeps it out.

use std::{fmt::Display, marker::PhantomData};

use bytes::BytesMut;
use futures_util::{StreamExt, stream, stream::BoxStream};
use http::Request;
use http_body_util::BodyExt;
use kube::{
    Resource,
    core::{
        ErrorResponse, NamespaceResourceScope, ObjectList, PartialObjectMeta, Request as Build, WatchEvent,
        params::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, WatchParams},
        request::Error as BuildError,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    body::Answer,
    failure::{Failure, Refusal, chain},
    transport::Transport,
};

/// An event of a watch that is longer is none of an object of ours; the API server itself takes no larger object.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// An open watch: what happens to objects, until it ends.
pub type Events<T> = BoxStream<'static, Result<WatchEvent<T>, Failure>>;

/// A cluster's API. Clones share the connection.
#[derive(Clone)]
pub struct ApiClient(Transport);

impl ApiClient {
    pub(super) fn new(transport: Transport) -> Self {
        Self(transport)
    }

    /// Sends it; what is answered is of no interest.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<(), Failure> {
        self.0.send(request).await.map(drop)
    }

    /// Sends it, for an object.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, Failure> {
        let body = self.0.send(request).await?.into_body();
        let whole = body.collect().await.map_err(|error| broke(&*error))?.to_bytes();
        serde_json::from_slice(&whole).map_err(|error| {
            Failure::Unexpected(format!("the API server's answer is not the object that was asked for: {error}"))
        })
    }

    /// Sends it, for a watch.
    pub(crate) async fn watch<T>(&self, request: Request<Vec<u8>>) -> Result<Events<T>, Failure>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let body = self.0.send(request).await?.into_body();
        Ok(lines(body).map(|line| line.and_then(|line| event(&line))).boxed())
    }
}

/// The lines of a body. One that has no end is not reported.
fn lines(body: Answer) -> impl futures_util::Stream<Item = Result<BytesMut, Failure>> + Send {
    struct Lines {
        body: Answer,
        buffer: BytesMut,
        /// So much of the buffer is known to have no end of a line.
        searched: usize,
        is_over: bool,
    }
    let lines = Lines { body, buffer: BytesMut::new(), searched: 0, is_over: false };
    stream::unfold(lines, |mut lines| async move {
        loop {
            if let Some(at) = lines.buffer[lines.searched..].iter().position(|byte| *byte == b'\n') {
                let mut line = lines.buffer.split_to(lines.searched + at + 1);
                lines.searched = 0;
                line.truncate(line.len() - 1);
                return Some((Ok(line), lines));
            }
            lines.searched = lines.buffer.len();
            if lines.is_over {
                return None;
            }
            let failure = match lines.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) if lines.buffer.len() + data.len() <= MAX_EVENT_BYTES => {
                        lines.buffer.extend_from_slice(&data);
                        continue;
                    }
                    Ok(_) => Failure::Unexpected(format!("an event of a watch has more than {MAX_EVENT_BYTES} bytes")),
                    // Trailers.
                    Err(_) => continue,
                },
                Err(error) => broke(&*error),
            };
            lines.is_over = true;
            lines.buffer.clear();
            lines.searched = 0;
            return Some((Err(failure), lines));
        }
    })
}

fn event<T: DeserializeOwned>(line: &[u8]) -> Result<WatchEvent<T>, Failure> {
    serde_json::from_slice(line).map_err(|error| match serde_json::from_slice::<ErrorResponse>(line) {
        Ok(answer) => Failure::Refused(Refusal {
            code: answer.code,
            reason: answer.reason,
            message: answer.message,
            retry_after: None,
        }),
        Err(_) => Failure::Unexpected(format!("an event of a watch is not one: {error}")),
    })
}

fn broke(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::Unreachable(format!("the connection to the API server broke: {}", chain(error)))
}

fn wrong(error: &dyn Display) -> Failure {
    Failure::Unexpected(format!("no request can be made: {error}"))
}

/// Objects of one kind.
#[derive(Clone)]
pub(crate) struct Api<K> {
    client: ApiClient,
    build: Build,
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = ()>> Api<K> {
    /// Those without a namespace, or those of all namespaces.
    pub(crate) fn all(client: &ApiClient) -> Self {
        Self { client: client.clone(), build: Build::new(K::url_path(&(), None)), kind: PhantomData }
    }
}

impl<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>> Api<K> {
    /// Those of a namespace.
    pub(crate) fn namespaced(client: &ApiClient, namespace: &str) -> Self {
        Self { client: client.clone(), build: Build::new(K::url_path(&(), Some(namespace))), kind: PhantomData }
    }
}

impl<K: DeserializeOwned + Clone> Api<K> {
    pub(crate) async fn get(&self, name: &str) -> Result<K, Failure> {
        self.client.ask(built(self.build.get(name, &GetParams::default()))?).await
    }

    pub(crate) async fn list(&self, params: &ListParams) -> Result<ObjectList<K>, Failure> {
        self.client.ask(built(self.build.list(params))?).await
    }

    pub(crate) async fn list_metadata(&self, params: &ListParams) -> Result<ObjectList<PartialObjectMeta<K>>, Failure>
    where
        K: Resource,
    {
        self.client.ask(built(self.build.list_metadata(params))?).await
    }

    pub(crate) async fn create(&self, object: &K) -> Result<K, Failure>
    where
        K: Serialize,
    {
        let body = serde_json::to_vec(object).map_err(|error| wrong(&error))?;
        self.client.ask(built(self.build.create(&PostParams::default(), body))?).await
    }

    pub(crate) async fn replace(&self, name: &str, object: &K) -> Result<K, Failure>
    where
        K: Serialize,
    {
        let body = serde_json::to_vec(object).map_err(|error| wrong(&error))?;
        self.client.ask(built(self.build.replace(name, &PostParams::default(), body))?).await
    }

    /// Changes it; only its metadata is sent back, and not looked at.
    pub(crate) async fn patch<P: Serialize>(&self, name: &str, patch: &Patch<P>) -> Result<(), Failure> {
        self.client.send(built(self.build.patch_metadata(name, &PatchParams::default(), patch))?).await
    }

    /// Changes it, and gives what it is then.
    pub(crate) async fn change<P: Serialize>(&self, name: &str, patch: &Patch<P>) -> Result<K, Failure> {
        self.client.ask(built(self.build.patch(name, &PatchParams::default(), patch))?).await
    }

    /// Changes its status.
    pub(crate) async fn patch_status<P: Serialize>(&self, name: &str, patch: &Patch<P>) -> Result<(), Failure> {
        self.client.send(built(self.build.patch_subresource("status", name, &PatchParams::default(), patch))?).await
    }

    /// Changes its status, and gives of what it is then what `T` reads.
    pub(crate) async fn change_status<P, T>(&self, name: &str, patch: &Patch<P>) -> Result<T, Failure>
    where
        P: Serialize,
        T: DeserializeOwned,
    {
        self.client.ask(built(self.build.patch_subresource("status", name, &PatchParams::default(), patch))?).await
    }

    pub(crate) async fn delete(&self, name: &str, params: &DeleteParams) -> Result<(), Failure> {
        self.client.send(built(self.build.delete(name, params))?).await
    }

    pub(crate) async fn watch(&self, params: &WatchParams, version: &str) -> Result<Events<K>, Failure>
    where
        K: Send + 'static,
    {
        self.client.watch(built(self.build.watch(params, version))?).await
    }
}

/// A request, if one can be made of what was asked for.
pub(crate) fn built(request: Result<Request<Vec<u8>>, BuildError>) -> Result<Request<Vec<u8>>, Failure> {
    request.map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn lines_are_reported_as_they_end() {
        let reported = |text: &'static str| async move {
            let lines = lines(Answer::whole(Bytes::from_static(text.as_bytes())));
            let lines: Vec<_> = lines.collect().await;
            lines.into_iter().map(|line| String::from_utf8(line.unwrap().to_vec()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(reported("a\nbc\n\nno end").await, ["a", "bc", ""]);
        assert_eq!(reported("").await, [""; 0]);
    }

    #[tokio::test]
    async fn a_line_without_end_is_given_up() {
        let body = Answer::whole(Bytes::from(vec![b'x'; MAX_EVENT_BYTES + 1]));
        let lines: Vec<_> = lines(body).collect().await;
        assert!(matches!(lines.as_slice(), [Err(Failure::Unexpected(_))]));
    }

    #[test]
    fn an_event_may_be_an_error() {
        assert!(matches!(event::<Value>(br#"{"type":"ADDED","object":{}}"#), Ok(WatchEvent::Added(_))));
        let gone = br#"{"status":"Failure","reason":"Expired","message":"too old","code":410}"#;
        assert_eq!(event::<Value>(gone).unwrap_err().kind(), super::super::Kind::Gone);
        assert!(matches!(event::<Value>(b"<html>"), Err(Failure::Unexpected(_))));
    }
}
