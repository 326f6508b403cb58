//! An API server's URL, and a connection to one: TCP, TLS, HTTP/2 or, from a server that has no better, HTTP/1.1.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    counters::{Counted, Counters},
    failure::chain,
};

/// A server that takes no connection in this time is unreachable. Several may be tried, so it is short.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// So much of a stream may come before it is read: the answers are small, and a thousand nodes may be in one process.
const WINDOW_BYTES: u32 = 256 * 1024;

/// Headers of an answer.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// Where an API server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
    /// What stands before every path, without a slash at its end.
    prefix: String,
    /// As whom the server must prove itself, where that is not its host.
    name: Option<String>,
}

impl Server {
    /// Reads `https://HOST[:PORT][/PATH]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not the URL of an API server, expected https://HOST[:PORT]");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        if uri.scheme_str() != Some("https") || uri.query().is_some() || text.contains('@') {
            return Err(wrong());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(443), prefix, name: None })
    }

    /// With the name that the server proves itself with.
    pub fn known_as(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    /// `HOST:PORT`, as a request names it.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whom to connect to.
    pub(super) fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// As whom it proves itself.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, String> {
        let name = self.name.as_ref().unwrap_or(&self.host).clone();
        ServerName::try_from(name).map_err(|error| error.to_string())
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Connects. The error is a sentence that names the server.
    pub(super) async fn connect(
        &self,
        tls: &Arc<ClientConfig>,
        counters: &Arc<Counters>,
    ) -> Result<Connection, String> {
        let wrong = |what: String| format!("{self} cannot be reached: {what}");
        let late = |_| wrong(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()));
        let dial = TcpStream::connect(self.place());
        let stream = timeout(CONNECT_TIMEOUT, dial).await.map_err(late)?.map_err(|error| wrong(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| wrong(error.to_string()))?;
        let name = self.server_name().map_err(wrong)?;
        let secured = TlsConnector::from(tls.clone()).connect(name, Counted::new(stream, counters.clone()));
        let secured = timeout(CONNECT_TIMEOUT, secured).await.map_err(late)?.map_err(|error| wrong(chain(&error)))?;
        let is_http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(secured);
        if is_http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
            builder.max_header_list_size(MAX_HEADER_BYTES);
            let shaken = timeout(CONNECT_TIMEOUT, builder.handshake(io)).await.map_err(late)?;
            let (sender, driver) = shaken.map_err(|error| wrong(chain(&error)))?;
            return Ok(Connection::Shared(sender, Driver::spawn(driver)));
        }
        let shaken = timeout(CONNECT_TIMEOUT, http1::handshake(io)).await.map_err(late)?;
        let (sender, driver) = shaken.map_err(|error| wrong(chain(&error)))?;
        Ok(Connection::Single(sender, Driver::spawn(driver)))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "https://{}{}", self.authority(), self.prefix)
    }
}

/// What can be sent on.
pub(super) enum Connection {
    /// HTTP/2: any number of requests at once.
    Shared(http2::SendRequest<Full<Bytes>>, Driver),
    /// HTTP/1.1: one after the other.
    Single(http1::SendRequest<Full<Bytes>>, Driver),
}

/// The task that moves a connection's bytes. The connection ends with it.
pub(super) struct Driver(JoinHandle<()>);

impl Driver {
    fn spawn<F: Future<Output = hyper::Result<()>> + Send + 'static>(driver: F) -> Self {
        Self(tokio::spawn(async move {
            // Whoever waits for an answer gets the error as well, and returns it.
            if let Err(error) = driver.await {
                log::debug!("a connection to an API server ended: {error}");
            }
        }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let table = [
            ("https://10.0.0.1:6443", Some("https://10.0.0.1:6443")),
            ("https://api.example.com", Some("https://api.example.com:443")),
            ("https://api.example.com/k8s/c1/", Some("https://api.example.com:443/k8s/c1")),
            ("https://[fd00::1]:6443/", Some("https://[fd00::1]:6443")),
            ("http://10.0.0.1", None),
            ("https://user:pass@10.0.0.1", None),
            ("https://10.0.0.1/?a=b", None),
            ("10.0.0.1:6443", None),
            ("", None),
        ];
        for (text, expected) in table {
            let read = Server::parse(text).map(|server| server.to_string()).ok();
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
