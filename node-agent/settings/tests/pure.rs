//! The library does no I/O and knows no clock: whoever calls it brings the bytes.

use std::path::Path;

use purity::{breaches, holds, sources};

#[path = "../../tests/purity/mod.rs"]
mod purity;

const IMPURE: [&str; 18] = [
    "std::fs",
    // The trait `std::io::Read` does nothing by itself: decoders of what lies in memory have it.
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "SystemTime",
    "Instant",
    "println",
    "eprintln",
    "tokio",
    "async",
    "await",
];

#[test]
fn the_library_is_pure() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 40, "{}", sources.len());
    assert_eq!(breaches(&sources, &IMPURE), [""; 0]);
}

#[test]
fn what_is_impure_is_found() {
    holds(&IMPURE);
}
