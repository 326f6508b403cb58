//! Any bytes as a cloud-config.
#![no_main]

use ballast_settings::{Rank, Source, render::render, settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = [b"#cloud-config\n", bytes].concat();
    let (found, problems) = settings(&[Source::new("fuzz", Rank::Credential, &text)]);
    render(&found);
    for problem in problems {
        assert!(!problem.to_string().contains('\n'), "{problem:?}");
    }
});
