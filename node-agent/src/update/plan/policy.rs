//! The signature policy for one repository, as containers-policy.json(5) has it.

use serde_json::{Value, json};

use crate::{
    settings::model::{Identity, Signatures, Update},
    update::model::Revoked,
};

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

/// A policy that refuses all images but those of `image`'s repository, which must be signed by `keys` as the settings say.
pub fn policy(image: &str, keys: &[String], settings: &Update, revoked: &Revoked) -> Value {
    let identity = match settings.identity {
        Identity::Repository => "matchRepository",
        // What is asked for by its digest alone has no tag to compare.
        Identity::Tag => "matchRepoDigestOrExact",
    };
    let mut requirement = match settings.signatures {
        Signatures::Unchecked => json!({"type": "insecureAcceptAnything"}),
        Signatures::Required => json!({
            "type": "sigstoreSigned",
            "keyPaths": keys,
            "signedIdentity": {"type": identity},
            "threshold": settings.keys_threshold,
            "revokedKeys": revoked.keys,
        }),
    };
    if let (Signatures::Required, Some(days)) = (settings.signatures, settings.signature_max_days) {
        requirement["maxAgeDays"] = days.into();
    }
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
        let settings = Update::default();
        let value = policy("r/os:1", &["/k.pub".to_owned()], &settings, &Revoked::default());
        assert_eq!(value["default"][0]["type"], "reject");
        assert_eq!(value["transports"]["docker"]["r/os"][0]["type"], "sigstoreSigned");
        assert_eq!(value["transports"]["docker"]["r/os"][0]["keyPaths"][0], "/k.pub");
        let open = Update { signatures: Signatures::Unchecked, signature_max_days: Some(1), ..settings };
        let open = policy("r/os:1", &[], &open, &Revoked::default());
        assert_eq!(open["default"][0]["type"], "reject");
        assert_eq!(open["transports"]["docker"]["r/os"][0], json!({"type": "insecureAcceptAnything"}));
    }

    /// The image proxy itself reads it: what it does not know, it refuses.
    #[test]
    fn the_image_proxy_reads_what_is_asked_of_signatures() {
        let key: crate::update::model::Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let revoked = Revoked { keys: [key.clone()].into(), ..Revoked::default() };
        let strict =
            Update { keys_threshold: 2, identity: Identity::Tag, signature_max_days: Some(90), ..Update::default() };
        let value = policy("r.example/os:1", &["/k.pub".to_owned()], &strict, &revoked);
        let expected = json!({"type": "sigstoreSigned", "keyPaths": ["/k.pub"], "signedIdentity": {"type": "matchRepoDigestOrExact"},
            "threshold": 2, "revokedKeys": [key], "maxAgeDays": 90});
        assert_eq!(value["transports"]["docker"]["r.example/os"], json!([expected]));
        let open = Update { signatures: Signatures::Unchecked, ..Update::default() };
        for settings in [&strict, &Update::default(), &open] {
            for image in ["r.example:5000/a/os:1", "r.example/os@sha256:00", "oci:/media/stick"] {
                let text = policy(image, &["/k.pub".to_owned()], settings, &revoked).to_string();
                ballast_proxy::config::Policy::parse(&text).unwrap();
            }
        }
    }
}
