//! Any document, key and value: what is set holds, twice is once, and no secret is in the difference.
#![no_main]

use ballast_settings::edit::{difference, set, unset};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (document, key, value) = input;
    if let Ok(changed) = set(document, key, value, &[]) {
        assert_eq!(set(&changed, key, value, &[]).as_ref(), Ok(&changed));
        assert!(unset(&changed, key, &[]).is_ok() || key.contains("registry") || key.contains("interface"));
        assert!(difference(document, &changed).is_ok());
    }
});
