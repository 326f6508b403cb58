//! A small API server: TLS, HTTP/2 or HTTP/1.1, objects with resourceVersion, merge patches, one kind of watch, a signer. And faults, when a test asks
//! for them.

mod certificates;
mod objects;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

pub(crate) use self::objects::State;
use self::{
    certificates::{common_name, sign},
    objects::{Answer, status},
};

/// What a test may let the server do instead of answering.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, and perhaps `Retry-After`.
    Status(u16, Option<u64>),
    /// The connection breaks.
    Reset,
    /// The connection takes requests and answers none any more, as behind a balancer.
    Silence,
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
            let (broken, silence) = (reset.clone(), Arc::new(AtomicBool::new(false)));
            let service = service_fn(move |request| {
                let (state, issuer, reset, silence) = (state.clone(), issuer.clone(), reset.clone(), silence.clone());
                let user = certificate.as_ref().map(|certificate| common_name(certificate));
                async move {
                    let answered = match silence.load(Relaxed) {
                        false => Some(answer(request, user, &state, &issuer, &reset, &silence).await),
                        true => None,
                    };
                    match answered.filter(|_| !silence.load(Relaxed)) {
                        Some(answered) => answered,
                        None => std::future::pending().await,
                    }
                }
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

async fn answer(
    request: Request<Incoming>,
    certificate: Option<String>,
    state: &Arc<Mutex<State>>,
    issuer: &Issuer<'static, KeyPair>,
    reset: &tokio::sync::Notify,
    silence: &AtomicBool,
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
        Some(Fault::Silence) => {
            silence.store(true, Relaxed);
            return Ok(status(500, "Silence", None));
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
