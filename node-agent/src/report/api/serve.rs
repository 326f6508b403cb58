//! HTTP/1.1: one request a connection, by who may ask for it.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use ballast_settings::model::{ApiListen, ApiRole};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;

use super::{
    client::Client,
    listen::{Permit, Shared},
    rights,
    route::{self, Refusal},
};
use crate::report::{
    answer::{Replies, replies},
    exec::Input,
    socket::{self, Reply},
};

/// The request's head, and then its body, come within this.
const HEAD: Duration = Duration::from_secs(5);
const BODY: Duration = Duration::from_secs(10);

/// An answer that is no stream is taken within this.
const ANSWER: Duration = Duration::from_secs(30);

/// A request has a dozen short headers.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// As on the unix socket.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Who is served when the API is switched off still hears how that ended.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often the clock is read while a stream goes on.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers one request of `client`, or says why not if there is no `permit`.
pub(super) async fn connection(
    stream: TlsStream<TcpStream>,
    from: IpAddr,
    client: Client,
    permit: Result<Permit, String>,
    shared: Arc<Shared>,
) {
    let rules = shared.rules.subscribe();
    let (is_streaming, streaming) = watch::channel(false);
    let service = service_fn(|request: Request<Incoming>| {
        let answered = respond(request, from, &client, &permit, &shared, &is_streaming);
        async { Ok::<_, Infallible>(answered.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = served => if let Err(error) = served {
            log::debug!("api: serving {} at {from}: {error}", client.name);
        },
        () = too_long(streaming) => log::debug!("api: {} at {from} does not take the answer", client.name),
        () = expired(client.until) => shared.refuse(from, &format!("{} (serial {}): its certificate has expired", client.name, client.serial)),
        why = revoked(rules, &client) => shared.refuse(from, &format!("{} (serial {}): {why}", client.name, client.serial)),
    }
}

/// An answer has its time; a stream has no end of its own.
async fn too_long(mut streaming: watch::Receiver<bool>) {
    let stream = async { streaming.wait_for(|is_streaming| *is_streaming).await.is_ok() };
    if timeout(ANSWER, stream).await.is_ok_and(|is_streaming| is_streaming) {
        std::future::pending::<()>().await;
    }
}

/// Waits until the clock, which may be set meanwhile, is at `until`.
async fn expired(until: SystemTime) {
    while let Ok(left) = until.duration_since(SystemTime::now()) {
        sleep(left.min(POLL_INTERVAL)).await;
    }
}

/// Waits until `client`, who had a role when it came, has none any more, or a lesser one.
async fn revoked(mut rules: watch::Receiver<Option<ApiListen>>, client: &Client) -> String {
    let role = |rules: &Option<ApiListen>| rules.as_ref().map(|rules| client.role(rules));
    let had = role(&rules.borrow_and_update());
    // Who never had one learns it from its answer.
    let Some(Ok(had)) = had else { return std::future::pending().await };
    while rules.changed().await.is_ok() {
        match role(&rules.borrow_and_update()) {
            Some(Ok(now)) if now >= had => {}
            Some(Ok(now)) => return format!("it is {} now", now.name()),
            Some(Err(why)) => return why,
            None => break,
        }
    }
    sleep(FAREWELL).await;
    "the API is switched off".to_owned()
}

async fn respond(
    request: Request<Incoming>,
    from: IpAddr,
    client: &Client,
    permit: &Result<Permit, String>,
    shared: &Shared,
    is_streaming: &watch::Sender<bool>,
) -> Answer {
    match answer(request, from, client, permit, shared, is_streaming).await {
        Ok(answer) => answer,
        Err(Refusal { status, message }) => {
            shared.refuse(from, &format!("{} (serial {}): {message}", client.name, client.serial));
            let body = serde_json::json!({ "error": message }).to_string() + "\n";
            whole(status, "application/json", body)
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    from: IpAddr,
    client: &Client,
    permit: &Result<Permit, String>,
    shared: &Shared,
    is_streaming: &watch::Sender<bool>,
) -> Result<Answer, Refusal> {
    let forbid = |why: String| Refusal::new(StatusCode::FORBIDDEN, why);
    let off = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the API is switched off");
    let rules = shared.rules.borrow().clone().ok_or_else(off)?;
    let role = client.role(&rules).map_err(forbid)?;
    if let Err(why) = permit {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why.clone()));
    }
    let (head, body) = request.into_parts();
    // Nothing is read of who may change nothing.
    if head.method != Method::GET && role < ApiRole::Operator {
        return Err(forbid(format!("{} {} needs the role operator or admin", head.method, head.uri.path())));
    }
    let (mut said, inputs) = (None, mpsc::channel(1));
    let body = if head.method == Method::GET {
        Bytes::new()
    } else if route::has_inputs(head.uri.path()) {
        said = Some(body);
        Bytes::new()
    } else {
        collect(body).await?
    };
    let asked = route::decode(&head.method, head.uri.path(), head.uri.query(), &body)?;
    let what = rights::describe(&asked);
    let needed = rights::needed(&asked);
    if role < needed {
        return Err(forbid(format!("{what} needs the role {}", needed.name())));
    }
    let is_stream = route::is_stream(&asked);
    let who = format!("{} (serial {}, {}) from {from}", client.name, client.serial, role.name());
    let only_looks = head.method == Method::GET && !is_stream;
    log::log!(if only_looks { log::Level::Debug } else { log::Level::Info }, "api: {who}: {what}");
    let failed = |error: anyhow::Error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"));
    let mut replies = replies(asked, &shared.answers, inputs.1).await.map_err(failed)?;
    if let Some(said) = said {
        tokio::spawn(hear(said, inputs.0));
    }
    if is_stream {
        is_streaming.send_replace(true);
        return Ok(lines(replies));
    }
    match replies.recv().await {
        Some(Reply::Error(why)) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why)),
        Some(reply) => {
            let kind = if matches!(reply, Reply::Text(_)) { "text/plain; charset=utf-8" } else { "application/json" };
            let body = route::body(&reply).map_err(failed)?;
            body.map(|body| whole(StatusCode::OK, kind, body)).ok_or_else(|| {
                Refusal::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("the agent answered with something else: {reply:?}"),
                )
            })
        }
        None => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the agent is ending")),
    }
}

