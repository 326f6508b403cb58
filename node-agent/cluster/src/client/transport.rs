//! Requests over one connection: made when it is needed, to the first server that takes it; with credentials, deadlines and counts.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use rustls::ClientConfig;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use super::{
    body::Answer,
    counters::Counters,
    failure::{Failure, Refusal, chain},
    server::{Connection, Driver, Server},
};

/// A request and its whole answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A watch ends by itself after the time that it was asked for; this is what it may be late.
const WATCH_SLACK: Duration = Duration::from_secs(30);

/// An answer that is larger is none to a request of ours.
pub(super) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Nor is a watch; it is begun anew.
const MAX_WATCH_BYTES: usize = 16 * 1024 * 1024;

/// A server that answers so many requests in a row with 5xx is left for the next one: nothing behind it may be well.
const UNWELL: u32 = 3;

/// Connections of HTTP/1.1 that are kept when nobody uses them: one beside that of the watch.
const MAX_IDLE: usize = 1;

/// Sends requests. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Transport {
    shared: Arc<Shared>,
    /// `Authorization:`, marked as sensitive. The client's certificate is within the TLS configuration.
    authorization: Option<HeaderValue>,
}

struct Shared {
    servers: Vec<Server>,
    tls: Arc<ClientConfig>,
    counters: Arc<Counters>,
    /// Bytes of an answer.
    max_answer: usize,
    open: Mutex<Open>,
}

/// The server that took the last connection, and what is open to it.
#[derive(Default)]
struct Open {
    server: Option<Server>,
    generation: u64,
    http2: Option<(hyper::client::conn::http2::SendRequest<Full<Bytes>>, Driver)>,
    idle: Vec<(hyper::client::conn::http1::SendRequest<Full<Bytes>>, Driver)>,
}

/// A connection for one request.
enum Sender {
    Shared(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
    Single(hyper::client::conn::http1::SendRequest<Full<Bytes>>, Driver),
}

/// What was sent, and may be sent once more.
struct PreparedRequest {
    method: http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Transport {
    /// Makes no connection yet.
    pub(crate) fn new(
        servers: Vec<Server>,
        tls: Arc<ClientConfig>,
        authorization: Option<HeaderValue>,
        max_answer: usize,
        counters: Arc<Counters>,
    ) -> Self {
        Self { shared: Arc::new(Shared { servers, tls, counters, max_answer, open: Mutex::default() }), authorization }
    }

    /// The server that took the last connection.
    pub(crate) async fn server(&self) -> Option<String> {
        self.shared.open.lock().await.server.as_ref().map(ToString::to_string)
    }

    /// Sends `request`, whose URI is a path. An answer that says no is an error.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Answer>, Failure> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from(body);
        let mut headers = parts.headers;
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("ballast/", env!("CARGO_PKG_VERSION"))));
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let prepared = PreparedRequest { method: parts.method, uri: parts.uri, headers, body };
        self.shared.counters.requests.fetch_add(1, Relaxed);
        let result = self.shared.ask(prepared).await;
        if result.is_err() {
            self.shared.counters.errors.fetch_add(1, Relaxed);
        }
        result
    }
}

impl Shared {
    async fn ask(&self, prepared: PreparedRequest) -> Result<Response<Answer>, Failure> {
        let watch = watch_timeout(&prepared.uri);
        let mut is_new = false;
        loop {
            let (sender, server, generation) = self.sender(is_new).await?;
            // Servers that are silent took their own time, and leave the one that is not its whole.
            let begun = Instant::now();
            let deadline = begun + REQUEST_TIMEOUT;
            let late = || Failure::Late { server: server.to_string(), after: REQUEST_TIMEOUT };
            let broke = |error: &(dyn std::error::Error + 'static)| {
                Failure::Unreachable(format!("the connection to {server} broke: {}", chain(error)))
            };
            let request = prepared.request(&server, &sender)?;
            let sent = match sender {
                Sender::Shared(mut sender) => {
                    let answer = timeout_at(deadline, sender.try_send_request(request)).await;
                    (answer, None)
                }
                Sender::Single(mut sender, driver) => {
                    let answer = timeout_at(deadline, sender.try_send_request(request)).await;
                    (answer, Some((sender, driver)))
                }
            };
            let (answer, single) = match sent {
                (Ok(Ok(answer)), single) => (answer, single),
                (Err(_), _) => {
                    self.give_up(generation).await;
                    return Err(late());
                }
                (Ok(Err(mut error)), _) => {
                    self.give_up(generation).await;
                    // The server had closed the connection and never saw the request.
                    if error.take_message().is_some() && !is_new {
                        is_new = true;
                        continue;
                    }
                    return Err(broke(error.error()));
                }
            };
            let is_good = answer.status().is_success();
            if let Some(watch) = watch.filter(|_| is_good) {
                let until = begun + watch + WATCH_SLACK;
                let body = |body: Incoming| Answer::stream(Limited::new(body, MAX_WATCH_BYTES), until, single);
                return Ok(answer.map(body));
            }
            let (parts, body) = answer.into_parts();
            let whole = match timeout_at(deadline, Limited::new(body, self.max_answer).collect()).await {
                Ok(Ok(whole)) => whole.to_bytes(),
                Ok(Err(error)) => {
                    self.give_up(generation).await;
                    return Err(broke(&*error));
                }
                Err(_) => {
                    self.give_up(generation).await;
                    return Err(late());
                }
            };
            if let Some((sender, driver)) = single {
                self.keep(generation, sender, driver).await;
            }
            self.weigh(&prepared.uri, parts.status, &server).await;
            if !is_good {
                return Err(Failure::Refused(Refusal::read(parts.status, &parts.headers, &whole)));
            }
            return Ok(Response::from_parts(parts, Answer::whole(whole)));
        }
    }

