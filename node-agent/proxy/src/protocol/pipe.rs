//! Pipes through which the client gets content. The write end stays open until the client asks with FinishPipe
//! whether all went well: no content can be mistaken for whole before.

use std::{collections::HashMap, future::Future, io::ErrorKind, os::fd::OwnedFd};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{io::AsyncWriteExt, net::unix::pipe::Sender, task::JoinHandle};

/// A pipe that is being written.
type Writing = JoinHandle<(Writer, Result<()>)>;

#[derive(Default)]
pub(crate) struct Pipes {
    last_id: u32,
    writing: HashMap<u32, Writing>,
}

impl Pipes {
    /// Makes a pipe that `write` fills from now on; returns its number, and the end that the client reads.
    pub(crate) fn start<F, W>(&mut self, write: W) -> Result<(u32, OwnedFd)>
    where
        W: FnOnce(Writer) -> F,
        F: Future<Output = (Writer, Result<()>)> + Send + 'static,
    {
        // Our end only does not block: the client reads its own as a plain file.
        let doing = "making a pipe";
        let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC).context(doing)?;
        rustix::io::ioctl_fionbio(&write_end, true).context(doing)?;
        let writer = Writer(Sender::from_owned_fd(write_end).context(doing)?);
        self.last_id = self.last_id.checked_add(1).context(doing)?;
        self.writing.insert(self.last_id, tokio::spawn(write(writer)));
        Ok((self.last_id, read_end))
    }

    pub(crate) fn start_with_bytes(&mut self, bytes: impl Into<Bytes>) -> Result<(u32, OwnedFd)> {
        let bytes = bytes.into();
        self.start(|mut writer| async move {
            let written = writer.write(&bytes).await;
            (writer, written)
        })
    }

    /// Waits until the pipe is written, closes it, and returns how it went.
    pub(crate) async fn finish(&mut self, id: u32) -> Result<()> {
        let writing = self.writing.remove(&id).with_context(|| format!("there is no open pipe {id}"))?;
        let (_closed_now, written) = writing.await.context("writing the pipe")?;
        written
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        for writing in self.writing.values() {
            writing.abort();
        }
    }
}

/// The end of a pipe that we write.
pub(crate) struct Writer(Sender);

impl Writer {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).await.map_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                // ostree-ext goes by these very words: they mean that the client itself had enough.
                return anyhow!("writing to the client's pipe: broken pipe");
            }
            anyhow!(error).context("writing to the client's pipe")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read};

    use super::*;

    #[tokio::test]
    async fn a_pipe_ends_when_it_is_finished() {
        let mut pipes = Pipes::default();
        let (id, read_end) = pipes.start_with_bytes(vec![7; 200_000]).unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            File::from(read_end).read_to_end(&mut all).unwrap();
            all.len()
        });
        pipes.finish(id).await.unwrap();
        assert_eq!(reading.await.unwrap(), 200_000);
        assert_eq!(pipes.finish(id).await.unwrap_err().to_string(), format!("there is no open pipe {id}"));
    }

    #[tokio::test]
    async fn a_client_that_stops_reading_gets_an_error_in_its_own_protocol() {
        let mut pipes = Pipes::default();
        let (id, read_end) = pipes.start_with_bytes(vec![7; 200_000]).unwrap();
        drop(read_end);
        assert!(pipes.finish(id).await.unwrap_err().to_string().ends_with("broken pipe"));
    }
}
