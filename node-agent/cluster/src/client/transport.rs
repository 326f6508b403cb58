//! Requests over one connection: made when it is needed, to the first server that takes it; with credentials, deadlines and counts.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use kube::{client::Body, core::Status};
use rustls::ClientConfig;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};
use tower_service::Service;

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

/// An answer that is larger is none to a question of ours.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Nor is a watch; it is begun anew.
const MAX_WATCH_BYTES: usize = 16 * 1024 * 1024;

/// Connections of HTTP/1.1 that are kept when nobody uses them: one beside that of the watch.
const MAX_IDLE: usize = 1;

/// Who we say we are. The client's certificate is within the TLS configuration.
#[derive(Clone, Default)]
pub struct Authority {
    /// `Authorization:`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// `Impersonate-User:`
    pub acts_as: Option<HeaderValue>,
}

/// A service for kube's client. Clones share the connection.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
    authority: Authority,
}

struct Shared {
    servers: Vec<Server>,
    tls: Arc<ClientConfig>,
    counters: Arc<Counters>,
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
enum Lane {
    Shared(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
    Single(hyper::client::conn::http1::SendRequest<Full<Bytes>>, Driver),
}

/// What was sent, and may be sent once more.
struct Question {
    method: http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Transport {
    /// Makes no connection yet.
    pub fn new(servers: Vec<Server>, tls: Arc<ClientConfig>, authority: Authority, counters: Arc<Counters>) -> Self {
        Self { shared: Arc::new(Shared { servers, tls, counters, open: Mutex::default() }), authority }
    }

    /// The same connection, in the name of `user`, which the API server has to allow.
    pub fn acting_as(&self, user: HeaderValue) -> Self {
        let authority = Authority { acts_as: Some(user), ..self.authority.clone() };
        Self { shared: self.shared.clone(), authority }
    }

    /// The server that took the last connection.
    pub async fn server(&self) -> Option<String> {
        self.shared.open.lock().await.server.as_ref().map(ToString::to_string)
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Answer>, Failure> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.map_err(|error| Failure::Strange(chain(&error)))?;
        let mut headers = parts.headers;
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("ballast/", env!("CARGO_PKG_VERSION"))));
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authority.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Some(user) = &self.authority.acts_as {
            headers.insert("impersonate-user", user.clone());
        }
        let question = Question { method: parts.method, uri: parts.uri, headers, body };
        self.shared.counters.requests.fetch_add(1, Relaxed);
        let result = self.shared.ask(question).await;
        if result.is_err() {
            self.shared.counters.errors.fetch_add(1, Relaxed);
        }
        result
    }
}

impl Shared {
    async fn ask(&self, question: Question) -> Result<Response<Answer>, Failure> {
        let begun = Instant::now();
        let deadline = begun + REQUEST_TIMEOUT;
        let watch = watch_timeout(&question.uri);
        let mut is_new = false;
        loop {
            let (lane, server, generation) = self.lane(is_new).await?;
            let late = || Failure::Late { server: server.to_string(), after: REQUEST_TIMEOUT };
            let broke = |error: &(dyn std::error::Error + 'static)| {
                Failure::Away(format!("the connection to {server} broke: {}", chain(error)))
            };
            let request = question.request(&server, &lane)?;
            let sent = match lane {
                Lane::Shared(mut sender) => {
                    let answer = sender.try_send_request(request);
                    timeout_at(deadline, answer).await.map(|answer| answer.map(|answer| (answer, None)))
                }
                Lane::Single(mut sender, driver) => {
                    let answer = timeout_at(deadline, sender.try_send_request(request)).await;
                    answer.map(|answer| answer.map(|answer| (answer, Some((sender, driver)))))
                }
            };
            let (answer, single) = match sent {
                Err(_) => {
                    self.give_up(generation).await;
                    return Err(late());
                }
                Ok(Ok(answer)) => answer,
                Ok(Err(mut error)) => {
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
            let whole = match timeout_at(deadline, Limited::new(body, MAX_ANSWER_BYTES).collect()).await {
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
            if !is_good {
                return Err(Failure::Refused(refusal(parts.status, &parts.headers, &whole)));
            }
            return Ok(Response::from_parts(parts, Answer::whole(whole)));
        }
    }

    /// What is open, else a connection to the first server that takes one.
    async fn lane(&self, is_new: bool) -> Result<(Lane, Server, u64), Failure> {
        // Who comes while a connection is being made waits for it instead of making another.
        let mut open = self.open.lock().await;
        if let Some((sender, _)) = open.http2.as_ref().filter(|(sender, _)| !sender.is_closed()) {
            let sender = sender.clone();
            if let Some(server) = &open.server {
                return Ok((Lane::Shared(sender), server.clone(), open.generation));
            }
        }
        open.http2 = None;
        open.idle.retain(|(sender, _)| sender.is_ready());
        if let (Some(server), false) = (open.server.clone(), is_new || open.idle.is_empty()) {
            if let Some((sender, driver)) = open.idle.pop() {
                return Ok((Lane::Single(sender, driver), server, open.generation));
            }
        }
        let mut reasons = Vec::new();
        for server in &self.servers {
            match server.connect(&self.tls, &self.counters).await {
                Ok(connection) => return Ok(open.take(connection, server)),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Failure::Away(reasons.join("; ")))
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
    fn take(&mut self, connection: Connection, server: &Server) -> (Lane, Server, u64) {
        if self.server.as_ref() != Some(server) {
            self.idle.clear();
            self.server = Some(server.clone());
        }
        match connection {
            Connection::Shared(sender, driver) => {
                self.generation += 1;
                self.http2 = Some((sender.clone(), driver));
                (Lane::Shared(sender), server.clone(), self.generation)
            }
            Connection::Single(sender, driver) => (Lane::Single(sender, driver), server.clone(), self.generation),
        }
    }
}

impl Question {
    fn request(&self, server: &Server, lane: &Lane) -> Result<Request<Full<Bytes>>, Failure> {
        let wrong = |error: http::Error| Failure::Strange(format!("no request can be made of {}: {error}", self.uri));
        let path = format!("{}{}", server.prefix(), self.uri.path_and_query().map_or("/", |path| path.as_str()));
        let uri = match lane {
            Lane::Shared(_) => Uri::builder().scheme("https").authority(server.authority()).path_and_query(path),
            Lane::Single(..) => Uri::builder().path_and_query(path),
        };
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.build().map_err(wrong)?;
        *request.headers_mut() = self.headers.clone();
        if let Lane::Single(..) = lane {
            let host = HeaderValue::from_str(&server.authority()).map_err(|error| wrong(error.into()))?;
            request.headers_mut().insert(header::HOST, host);
        }
        Ok(request)
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Answer>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Response<Answer>, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// How long a watch was asked for, if `uri` is one.
fn watch_timeout(uri: &Uri) -> Option<Duration> {
    let query = uri.query()?;
    let of = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    of("watch").filter(|value| *value == "true" || *value == "1")?;
    // kube says 290 s where nothing is said.
    Some(Duration::from_secs(of("timeoutSeconds").and_then(|secs| secs.parse().ok()).unwrap_or(290)))
}

/// Reads an answer that says no. What is no Kubernetes status (a balancer's page) only has its code.
fn refusal(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let status: Option<Status> = serde_json::from_slice(body).ok();
    let (reason, message, details) =
        status.map(|status| (status.reason, status.message, status.details)).unwrap_or_default();
    let asked = details.filter(|details| details.retry_after_seconds > 0);
    let asked = asked.map(|details| Duration::from_secs(u64::from(details.retry_after_seconds)));
    let retry_after = retry_after(headers, SystemTime::now()).or(asked);
    Refusal { code: code.as_u16(), reason, message, retry_after }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(secs) = text.parse() {
        return Some(Duration::from_secs(secs));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
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

    #[test]
    fn the_server_may_say_when() {
        let status = br#"{"kind":"Status","status":"Failure","reason":"TooManyRequests","code":429,"details":{"retryAfterSeconds":7}}"#;
        let of = |headers: &HeaderMap, body: &[u8]| refusal(StatusCode::TOO_MANY_REQUESTS, headers, body).retry_after;
        let header = HeaderMap::from_iter([(header::RETRY_AFTER, "3".parse().unwrap())]);
        assert_eq!(of(&header, status), Some(Duration::from_secs(3)));
        assert_eq!(of(&HeaderMap::new(), status), Some(Duration::from_secs(7)));
        assert_eq!(of(&HeaderMap::new(), b"<html>"), None);
    }
}
