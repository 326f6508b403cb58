//! A conversation with a node's API: one request, its replies.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request as HttpRequest, Response, StatusCode, header::HOST};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use super::{
    address::Address,
    tls::{ClientIdentity, Pinned, explain},
};
use crate::report::{
    api::route,
    exec::Inputs,
    socket::{Reply, Request},
};

/// A node that does not answer to a SYN, or to a handshake, within this is not there.
const CONNECT: Duration = Duration::from_secs(10);

/// A node has no name of its own that its certificate could have; it is known by its fingerprint.
const NAME: &str = "ballast.invalid";

/// An answer that is one piece has at most so many bytes: the status of a node with many pods.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A line of a stream has at most so many.
const MAX_LINE_BYTES: usize = 4 << 20;

/// A request that was answered, and what is still to come of the answer.
pub(crate) struct Talk {
    runtime: Runtime,
    address: Address,
    request: Request,
    body: Incoming,
    left: Vec<u8>,
    deadline: Duration,
}

/// What the node showed instead of the certificate that is believed.
#[derive(Debug, thiserror::Error)]
#[error("it shows the certificate {0}")]
pub(crate) struct UnknownCertificate(pub(crate) String);

/// A connection to a node whose certificate is the right one.
pub(crate) struct Line {
    runtime: Runtime,
    address: Address,
    stream: TlsStream<TcpStream>,
}

impl Line {
    /// To the node at `address`, which has the certificate `fingerprint`.
    ///
    /// # Errors
    /// [`UnknownCertificate`] if it has another; in a sentence if it does not answer.
    pub(crate) fn open(address: &Address, fingerprint: Option<String>, identity: &ClientIdentity) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("setting up the event loop")?;
        let stream = runtime.block_on(connect(address, fingerprint, identity))?;
        Ok(Self { runtime, address: address.clone(), stream })
    }
}

impl Talk {
    /// Asks `request` over `line`, and goes on with what `inputs` say.
    ///
    /// # Errors
    /// In a sentence if it cannot be asked or refuses.
    pub(crate) fn open(line: Line, request: &Request, inputs: Option<Inputs>, deadline: Duration) -> Result<Self> {
        let Line { runtime, address, stream } = line;
        let response = runtime.block_on(async {
            ask(stream, &address, request, inputs, deadline).await.map_err(|error| explained(&address, error))
        })?;
        let status = response.status();
        let mut talk = Self {
            runtime,
            address: address.clone(),
            request: request.clone(),
            body: response.into_body(),
            left: Vec::new(),
            deadline,
        };
        if status != StatusCode::OK {
            let text = talk.rest()?;
            let message =
                serde_json::from_str::<Value>(&text).ok().and_then(|body| Some(body["error"].as_str()?.to_owned()));
            bail!("{address} refused: {}", message.unwrap_or_else(|| format!("{status} {}", text.trim())));
        }
        Ok(talk)
    }

    /// The node's next word.
    ///
    /// # Errors
    /// If none comes.
    pub(crate) fn next(&mut self) -> Result<Reply> {
        if !route::is_stream(&self.request) {
            let text = self.rest()?;
            return route::reply(&self.request, &text);
        }
        loop {
            if let Some(end) = self.left.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.left.drain(..=end).collect();
                let line = String::from_utf8(line).context("reading the node's answer")?;
                return route::reply(&self.request, &line);
            }
            if self.left.len() > MAX_LINE_BYTES {
                bail!("{} answers with a line that has no end", self.address);
            }
            match self.piece()? {
                Some(piece) => self.left.extend_from_slice(&piece),
                None => bail!("{} closed the connection before the end", self.address),
            }
        }
    }

    fn rest(&mut self) -> Result<String> {
        while let Some(piece) = self.piece()? {
            self.left.extend_from_slice(&piece);
            if self.left.len() > MAX_ANSWER_BYTES {
                bail!("{} answers with more than {MAX_ANSWER_BYTES} bytes", self.address);
            }
        }
        String::from_utf8(std::mem::take(&mut self.left)).context("reading the node's answer")
    }

    fn piece(&mut self) -> Result<Option<Bytes>> {
        let Self { runtime, address, body, deadline, .. } = self;
        let frame = runtime.block_on(async { timeout(*deadline, body.frame()).await });
        match frame {
            Err(_) => bail!("{address} said nothing within {} s", deadline.as_secs()),
            Ok(None) => Ok(None),
            Ok(Some(frame)) => {
                let frame = frame.map_err(|error| explained(address, error.into()))?;
                Ok(Some(frame.into_data().unwrap_or_default()))
            }
        }
    }
}

async fn connect(
    address: &Address,
    fingerprint: Option<String>,
    identity: &ClientIdentity,
) -> Result<TlsStream<TcpStream>> {
    let pinned = Pinned::new(fingerprint.clone());
    let connector = TlsConnector::from(Arc::new(identity.config(Arc::clone(&pinned))?));
    let stream = TcpStream::connect((address.host.as_str(), address.port));
    let stream = within(CONNECT, stream).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true).with_context(|| format!("connecting to {address}"))?;
    let name = ServerName::try_from(NAME).context("naming the node")?;
    match within(CONNECT, connector.connect(name, stream)).await {
        Ok(stream) => Ok(stream),
        Err(error) => match pinned.shown() {
            Some(shown) if Some(&shown) != fingerprint.as_ref() => Err(UnknownCertificate(shown).into()),
            _ => Err(explained(address, error)),
        },
    }
}

async fn ask(
    stream: TlsStream<TcpStream>,
    address: &Address,
    request: &Request,
    inputs: Option<Inputs>,
    deadline: Duration,
) -> Result<Response<Incoming>> {
    let call = route::encode(request)?;
    let (mut sender, connection) = within(CONNECT, http1::handshake(TokioIo::new(stream))).await?;
    // It ends with the runtime. What goes wrong in it is reported where the answer is read.
    tokio::spawn(connection);
    let http = HttpRequest::builder()
        .method(call.method)
        .uri(call.target)
        .header(HOST, address.to_string())
        .body(match inputs {
            Some(inputs) => StreamBody::new(stream::unfold(inputs, next_line).boxed()).boxed_unsync(),
            None => Full::new(Bytes::from(call.body.unwrap_or_default())).boxed_unsync(),
        })
        .context("making the request")?;
    within(deadline, sender.send_request(http)).await
}

/// What is said next, as a line.
async fn next_line(mut inputs: Inputs) -> Option<(Result<Frame<Bytes>, Infallible>, Inputs)> {
    let mut line = serde_json::to_vec(&inputs.recv().await?).ok()?;
    line.push(b'\n');
    Some((Ok(Frame::data(Bytes::from(line))), inputs))
}

async fn within<T, E: Into<anyhow::Error>>(deadline: Duration, work: impl Future<Output = Result<T, E>>) -> Result<T> {
    match timeout(deadline, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(anyhow!("no answer within {} s", deadline.as_secs())),
    }
}

fn explained(address: &Address, error: anyhow::Error) -> anyhow::Error {
    match explain(error.as_ref()) {
        Some(meaning) => anyhow!("{address}: {meaning}"),
        None => error.context(format!("asking {address}")),
    }
}
