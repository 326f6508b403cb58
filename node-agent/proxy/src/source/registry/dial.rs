//! Connections: straight to the registry, or through the HTTP proxy that the environment names
//! (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, as curl understands them).

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Error, anyhow};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Uri, uri::Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

/// A registry that does not even take the connection in this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// So that a connection that broke without a word is noticed while the client reads slowly.
const KEEPALIVE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Dial {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Dial {
    pub(super) fn new() -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
        direct.set_keepalive(Some(KEEPALIVE));
        direct.set_nodelay(true);
        Self { direct, proxies: Arc::new(Matcher::from_env()) }
    }

    /// What a request over plain HTTP has to give the proxy on its way; over HTTPS the tunnel says it.
    pub(super) fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let proxy = self.proxies.intercept(uri).filter(|_| uri.scheme() == Some(&Scheme::HTTP))?;
        proxy.basic_auth().cloned()
    }
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Stream, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.direct.poll_ready(context).map_err(Error::from)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut direct = self.direct.clone();
        let Some(proxy) = self.proxies.intercept(&uri) else {
            return Box::pin(async move { Ok(Stream { io: direct.call(uri).await?, is_forwarded: false }) });
        };
        let place = proxy.uri().clone();
        if place.scheme() != Some(&Scheme::HTTP) {
            return Box::pin(
                async move { Err(anyhow!("the proxy {place} is of another kind, expected http://HOST:PORT")) },
            );
        }
        Box::pin(async move {
            let through = |error: Error| error.context(format!("through the proxy {place}"));
            if uri.scheme() == Some(&Scheme::HTTP) {
                let io = direct.call(place.clone()).await.map_err(|error| through(error.into()))?;
                return Ok(Stream { io, is_forwarded: true });
            }
            let mut tunnel = Tunnel::new(place.clone(), direct);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let io = tunnel.call(uri).await.map_err(|error| through(error.into()))?;
            Ok(Stream { io, is_forwarded: false })
        })
    }
}

/// A connection. One to a proxy that forwards requests is used differently: they name the whole URL.
pub(super) struct Stream {
    io: TokioIo<TcpStream>,
    is_forwarded: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_forwarded)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
