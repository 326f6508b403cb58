//! The body of an answer: whole and read already, or the stream of a watch, which ends at a set time.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Full, Limited};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use tokio::time::{Instant, Sleep, sleep_until};

use super::server::Driver;

/// What is read of it.
pub(crate) struct Answer(Kind);

enum Kind {
    Whole(Full<Bytes>),
    Stream {
        body: Limited<Incoming>,
        end: Pin<Box<Sleep>>,
        /// A connection that nobody else can use meanwhile ends with its stream.
        _own: Option<(SendRequest<Full<Bytes>>, Driver)>,
    },
}

impl Answer {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(Full::new(bytes)))
    }

    pub(super) fn stream(
        body: Limited<Incoming>,
        until: Instant,
        own: Option<(SendRequest<Full<Bytes>>, Driver)>,
    ) -> Self {
        Self(Kind::Stream { body, end: Box::pin(sleep_until(until)), _own: own })
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Kind::Whole(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Kind::Stream { body, end, _own } => {
                if end.as_mut().poll(context).is_ready() {
                    // To the reader, a stream that ended: it is begun anew.
                    return Poll::Ready(None);
                }
                Pin::new(body).poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(body) => body.size_hint(),
            Kind::Stream { .. } => SizeHint::default(),
        }
    }
}
