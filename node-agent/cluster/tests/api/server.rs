//! A small API server: TLS, HTTP/2 or HTTP/1.1, objects with resourceVersion, merge patches, one kind of watch, a signer. And faults, when a test asks
//! for them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

/// What a test may let the server do instead of answering.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, and perhaps `Retry-After`.
    Status(u16, Option<u64>),
    /// The connection breaks.
    Reset,
}

pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Value>,
    version: u64,
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
    events: broadcast::Sender<(String, Value)>,
}

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) url: String,
    pub(crate) ca: String,
    issuer: Arc<Issuer<'static, KeyPair>>,
    tls: TlsAcceptor,
    task: Arc<Stop>,
}

struct Stop(JoinHandle<()>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Api {
    pub(crate) async fn start(protocols: &[&[u8]]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Arc::new(Issuer::new(params, key));
        let server_key = KeyPair::generate().unwrap();
        let server =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
        let key = PrivateKeyDer::from_pem_slice(server_key.serialize_pem().as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = verifier.allow_unauthenticated().build().unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            objects: BTreeMap::new(),
            version: 1,
            log: Vec::new(),
            faults: Vec::new(),
            watch: Duration::from_secs(600),
            is_by_hand: false,
            life: Duration::from_secs(3600),
            events: broadcast::channel(64).0,
        }));
        let tls = TlsAcceptor::from(Arc::new(tls));
        let task = tokio::spawn(accept(listener, tls.clone(), state.clone(), issuer.clone()));
        Self { state, url, ca, issuer, tls, task: Arc::new(Stop(task)) }
    }

    /// Listens again where it did before [`Self::stop`].
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.url.trim_start_matches("https://")).await.unwrap();
        let task = tokio::spawn(accept(listener, self.tls.clone(), self.state.clone(), self.issuer.clone()));
        self.task = Arc::new(Stop(task));
    }

    /// Takes no connection any more and breaks those that are open.
    pub(crate) fn stop(&self) {
        self.task.0.abort();
    }

    pub(crate) fn fault(&self, request: &str, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.push((request.to_owned(), faults.into_iter().collect()));
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(path).cloned()
    }

    pub(crate) fn count(&self, request: &str) -> usize {
        self.state.lock().unwrap().log.iter().filter(|(line, _)| line.starts_with(request)).count()
    }

    /// As `kubectl apply`, and `delete`.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.state.lock().unwrap().store(path, object);
    }

    pub(crate) fn delete(&self, path: &str) {
        let mut state = self.state.lock().unwrap();
        if let Some(object) = state.objects.remove(path) {
            let _ = state.events.send((path.to_owned(), json!({ "type": "DELETED", "object": object })));
        }
    }

    /// As `kubectl certificate approve`, of all requests.
    pub(crate) fn sign(&self, requests: &str) {
        let mut state = self.state.lock().unwrap();
        let open: Vec<_> =
            state.objects.iter().filter(|(at, _)| at.starts_with(requests)).map(|(at, _)| at.clone()).collect();
        for at in open {
            let mut request = state.objects[&at].clone();
            request["status"] = json!({ "certificate": sign(&request, &self.issuer, state.life) });
            state.store(&at, request);
        }
    }

    /// Waits until it is so; panics if that takes too long.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        for _ in 0..1500 {
            if is_so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what}: not within 30 s; log: {:#?}", self.state.lock().unwrap().log);
    }
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    state: Arc<Mutex<State>>,
    issuer: Arc<Issuer<'static, KeyPair>>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, state, issuer) = (tls.clone(), state.clone(), issuer.clone());
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let session = stream.get_ref().1;
            let certificate = session.peer_certificates().and_then(|chain| chain.first().cloned());
            let is_http2 = session.alpn_protocol() == Some(b"h2");
            let reset = Arc::new(tokio::sync::Notify::new());
            let broken = reset.clone();
            let service = service_fn(move |request| {
                let (state, issuer, reset) = (state.clone(), issuer.clone(), reset.clone());
                let user = certificate.as_ref().map(|certificate| common_name(certificate));
                async move { answer(request, user, &state, &issuer, &reset).await }
            });
            let io = TokioIo::new(stream);
            tokio::select! {
                _ = async { if is_http2 { http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await }
                            else { http1::Builder::new().serve_connection(io, service).await } } => {}
                () = broken.notified() => {}
            }
        });
    }
}