    /// What is open, else a connection to the first server that takes one.
    async fn sender(&self, is_new: bool) -> Result<(Sender, Server, u64), Failure> {
        // Who comes while a connection is being made waits for it instead of making another.
        let mut open = self.open.lock().await;
        if let Some((sender, _)) = open.http2.as_ref().filter(|(sender, _)| !sender.is_closed()) {
            let sender = sender.clone();
            if let Some(server) = &open.server {
                return Ok((Sender::Shared(sender), server.clone(), open.generation));
            }
        }
        open.http2 = None;
        open.idle.retain(|(sender, _)| sender.is_ready());
        if let (Some(server), false) = (open.server.clone(), is_new || open.idle.is_empty())
            && let Some((sender, driver)) = open.idle.pop()
        {
            return Ok((Sender::Single(sender, driver), server, open.generation));
        }
        let mut reasons = Vec::new();
        let first = self.counters.first.load(Relaxed);
        for server in self.servers.iter().cycle().skip(first).take(self.servers.len()) {
            match server.connect(&self.tls, &self.counters).await {
                Ok(connection) => return Ok(open.take(connection, server)),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Failure::Unreachable(reasons.join("; ")))
    }

    /// Leaves a server that takes connections and answers nothing well; it is tried last from then on.
    async fn weigh(&self, uri: &Uri, status: StatusCode, server: &Server) {
        // Of an eviction, 500 says that a pod has two budgets.
        if !status.is_server_error() || uri.path().ends_with("/eviction") {
            return self.counters.unwell.store(0, Relaxed);
        }
        let place = self.servers.iter().position(|one| one == server);
        let (Some(place), true) = (place, self.servers.len() > 1) else { return };
        if self.counters.unwell.fetch_add(1, Relaxed) + 1 < UNWELL {
            return;
        }
        let mut open = self.open.lock().await;
        if open.server.as_ref() == Some(server) {
            log::warn!("{server} answers nothing but errors of its own ({status}); the next server is tried");
            self.counters.unwell.store(0, Relaxed);
            self.counters.first.store((place + 1) % self.servers.len(), Relaxed);
            open.http2 = None;
            open.idle.clear();
        }
    }

    /// Nothing more is sent on the connections of that generation; watches on them end.
    async fn give_up(&self, generation: u64) {
        let mut open = self.open.lock().await;
        if open.generation == generation {
            open.http2 = None;
            open.idle.clear();
        }
    }

    async fn keep(
        &self,
        generation: u64,
        sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
        driver: Driver,
    ) {
        let mut open = self.open.lock().await;
        if open.generation == generation && open.idle.len() < MAX_IDLE {
            open.idle.push((sender, driver));
        }
    }
}

impl Open {
    fn take(&mut self, connection: Connection, server: &Server) -> (Sender, Server, u64) {
        if self.server.as_ref() != Some(server) {
            self.idle.clear();
            self.server = Some(server.clone());
        }
        match connection {
            Connection::Shared(sender, driver) => {
                self.generation += 1;
                self.http2 = Some((sender.clone(), driver));
                (Sender::Shared(sender), server.clone(), self.generation)
            }
            Connection::Single(sender, driver) => (Sender::Single(sender, driver), server.clone(), self.generation),
        }
    }
}

impl PreparedRequest {
    fn request(&self, server: &Server, sender: &Sender) -> Result<Request<Full<Bytes>>, Failure> {
        let wrong =
            |error: http::Error| Failure::Unexpected(format!("no request can be made of {}: {error}", self.uri));
        let path = format!("{}{}", server.prefix(), self.uri.path_and_query().map_or("/", |path| path.as_str()));
        let uri = match sender {
            Sender::Shared(_) => Uri::builder().scheme("https").authority(server.authority()).path_and_query(path),
            Sender::Single(..) => Uri::builder().path_and_query(path),
        };
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.build().map_err(wrong)?;
        *request.headers_mut() = self.headers.clone();
        if let Sender::Single(..) = sender {
            let host = HeaderValue::from_str(&server.authority()).map_err(|error| wrong(error.into()))?;
            request.headers_mut().insert(header::HOST, host);
        }
        Ok(request)
    }
}

/// How long a watch was asked for, if `uri` is one.
fn watch_timeout(uri: &Uri) -> Option<Duration> {
    let query = uri.query()?;
    let of = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    of("watch").filter(|value| *value == "true" || *value == "1")?;
    // 290 s where nothing is said: kube-core's own.
    Some(Duration::from_secs(of("timeoutSeconds").and_then(|secs| secs.parse().ok()).unwrap_or(290)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_known_by_its_query() {
        let table = [
            ("/apis/os.ballast.dev/v1alpha1/nodeoses?&watch=true&timeoutSeconds=300", Some(300)),
            ("/a?watch=1", Some(290)),
            ("/a?watch=false", None),
            ("/a?unwatch=true", None),
            ("/a", None),
        ];
        for (uri, secs) in table {
            assert_eq!(watch_timeout(&uri.parse().unwrap()), secs.map(Duration::from_secs), "{uri}");
        }
    }
}
