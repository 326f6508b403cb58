//! Ports for programs that need one given.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

/// Below 32768, where Linux begins to take ports for whoever calls out: nobody gets one of these at random.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How far this process came.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of the loopback that nobody listens on, and that this process has not given out before.
///
/// # Errors
/// When all are taken.
pub(super) fn free() -> Result<u16> {
    // Another process of tests begins elsewhere.
    let begin = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT)).unwrap_or_default();
    let candidates = (0..COUNT).map(|_| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        FIRST + (begin + step) % COUNT
    });
    let mut free = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().context("taking a free port of the loopback: all from 20000 to 31999 are taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_out_twice() {
        let ports: Vec<_> = (0..20).map(|_| free().unwrap()).collect();
        let mut sorted = ports.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), ports.len(), "{ports:?}");
        assert!(ports.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)));
    }
}
