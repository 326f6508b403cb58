//! Any bytes as a platform's description of interfaces, of its vendor-data, of the machine: a first byte says as which.
#![no_main]

use ballast_settings::{Kind, Rank, Source, read, render::render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    let text = match first / 64 {
        0 => [b"version: 1\nconfig:\n", bytes].concat(),
        1 => [b"version: 2\nethernets:\n", bytes].concat(),
        _ => bytes.to_vec(),
    };
    let found = read(&[Source { kind, ..Source::new("fuzz", Rank::Volume, &text) }]);
    render(&found.settings);
    for reported in found.problems.iter().chain(&found.notes) {
        assert!(!reported.to_string().contains('\n'), "{reported:?}");
    }
});
