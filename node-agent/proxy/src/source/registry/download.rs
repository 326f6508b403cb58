//! A blob on its way: resumed where it stopped after a broken or silent connection, from the next source if one is unreachable.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http::{StatusCode, header::CONTENT_RANGE};
use hyper::body::Incoming;

use super::{Backoff, Failure, Registry};
use crate::{
    content::digest::Digest,
    failure::{Failed, Kind},
    source::Sources,
};

pub(crate) struct Download {
    sources: Sources,
    digest: Digest,
    size: u64,
    /// How much of the blob has been given out.
    offset: u64,
    running: Option<Running>,
    /// Which source is asked, as its place in line, and how often it may yet fail.
    turn: usize,
    backoff: Backoff,
    /// Why each earlier source was given up.
    errors: Vec<String>,
}

struct Running {
    registry: Arc<Registry>,
    body: Incoming,
    /// What came a second time, because the registry cannot send a part.
    skip: u64,
}

impl Download {
    /// Asks for the blob, so that a blob that nobody has is known at once.
    pub(crate) async fn start(sources: Sources, digest: Digest, size: u64) -> Result<Self> {
        let backoff = sources.backoff(0);
        let mut download =
            Self { sources, digest, size, offset: 0, running: None, turn: 0, backoff, errors: Vec::new() };
        download.connect().await?;
        Ok(download)
    }

    /// The next piece; nothing at the end. What it gives is neither checked nor longer than the blob.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(running) = &mut self.running else {
                self.connect().await?;
                continue;
            };
            let failure = match running.registry.http.next(&mut running.body).await {
                Ok(Some(mut bytes)) => {
                    let again = running.skip.min(bytes.len() as u64);
                    running.skip -= again;
                    // At most the length of a piece.
                    let bytes = bytes.split_off(usize::try_from(again)?);
                    if bytes.len() as u64 > self.size - self.offset {
                        let place = running.registry.location.name.name();
                        let text = format!("{place} sends more than the {} bytes of {}", self.size, self.digest);
                        return Err(Failed::new(Kind::Damaged, text).into());
                    }
                    self.offset += bytes.len() as u64;
                    self.backoff.progress(bytes.len());
                    if bytes.is_empty() {
                        continue;
                    }
                    return Ok(Some(bytes));
                }
                Ok(None) if self.offset == self.size => return Ok(None),
                // A whole answer, and less than the manifest says; a broken connection is an error instead.
                Ok(None) => Failure::passing(Failed::new(Kind::Damaged, "the answer ended early")),
                // All is here, however the connection ends.
                Err(_) if self.offset == self.size => return Ok(None),
                Err(failure) => failure,
            };
            self.running = None;
            self.pause(failure).await?;
        }
    }

    async fn connect(&mut self) -> Result<()> {
        loop {
            let registry = Arc::clone(self.sources.in_turn(self.turn).context("there is no source")?);
            match self.ask(&registry).await {
                Ok((body, skip)) => {
                    self.running = Some(Running { registry, body, skip });
                    return Ok(());
                }
                Err(failure) => self.pause(failure).await?,
            }
        }
    }

    async fn ask(&self, registry: &Registry) -> Result<(Incoming, u64), Failure> {
        let answer = registry.blob(&self.digest.to_string(), self.offset).await?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return Ok((answer.into_body(), self.offset));
        }
        let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let start = range.strip_prefix("bytes ").and_then(|range| range.split('-').next()?.parse::<u64>().ok());
        if start != Some(self.offset) {
            return Err(anyhow!("it sends the range {range:?}, expected one from {}", self.offset).into());
        }
        Ok((answer.into_body(), 0))
    }

    /// After a failure: waits for the next attempt, or turns to the next source. An error if there is none.
    async fn pause(&mut self, failure: Failure) -> Result<()> {
        let Err(failure) = self.backoff.pause(failure).await else { return Ok(()) };
        let kind = failure.kind();
        let error = failure.into_error();
        if let Some(registry) = self.sources.in_turn(self.turn) {
            self.errors.push(format!("{}: {error:#}", registry.location.name.name()));
        }
        self.turn += 1;
        self.backoff = self.sources.backoff(self.turn);
        if self.sources.in_turn(self.turn).is_some() {
            return Ok(());
        }
        let (digest, offset, size) = (&self.digest, self.offset, self.size);
        let text = format!("fetching {digest} stopped after {offset} of {size} bytes: {}", self.errors.join("; "));
        Err(kind.map_or_else(|| anyhow!(text.clone()), |kind| Failed::new(kind, &*text).into()))
    }
}
