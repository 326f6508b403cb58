//! HTTP/1.1 with one page. A connection answers one request: a Prometheus asks once in many seconds.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
    time::{sleep, timeout},
};

use super::{super::connections::Connections, Source};

/// A request is answered within this, or not at all.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Who connects asks at once: the handshake, and then the request's head, have to come within this.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// So many are served at once; each has at most some ten kilobytes.
pub(super) const CONNECTIONS: usize = 16;

/// A request has a dozen short headers.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// The version of the text format, by which a Prometheus knows it.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers those who connect to `listener`.
pub(super) async fn local(listener: UnixListener, source: Source) -> Infallible {
    let mut connections = Connections::new(CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => connections.serve(None, connection(stream, source.clone())),
            Err(error) => {
                log::warn!("accepting on {}: {error}", super::SOCKET);
                sleep(DEADLINE).await;
            }
        }
    }
}

/// Answers one request.
pub(super) async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, source: Source) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = response(request.method(), request.uri().path(), || source.text());
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(DEADLINE, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("serving metrics: {error}"),
        Err(_) => log::debug!("serving metrics: it took longer than {} s", DEADLINE.as_secs()),
    }
}

fn response(method: &Method, path: &str, text: impl FnOnce() -> String) -> Response<Full<Bytes>> {
    let (status, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, text()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".to_owned()),
        (_, _) => (StatusCode::NOT_FOUND, "there is only /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(FORMAT));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_page() {
        for (method, path, expected) in [
            (Method::GET, "/metrics", 200),
            (Method::HEAD, "/metrics", 200),
            (Method::POST, "/metrics", 405),
            (Method::GET, "/", 404),
            (Method::GET, "/metrics/x", 404),
        ] {
            assert_eq!(response(&method, path, String::new).status(), expected, "{method} {path}");
        }
    }
}
