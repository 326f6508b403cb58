//! One request, over HTTP/1.1: for programs that ask once. Nothing of the client for memberships is linked by it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Identity, Server, Trust, bearer, failure::chain, tls::configuration};

/// All of it.
const DEADLINE: Duration = Duration::from_secs(15);

/// No object that is asked for has more.
const MAX_BYTES: usize = 1 << 20;

/// Gets `path` of `server`: the status, and what came.
///
/// # Errors
/// A sentence that names the server.
pub async fn get(
    server: &Server,
    trust: &Trust,
    identity: &Identity,
    path: &str,
) -> Result<(StatusCode, Bytes), String> {
    let late = |_| format!("{server} does not answer within {} s", DEADLINE.as_secs());
    timeout(DEADLINE, ask(server, trust, identity, path)).await.map_err(late)?
}

async fn ask(server: &Server, trust: &Trust, identity: &Identity, path: &str) -> Result<(StatusCode, Bytes), String> {
    let mut tls = configuration(trust, identity)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let wrong = |what: String| format!("{server} cannot be asked: {what}");
    let failed = |error: &(dyn std::error::Error + 'static)| wrong(chain(error));
    let stream = TcpStream::connect(server.place()).await.map_err(|error| failed(&error))?;
    let name = server.server_name().map_err(wrong)?;
    let secured = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.map_err(|error| failed(&error))?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(secured)).await.map_err(|error| failed(&error))?;
    // It ends with the answer.
    let driver = tokio::spawn(driver);
    let mut request = Request::get(format!("{}{path}", server.prefix()))
        .header(header::HOST, server.authority())
        .header(header::ACCEPT, "application/json");
    if let Identity::Token(token) = identity {
        request = request.header(header::AUTHORIZATION, bearer(token)?);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
    driver.abort();
    body.map(|body| (status, body.to_bytes())).map_err(|error| wrong(error.to_string()))
}
