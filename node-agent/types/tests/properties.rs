//! What holds for any text.

use ballast_types::{BootEntryName, DeploymentId, Digest, ImageReference, Tries};
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

    #[test]
    fn an_entry_has_the_parts_that_it_was_made_of(
        number: u32,
        version in "\\PC{0,100}",
        commit in "[0-9a-f]{64}",
        tries in proptest::option::of((any::<u32>(), any::<u32>())),
    ) {
        let deployment: DeploymentId = format!("{commit}.0").parse().unwrap();
        let tries = tries.map(|(left, done)| Tries { left, done });
        let name = BootEntryName::new(number, &version, &deployment, tries);
        prop_assert_eq!(name.to_string().parse(), Ok(name.clone()));
        prop_assert_eq!((name.number(), name.tries()), (Some(number), tries));
        prop_assert!(name.stem().ends_with(&commit[..12]) && name.as_str().len() <= 128);
        let good = name.without_counter();
        prop_assert_eq!((good.stem(), good.tries()), (name.stem(), None));
    }

    /// Texts of the letters that matter: what is on the disk is named as it is there, and the boot loader's counting leaves the stem.
    #[test]
    fn an_entry_is_named_as_it_is_on_the_disk(text in "[ab0-9+./-]{0,12}(\\+[0-9]{1,3}(-[0-9]{1,3})?)?\\.conf") {
        prop_assert_eq!(text.parse::<BootEntryName>().is_err(), text.contains('/'));
        let Ok(name) = text.parse::<BootEntryName>() else { return Ok(()) };
        prop_assert_eq!(name.as_str(), &text);
        let good = name.without_counter();
        prop_assert_eq!(good.as_str(), format!("{}.conf", name.stem()));
        prop_assert_eq!(good.to_string().parse(), Ok(good.clone()));
        if let Some(Tries { left, done }) = name.tries() {
            let counted = format!("{}+{}-{}.conf", name.stem(), left, done + 1);
            let counted: BootEntryName = counted.parse().unwrap();
            prop_assert_eq!((counted.stem(), counted.tries()), (name.stem(), Some(Tries { left, done: done + 1 })));
        } else {
            prop_assert_eq!(good, name);
        }
    }
}
