//! One HTTP/2 connection, as the transport below tonic's client.
//!
//! tonic's own `Channel` brings balancing, buffering and reconnecting, none of which a single local socket or a probe needs;
//! and whoever uses the runtime must know when the connection breaks.

use std::{
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    task::AbortHandle,
};
use tonic::body::Body;
use tower_service::Service;

/// A connection that several calls share; it is gone for all of them once its other end is.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    sender: http2::SendRequest<Body>,
}

impl Channel {
    pub(super) async fn connect(path: &Path) -> anyhow::Result<Self> {
        let (channel, _lives_on) = Self::over(UnixStream::connect(path).await?).await?;
        Ok(channel)
    }

    /// Over a stream that is connected; and the task that the connection is, which ends with it.
    pub(super) async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> anyhow::Result<(Self, AbortHandle)> {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("a connection broke: {error}");
            }
        });
        Ok((Self { sender }, task.abort_handle()))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