/// Passes on what the client says while it is answered, until the connection ends or nobody listens.
async fn hear(body: Incoming, inputs: mpsc::Sender<Input>) {
    let pieces = body.into_data_stream().map(|piece| piece.map_err(std::io::Error::other));
    let mut reader = tokio_util::io::StreamReader::new(pieces);
    loop {
        let input = tokio::select! {
            () = inputs.closed() => return,
            input = Input::next(&mut reader) => input,
        };
        match input {
            Ok(Some(input)) => drop(inputs.send(input).await),
            Ok(None) => return,
            Err(error) => return log::debug!("api: {error:#}"),
        }
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("the body is larger than {MAX_BODY_BYTES} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    match timeout(BODY, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("reading the body: {error}"))),
        Err(_) => {
            let message = format!("the body did not come within {} s", BODY.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, message))
        }
    }
}

fn whole(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *answer.status_mut() = status;
    label(&mut answer, kind);
    answer
}

/// A line for each reply. When nobody reads on, hyper drops it, and with it what was asked for.
fn lines(replies: Replies) -> Answer {
    let frames = stream::unfold(replies, |mut replies| async {
        let reply = replies.recv().await?;
        let line = socket::line(&reply).inspect_err(|error| log::warn!("api: {error:#}")).ok()?;
        Some((Ok(Frame::data(Bytes::from(line))), replies))
    });
    let mut answer = Response::new(StreamBody::new(frames.boxed()).boxed_unsync());
    label(&mut answer, "application/x-ndjson");
    answer
}

fn label(answer: &mut Answer, kind: &'static str) {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
