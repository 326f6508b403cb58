//! The signature policy for one repository, as containers-policy.json(5) has it.

use serde_json::{Value, json};

use crate::settings::model::Signatures;

/// The repository of an image's name: without tag and digest.
pub fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    match name.rsplit_once(':') {
        // What stands behind a colon is a port if a path follows.
        Some((repository, tag)) if !tag.contains('/') => repository,
        Some(_) | None => name,
    }
}

/// Whether an image's name is that of a folder (`oci:FOLDER`), or of the one that the disk was built from, which is on no other machine.
pub fn is_folder(image: &str) -> bool {
    image == "oci" || image.starts_with("oci:")
}

/// A policy that refuses all images but those of `image`'s repository, which must be signed by one of `keys`.
pub fn policy(image: &str, keys: &[String], signatures: Signatures) -> Value {
    let requirement = match signatures {
        Signatures::Unchecked => json!({"type": "insecureAcceptAnything"}),
        Signatures::Required => json!({
            "type": "sigstoreSigned",
            "keyPaths": keys,
            "signedIdentity": {"type": "matchRepository"},
        }),
    };
    let transports = match is_folder(image) {
        true => json!({"oci": {"": [requirement]}}),
        false => json!({"docker": {repository(image): [requirement]}}),
    };
    json!({"default": [{"type": "reject"}], "transports": transports})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_the_name_without_tag_and_digest() {
        for (image, expected) in [
            ("r.example/os", "r.example/os"),
            ("r.example/os:1", "r.example/os"),
            ("10.0.2.2:5000/a/os", "10.0.2.2:5000/a/os"),
            ("10.0.2.2:5000/a/os:stable@sha256:00", "10.0.2.2:5000/a/os"),
        ] {
            assert_eq!(repository(image), expected);
        }
    }

    #[test]
    fn nothing_but_the_repository_is_accepted() {
        let value = policy("r/os:1", &["/k.pub".to_owned()], Signatures::Required);
        assert_eq!(value["default"][0]["type"], "reject");
        assert_eq!(value["transports"]["docker"]["r/os"][0]["type"], "sigstoreSigned");
        assert_eq!(value["transports"]["docker"]["r/os"][0]["keyPaths"][0], "/k.pub");
        let open = policy("r/os:1", &[], Signatures::Unchecked);
        assert_eq!(open["default"][0]["type"], "reject");
        assert_eq!(open["transports"]["docker"]["r/os"][0]["type"], "insecureAcceptAnything");
    }
}
