//! What holds for any text.

use ballast_types::{Digest, ImageReference};
use proptest::prelude::*;

/// A name of each part's grammar, with or without each part.
fn any_reference() -> impl Strategy<Value = String> {
    let domain = prop_oneof![
        Just(String::new()),
        Just("docker.io/".to_owned()),
        Just("index.docker.io/".to_owned()),
        Just("localhost/".to_owned()),
        "[a-z]{1,8}\\.example(:[0-9]{2,4})?/",
    ];
    let path = "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4})?(/[a-z0-9]{1,6}){0,2}";
    let tag = prop_oneof![Just(String::new()), ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"];
    let digest = prop_oneof![Just(String::new()), "@sha256:[0-9a-f]{64}", "@sha512:[0-9a-f]{128}"];
    (domain, path, tag, digest).prop_map(|(domain, path, tag, digest)| format!("{domain}{path}{tag}{digest}"))
}

proptest! {
    #[test]
    fn what_is_complete_stays_as_it_is(text in any_reference()) {
        let reference = ImageReference::parse(&text).unwrap();
        let written = reference.to_string();
        let again = ImageReference::parse(&written).unwrap();
        prop_assert_eq!(&again, &reference);
        prop_assert_eq!(again.to_string(), written);
        prop_assert_eq!(reference.digest().is_some(), text.contains('@'));
        prop_assert_eq!(reference.tag().is_some(), reference.digest().is_none());
        prop_assert!(reference.domain() != "index.docker.io");
    }

    #[test]
    fn a_tag_beside_a_digest_means_nothing(text in any_reference(), tag in "[a-z]{1,8}") {
        let reference = ImageReference::parse(&text).unwrap();
        if let Some(digest) = reference.digest() {
            let tagged = format!("{}:{tag}@{digest}", reference.name());
            prop_assert_eq!(ImageReference::parse(&tagged).unwrap(), reference);
        }
    }

    #[test]
    fn no_text_is_too_much(text in "\\PC{0,300}") {
        if let Ok(reference) = ImageReference::parse(&text) {
            prop_assert_eq!(ImageReference::parse(&reference.to_string()), Ok(reference));
        }
        if let Ok(digest) = Digest::parse(&text) {
            prop_assert_eq!(digest.as_str(), text);
        }
    }

    /// Texts of the letters that matter, which are accepted more often.
    #[test]
    fn no_text_of_its_letters_is_too_much(text in "[a-c0-9A.:/@_\\[\\]-]{0,40}") {
        if let Ok(reference) = ImageReference::parse(&text) {
            prop_assert_eq!(ImageReference::parse(&reference.to_string()), Ok(reference));
        }
    }
}
