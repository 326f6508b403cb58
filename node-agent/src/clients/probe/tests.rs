//! Each kind of question is asked of a real server on the loopback.

use std::{convert::Infallible, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::{
    health::{HealthCheckRequest, HealthCheckResponse},
    *,
};

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

fn get(port: u16, path: &str) -> Get<'_> {
    Get { is_https: false, host: "127.0.0.1", port, path, headers: &[] }
}

/// Answers one request: by its path, as `/404`; `/to/X` leads to `/X`, `/loop` to itself, `/away` elsewhere, `/late` nowhere.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = vec![0; 2048];
    let count = stream.read(&mut request).await.unwrap_or_default();
    let request = String::from_utf8_lossy(&request[..count]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, location) = match path {
        "/late" => return tokio::time::sleep(LIMIT).await,
        "/loop" => ("302", "/loop".to_owned()),
        "/away" => ("302", "http://192.0.2.1/".to_owned()),
        path => match path.strip_prefix("/to") {
            Some(rest) => ("307", rest.to_owned()),
            None => (&path[1..], String::new()),
        },
    };
    // The body that is promised never comes: who reads it waits.
    let head = format!("HTTP/1.1 {status} Word\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    port
}

/// A port that nobody listens at.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn tcp_is_a_connection() {
    connects("127.0.0.1", server().await, LIMIT).await.unwrap();
    connects("localhost", server().await, LIMIT).await.unwrap();
    let port = free_port().await;
    let refused = connects("127.0.0.1", port, LIMIT).await.unwrap_err();
    assert_eq!(format!("{refused:#}"), format!("connecting to 127.0.0.1:{port}: Connection refused (os error 111)"));
}

#[tokio::test]
async fn http_is_a_status_from_200_to_399() {
    let port = server().await;
    for path in ["/200", "204", "/399", "/to/200", "/to/to/204", "/away"] {
        super::get(&get(port, path), LIMIT).await.unwrap_or_else(|error| panic!("{path}: {error:#}"));
    }
    let table = [
        ("/400", "HTTP status 400"),
        ("/503", "HTTP status 503"),
        ("/to/500", "HTTP status 500"),
        ("/loop", "more than 10 redirects"),
    ];
    for (path, expected) in table {
        assert_eq!(super::get(&get(port, path), LIMIT).await.unwrap_err().to_string(), expected, "{path}");
    }
    let late = super::get(&get(port, "/late"), SHORT).await.unwrap_err();
    assert_eq!(late.to_string(), "no answer within 0.3 s");
    assert!(super::get(&get(free_port().await, "/"), LIMIT).await.is_err());
}

#[tokio::test]
async fn https_takes_any_certificate() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["other.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream).await;
            }
        }
    });
    let https = |path| Get { is_https: true, ..get(port, path) };
    super::get(&https("/200"), LIMIT).await.unwrap();
    assert_eq!(super::get(&https("/500"), LIMIT).await.unwrap_err().to_string(), "HTTP status 500");
    // Who speaks no TLS is no success.
    assert!(super::get(&Get { port: server().await, ..https("/200") }, LIMIT).await.is_err());
}

/// A health service: `up` serves, `down` does not, others are unknown; `late` gets no answer.
async fn health(
    request: http::Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked = HealthCheckRequest::decode(&body[5..]).unwrap().service;
    let status = match asked.as_str() {
        "" | "up" => 1,
        "down" => 2,
        "late" => {
            tokio::time::sleep(LIMIT).await;
            0
        }
        _ => 3,
    };
    let code = if path == "/grpc.health.v1.Health/Check" && asked != "none" { "0" } else { "12" };
    let message = HealthCheckResponse { status }.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put_slice(&message);
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))]);
    let mut frames = vec![Ok(Frame::trailers(trailers))];
    if code == "0" {
        frames.insert(0, Ok(Frame::data(framed.freeze())));
    }
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
}

#[tokio::test]
async fn grpc_is_the_word_serving() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection =
                http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service_fn(health));
            tokio::spawn(connection);
        }
    });
    for service in ["", "up"] {
        serves("127.0.0.1", port, service, LIMIT).await.unwrap_or_else(|error| panic!("{service}: {error:#}"));
    }
    let table = [
        ("down", "the health service answers NOT_SERVING"),
        ("other", "the health service answers SERVICE_UNKNOWN"),
        ("none", "the server has no health service"),
    ];
    for (service, expected) in table {
        assert_eq!(serves("127.0.0.1", port, service, LIMIT).await.unwrap_err().to_string(), expected, "{service}");
    }
    assert_eq!(serves("127.0.0.1", port, "late", SHORT).await.unwrap_err().to_string(), "no answer within 0.3 s");
    assert!(serves("127.0.0.1", free_port().await, "", LIMIT).await.is_err());
    // Whoever speaks HTTP/1 has none.
    assert!(serves("127.0.0.1", server().await, "", Duration::from_secs(3)).await.is_err());
}
