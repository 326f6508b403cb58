//! The socket to the client: SOCK_SEQPACKET, one message in each packet, a file descriptor beside it if need be.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net,
    },
};

use anyhow::{Context, Result, bail};
use rustix::{
    io::Errno,
    net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};
use tokio::{io::Interest, net::UnixDatagram};

use super::message::MAX_BYTES;

/// Held as a datagram socket, which tokio knows how to wait for: it differs only in what is sent and received, and that is
/// done here.
pub(crate) struct Socket(UnixDatagram);

impl Socket {
    /// The socket that this process was given as descriptor `number`.
    pub(crate) fn inherited(number: i32) -> Result<Self> {
        let doing = || format!("taking the socket from descriptor {number} (--sockfd)");
        // A copy: to make an owned descriptor from a bare number is beyond what the compiler can check.
        let copy = if number == 0 {
            io::stdin().as_fd().try_clone_to_owned().with_context(doing)?
        } else {
            let ourselves = pidfd_open(getpid(), PidfdFlags::empty()).with_context(doing)?;
            pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty()).with_context(doing)?
        };
        rustix::io::ioctl_fionbio(&copy, true).with_context(doing)?;
        if rustix::net::sockopt::socket_type(&copy).with_context(doing)? != SocketType::SEQPACKET {
            bail!("{}: it is of another kind, expected SOCK_SEQPACKET", doing());
        }
        UnixDatagram::from_std(net::UnixDatagram::from(copy)).with_context(doing).map(Self)
    }

    /// The next message; nothing when the client is gone.
    pub(crate) async fn receive(&self) -> Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; MAX_BYTES];
        let read = self.0.async_io(Interest::READABLE, || {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let mut no_control = RecvAncillaryBuffer::default();
            Ok(rustix::net::recvmsg(&self.0, &mut parts, &mut no_control, RecvFlags::empty())?.bytes)
        });
        match read.await {
            Err(error) if error.raw_os_error() == Some(Errno::CONNRESET.raw_os_error()) => Ok(None),
            Err(error) => Err(error).context("reading from the client's socket"),
            Ok(0) => Ok(None),
            Ok(bytes) => {
                buffer.truncate(bytes);
                Ok(Some(buffer))
            }
        }
    }

    /// Sends a message, and `pipe` beside it.
    pub(crate) async fn send(&self, message: &[u8], pipe: Option<&OwnedFd>) -> Result<()> {
        let pipes: Vec<_> = pipe.iter().map(|pipe| pipe.as_fd()).collect();
        let write = self.0.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !pipes.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&pipes));
            }
            let parts = [IoSlice::new(message)];
            Ok(rustix::net::sendmsg(&self.0, &parts, &mut control, SendFlags::NOSIGNAL)?)
        });
        write.await.context("writing to the client's socket")?;
        Ok(())
    }

    /// Waits until the client is gone. Does not see that while another request of it waits to be read.
    pub(crate) async fn closed(&self) {
        let peeked = self.0.async_io(Interest::READABLE, || {
            let mut byte = [0];
            let mut parts = [IoSliceMut::new(&mut byte)];
            let mut no_control = RecvAncillaryBuffer::default();
            Ok(rustix::net::recvmsg(&self.0, &mut parts, &mut no_control, RecvFlags::PEEK)?.bytes)
        });
        if peeked.await.is_ok_and(|bytes| bytes > 0) {
            std::future::pending::<()>().await;
        }
    }
}
