//! Any bytes as user-data in its wrappings: as they are, in a MIME message, and as what a gzip file begins with.
#![no_main]

use ballast_settings::{Rank, Source, settings};
use libfuzzer_sys::fuzz_target;

const MESSAGE: &[u8] = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\n";
const GZIP: &[u8] = &[0x1f, 0x8b, 8];

fuzz_target!(|bytes: &[u8]| {
    for start in [&[][..], MESSAGE, GZIP] {
        let text = [start, bytes].concat();
        settings(&[Source::new("fuzz", Rank::Credential, &text)]);
    }
});
