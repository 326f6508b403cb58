//! Starts the loopback interface. (rtnetlink(7): systemd does this on a node.)

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// The kernel makes `lo` first in every network namespace.
const LOOPBACK: u32 = 1;

// linux/netlink.h, linux/rtnetlink.h, linux/if.h
const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
const NLMSG_ERROR: u16 = 2;
const IFF_UP: u32 = 1;

/// The length of `struct nlmsghdr` with a `struct ifinfomsg`.
const LENGTH: u32 = 32;

/// Switches it on; the kernel then gives it 127.0.0.1 and ::1 by itself.
///
/// # Errors
/// What the kernel says.
pub fn up() -> Result<()> {
    // NETLINK_ROUTE is protocol 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    sendto(&socket, &request(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut reply = [0; 256];
    let (_, length) = recv(&socket, &mut reply, RecvFlags::empty())?;
    verdict(reply.get(..length).unwrap_or_default())
}

fn request() -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    // Sequence and port: one request, one answer.
    message.extend([0; 8]);
    // Family, padding, type: unspecified.
    message.extend([0; 4]);
    message.extend(LOOPBACK.to_ne_bytes());
    // The flags, and which of them are meant.
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message
}

/// An acknowledgement is an error message with the error 0.
fn verdict(reply: &[u8]) -> Result<()> {
    let (Some(kind), Some(error)) = (reply.get(4..6), reply.get(16..20)) else { bail!("a reply of {reply:?}") };
    if u16::from_ne_bytes(kind.try_into()?) != NLMSG_ERROR {
        bail!("a reply of {reply:?}");
    }
    match i32::from_ne_bytes(error.try_into()?) {
        0 => Ok(()),
        error => Err(Errno::from_raw_os_error(-error)).context("the kernel refuses"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_long_as_it_says() {
        assert_eq!(request().len(), LENGTH as usize);
    }

    #[test]
    fn the_kernels_verdict_is_read() {
        let reply = |kind: u16, error: i32| {
            let mut reply = vec![0; 36];
            reply[4..6].copy_from_slice(&kind.to_ne_bytes());
            reply[16..20].copy_from_slice(&error.to_ne_bytes());
            reply
        };
        assert!(verdict(&reply(NLMSG_ERROR, 0)).is_ok());
        let error = format!("{:#}", verdict(&reply(NLMSG_ERROR, -1)).unwrap_err());
        assert!(error.contains("Operation not permitted"), "{error}");
        assert!(verdict(&reply(RTM_NEWLINK, 0)).is_err());
        assert!(verdict(&[]).is_err());
    }
}
