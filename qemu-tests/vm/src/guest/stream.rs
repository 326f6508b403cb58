//! One port read in the background, so that the guest never blocks on us, and taken up to a mark or a line end.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::deadline::Deadline;

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    closed: bool,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// The reading end of a port.
pub(super) struct Stream {
    shared: Shared,
}

impl Stream {
    /// Starts to read `source`.
    pub(super) fn new(mut source: UnixStream) -> Self {
        let shared = Shared::default();
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut chunk = vec![0; 64 << 10];
            loop {
                let read = source.read(&mut chunk).unwrap_or(0);
                let mut state = ours.0.lock().unwrap_or_else(PoisonError::into_inner);
                state.bytes.extend_from_slice(&chunk[..read]);
                state.closed = read == 0;
                ours.1.notify_all();
                if state.closed {
                    return;
                }
            }
        });
        Self { shared }
    }

    /// Copies what comes into `sink`, up to `mark`, which is taken and not copied.
    pub(super) fn copy_until(&self, mark: &[u8], sink: &mut dyn Write, deadline: Deadline) -> Result<()> {
        let (lock, changed) = &*self.shared;
        let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found = state.bytes.windows(mark.len()).position(|window| window == mark);
            // The mark may have come in part: that much is kept back.
            let certain = found.unwrap_or_else(|| state.bytes.len().saturating_sub(mark.len() - 1));
            let ready: Vec<u8> = state.bytes.drain(..certain).collect();
            if found.is_some() {
                state.bytes.drain(..mark.len());
            }
            // Writing may block on a slow pipe; the port goes on being read meanwhile.
            drop(state);
            sink.write_all(&ready).context("writing what the guest said")?;
            if found.is_some() {
                return Ok(());
            }
            state = lock.lock().unwrap_or_else(PoisonError::into_inner);
            if state.bytes.len() >= mark.len() {
                continue;
            }
            if state.closed {
                bail!("the machine ended");
            }
            let Some(left) = deadline.remaining() else { bail!("the guest did not answer within {deadline}") };
            state = changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next line.
    pub(super) fn line(&self, deadline: Deadline) -> Result<String> {
        let mut line = Vec::new();
        self.copy_until(b"\n", &mut line, deadline)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn output_goes_up_to_the_mark_whatever_the_pieces() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stream = Stream::new(ours);
        let pieces: [&[u8]; 4] = [b"ab\0", b"c\0MA", b"RK", b"\0next\n"];
        std::thread::spawn(move || {
            for piece in pieces {
                theirs.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let mut out = Vec::new();
        stream.copy_until(b"\0MARK\0", &mut out, Deadline::secs(5)).unwrap();
        assert_eq!(out, b"ab\0c");
        assert_eq!(stream.line(Deadline::secs(5)).unwrap(), "next");
        let error = stream.line(Deadline::secs(5)).unwrap_err().to_string();
        assert_eq!(error, "the machine ended");
    }

    #[test]
    fn large_output_comes_whole() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stream = Stream::new(ours);
        std::thread::spawn(move || {
            theirs.write_all(&vec![7; 5 << 20]).unwrap();
            theirs.write_all(b"END").unwrap();
        });
        let mut out = Vec::new();
        stream.copy_until(b"END", &mut out, Deadline::secs(20)).unwrap();
        assert_eq!(out.len(), 5 << 20);
    }
}
