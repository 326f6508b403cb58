//! The kernel's announcements of devices, so that waiting for one is no polling.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind,
    netlink::{KOBJECT_UEVENT, SocketAddrNetlink},
    recv, socket_with,
};

/// The kernel's own multicast group; udev's repeats are another.
const KERNEL_GROUP: u32 = 1;
/// The kernel builds a uevent in a buffer of this size (UEVENT_BUFFER_SIZE), plus a head.
const MESSAGE_BYTES: usize = 4096;
/// The subsystems whose new devices can bring the root nearer.
const SUBSYSTEMS: [&str; 4] = ["block", "pci", "virtio", "scsi"];

/// A socket that hears the kernel's uevents from its making on.
#[derive(Debug)]
pub struct Uevents(OwnedFd);

impl Uevents {
    /// Starts listening. Look at sysfs after this, not before, so that no device is missed.
    ///
    /// # Errors
    /// If the kernel gives no such socket.
    pub fn listen() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))
            .context("opening a uevent socket")?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP)).context("binding the uevent socket")?;
        Ok(Self(socket))
    }

    /// Waits until a device has come that may matter, or the deadline. Returns whether one has.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn wait(&self, deadline: Instant) -> Result<bool> {
        loop {
            if self.drain()? {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for uevents"),
            }
        }
    }

    /// Reads all that is queued, as one read of sysfs serves them all.
    fn drain(&self) -> Result<bool> {
        let mut relevant = false;
        let mut buffer = [const { MaybeUninit::uninit() }; MESSAGE_BYTES];
        loop {
            match recv(&self.0, &mut buffer, RecvFlags::empty()) {
                Ok(((message, _), _)) => relevant |= is_relevant(message),
                Err(Errno::AGAIN) => return Ok(relevant),
                // Some were lost: read sysfs again.
                Err(Errno::NOBUFS) => relevant = true,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("reading uevents"),
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

/// Whether a uevent (`ACTION@PATH`, then KEY=VALUE, NUL between) announces a device that may lead to the root. A disk
/// whose partitions are read late says `change`.
pub fn is_relevant(message: &[u8]) -> bool {
    let field = |key: &[u8]| message.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(key));
    matches!(field(b"ACTION="), Some(b"add" | b"change"))
        && field(b"SUBSYSTEM=").is_some_and(|name| SUBSYSTEMS.iter().any(|ours| ours.as_bytes() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_uevents_matter() {
        let cases: &[(&[u8], bool)] = &[
            (b"add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=block\0DEVTYPE=partition\0SEQNUM=1\0", true),
            (b"change@/devices/x\0ACTION=change\0SUBSYSTEM=block\0", true),
            (b"add@/devices/x\0ACTION=add\0SUBSYSTEM=scsi\0MODALIAS=scsi:t-0x00\0", true),
            (b"remove@/devices/x\0ACTION=remove\0SUBSYSTEM=block\0", false),
            (b"add@/module/erofs\0ACTION=add\0SUBSYSTEM=module\0", false),
            (b"add@/x\0ACTION=add\0SUBSYSTEM=blockish\0", false),
            (b"libudev\0\xfe\xed\xca\xfe", false),
            (b"", false),
        ];
        for (message, expected) in cases {
            assert_eq!(is_relevant(message), *expected, "{}", String::from_utf8_lossy(message));
        }
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let deadline = Instant::now() + Duration::from_millis(20);
        let uevents = Uevents::listen().unwrap();
        while uevents.wait(deadline).unwrap() {}
        assert!(Instant::now() >= deadline);
    }
}
