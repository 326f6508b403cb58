//! Just enough of a gRPC server: HTTP/2 on a unix socket, one message in, messages out, a status in the trailers.

use std::{convert::Infallible, path::Path, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::UnixListener, sync::mpsc, task::JoinSet};

/// What a call is answered with.
pub(crate) enum Answer {
    /// One message.
    Message(Vec<u8>),
    /// Messages as they come, until the sender is gone.
    Stream(mpsc::Receiver<Vec<u8>>),
    /// A refusal.
    Refusal(String),
    /// Nothing, ever.
    Silence,
}

pub(crate) trait Service: Send + Sync + 'static {
    /// Answers the call of `method` with `message`.
    fn answer(self: Arc<Self>, method: &str, message: &[u8]) -> Answer;

    /// Answers a stream of messages.
    fn converse(self: Arc<Self>, messages: mpsc::Receiver<Vec<u8>>) -> Answer;
}

/// Serves until the returned task is aborted; then all connections break.
pub(crate) fn serve(path: &Path, service: Arc<impl Service>) -> tokio::task::JoinHandle<()> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let service = Arc::clone(&service);
            let handle = service_fn(move |request| call(Arc::clone(&service), request));
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), handle);
            connections.spawn(async move {
                let _ = connection.await;
            });
        }
    })
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn call(service: Arc<impl Service>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let (send, receive) = mpsc::channel(16);
    let answer = if method == "Stream" {
        let (send, receive) = mpsc::channel(16);
        tokio::spawn(take_apart(request.into_body(), send));
        service.converse(receive)
    } else {
        let message = request.into_body().collect().await.unwrap().to_bytes();
        service.answer(&method, &message[HEADER_BYTES..])
    };
    match answer {
        Answer::Message(message) => {
            send.send(Ok(Frame::data(framed(&message)))).await.unwrap();
            send.send(Ok(Frame::trailers(status(0, "")))).await.unwrap();
        }
        Answer::Refusal(why) => send.send(Ok(Frame::trailers(status(2, &why)))).await.unwrap(),
        Answer::Stream(mut messages) => {
            tokio::spawn(async move {
                while let Some(message) = messages.recv().await {
                    if send.send(Ok(Frame::data(framed(&message)))).await.is_err() {
                        return;
                    }
                }
                let _ = send.send(Ok(Frame::trailers(status(0, "")))).await;
            });
        }
        Answer::Silence => std::future::pending().await,
    }
    let body = StreamBody::new(futures_util::stream::unfold(receive, |mut receive: mpsc::Receiver<_>| async {
        receive.recv().await.map(|frame| (frame, receive))
    }));
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(response.body(BodyExt::boxed_unsync(body)).unwrap())
}

/// One byte of flags, four of length.
const HEADER_BYTES: usize = 5;

/// Hands over the messages of a request as they come.
async fn take_apart(mut body: Incoming, messages: mpsc::Sender<Vec<u8>>) {
    let mut bytes = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        while let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
            if bytes.len() < HEADER_BYTES + length {
                break;
            }
            let message = bytes.split_to(HEADER_BYTES + length).split_off(HEADER_BYTES);
            if messages.send(message.to_vec()).await.is_err() {
                return;
            }
        }
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap());
    out.put_slice(message);
    out.freeze()
}

fn status(code: u8, message: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    trailers.insert("grpc-message", HeaderValue::from_str(&message.replace(' ', "%20")).unwrap());
    trailers
}
