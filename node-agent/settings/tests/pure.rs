//! The library does no I/O and knows no clock: whoever calls it brings the bytes.

use std::path::Path;

use purity::{check, impure};

#[path = "../../tests/purity/mod.rs"]
mod purity;

const IMPURE: [&str; 10] = [
    "std::fs",
    // The trait `std::io::Read` does nothing by itself: decoders of what lies in memory have it.
    "io::std",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "SystemTime",
    "Instant",
];

#[test]
fn the_library_is_pure() {
    let seen = check(&IMPURE, &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(seen > 40, "{seen}");
}

#[test]
fn what_is_impure_is_found() {
    assert_eq!(impure(&IMPURE, "use std::fs;"), ["std::fs"]);
    assert_eq!(impure(&IMPURE, "use std::{fs, io};"), ["std::fs"]);
    assert_eq!(impure(&IMPURE, "std::io::stdin()"), ["io::std"]);
    assert_eq!(impure(&IMPURE, "let now = SystemTime::now();"), ["SystemTime"]);
    assert_eq!(impure(&IMPURE, "// std::fs"), [""; 0]);
}