/// Whose certificate it is: the text that begins so, with its length before it.
fn common_name(certificate: &CertificateDer<'_>) -> String {
    let begin = b"system:node:";
    let at = certificate.windows(begin.len()).position(|window| window == begin);
    let name = at.map(|at| &certificate[at..at + usize::from(certificate[at - 1])]);
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

type Answer = Response<BoxBody<Bytes, std::convert::Infallible>>;

async fn answer(
    request: Request<Incoming>,
    certificate: Option<String>,
    state: &Arc<Mutex<State>>,
    issuer: &Issuer<'static, KeyPair>,
    reset: &tokio::sync::Notify,
) -> Result<Answer, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let bearer = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let acts_as = parts.headers.get("impersonate-user").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let user = acts_as.or(certificate).or(bearer).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let line = format!("{} {path}", parts.method);
    let accept = parts.headers.get("accept").and_then(|value| value.to_str().ok());
    let is_partial = accept.is_some_and(|accept| accept.contains("PartialObjectMetadataList"));
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut state = state.lock().unwrap();
    let watch = query.contains("watch=true");
    state.log.push((if watch { format!("{line}?watch") } else { line.clone() }, user.clone()));
    let is_it = |request: &str| line.starts_with(request) || request.strip_suffix('$') == Some(line.as_str());
    let fault = state.faults.iter_mut().find(|(request, faults)| is_it(request) && !faults.is_empty());
    match fault.and_then(|(_, faults)| faults.pop_front()) {
        Some(Fault::Status(code, after)) => return Ok(status(code, "Scripted", after)),
        Some(Fault::Reset) => {
            reset.notify_one();
            return Ok(status(500, "Reset", None));
        }
        None => {}
    }
    if watch {
        return Ok(state.watch(&path, &query));
    }
    if is_partial && parts.method == Method::GET {
        return Ok(state.list(&path, &query, |object| json!({ "metadata": object["metadata"] })));
    }
    Ok(state.apply(&parts.method, &path, &query, &body, issuer))
}

fn whole(code: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

fn status(code: u16, reason: &str, after: Option<u64>) -> Answer {
    let value = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code });
    let mut answer = whole(code, &value);
    if let Some(after) = after {
        answer.headers_mut().insert("retry-after", after.to_string().parse().unwrap());
    }
    answer
}

impl State {
    fn store(&mut self, path: &str, mut object: Value) -> Value {
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
    fn list(&self, path: &str, query: &str, show: impl Fn(&Value) -> Value) -> Answer {
        let inner = format!("{}/", path.trim_start_matches("/api/v1"));
        let here = self.objects.iter().filter(|(at, _)| at.contains(&inner)).map(|(_, found)| found);
        let items: Vec<_> = here.filter(|found| is_selected(found, query)).map(show).collect();
        whole(200, &json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items }))
    }

    fn apply(
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
    fn watch(&self, path: &str, query: &str) -> Answer {
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

/// Signs what is asked for. In base64, as bytes are in JSON.
fn sign(request: &Value, issuer: &Issuer<'static, KeyPair>, life: Duration) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pem = STANDARD.decode(request["spec"]["request"].as_str().unwrap()).unwrap();
    let mut asked = CertificateSigningRequestParams::from_pem(&String::from_utf8(pem).unwrap()).unwrap();
    let now = std::time::SystemTime::now();
    asked.params.not_before = (now - Duration::from_secs(1)).into();
    asked.params.not_after = (now + life).into();
    STANDARD.encode(asked.signed_by(issuer).unwrap().pem())
}
