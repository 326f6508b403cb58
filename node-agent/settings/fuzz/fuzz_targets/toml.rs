//! Any bytes as TOML: there is an answer, it renders, and what is written of it reads as the same.
#![no_main]

use ballast_settings::{Rank, Secrets, Source, render::render, settings, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (found, _) = settings(&[Source::new("fuzz", Rank::Node, bytes)]);
    render(&found);
    let text = write(&found, Secrets::Revealed);
    let (again, problems) = settings(&[Source::new("written", Rank::Node, text.as_bytes())]);
    assert_eq!((again, problems), (found, vec![]), "{text}");
});
