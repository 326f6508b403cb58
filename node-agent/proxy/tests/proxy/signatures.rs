//! The signature policy, against images and signatures in a real registry.

use serde_json::json;

use crate::{
    image::{Image, Signer, store},
    node::Node,
    registry::Registry,
};

#[tokio::test]
async fn only_an_image_signed_for_its_name_by_our_key_is_opened() {
    let registry = Registry::start();
    let (ours, theirs) = (Signer::new(), Signer::new());
    let node = Node::of(&registry);
    let host = &registry.guarded;
    let repository = format!("{host}/os");
    node.write("etc/pki/ours.pem", &ours.public_key());
    node.policy(&json!({"default": [{"type": "reject"}], "transports": {"docker": {
        &repository: [{"type": "sigstoreSigned", "keyPath": "/etc/pki/ours.pem"}],
        format!("{host}/free"): [{"type": "insecureAcceptAnything"}],
        format!("{host}/moved"): [{"type": "sigstoreSigned", "keyPaths": ["/etc/pki/ours.pem"],
            "signedIdentity": {"type": "exactRepository", "dockerRepository": repository}}],
    }}}));

    let good = Image::new(1, 1000);
    good.push(&registry, "os", "good");
    let name = format!("{host}/os:good");
    ours.sign(&registry, "os", &good.digest(), &name, &good.digest());
    node.fetch(&format!("docker://{name}"), &good).await;
    node.fetch(&format!("docker://{host}/os@{}", good.digest()), &good).await;

    // tag, what is done to its image, and what is said of it
    type Doing<'a> = &'a dyn Fn(&Image);
    let sign = |signer: &Signer, image: &Image, digest: &str, tag: &str| {
        signer.sign(&registry, "os", digest, &format!("{host}/os:{tag}"), &image.digest());
    };
    let table: [(&str, Doing<'_>, &str); 4] = [
        ("unsigned", &|_| {}, "there is no signature, expected one as the image sha256-"),
        (
            "theirs",
            &|image| sign(&theirs, image, &image.digest(), "theirs"),
            "it was made with another key, expected /etc/pki/ours.pem",
        ),
        ("replayed", &|image| sign(&ours, image, &good.digest(), "replayed"), "another image was signed: sha256:"),
        ("renamed", &|image| sign(&ours, image, &image.digest(), "good"), "/os:good\", expected "),
    ];
    for (seed, (tag, act, expected)) in (2..).zip(table) {
        let image = Image::new(seed, 1000);
        image.push(&registry, "os", tag);
        act(&image);
        let error = node.refusal(&format!("docker://{host}/os:{tag}")).await;
        let wants = format!("the policy wants docker://{host}/os:{tag} signed (transports.docker.\"{repository}\")");
        assert!(error.contains(&wants) && error.contains(expected), "{tag}: {error}");
    }

    // Other repositories, other requirements.
    for repository in ["free", "moved", "other"] {
        good.push(&registry, repository, "good");
    }
    ours.sign(&registry, "moved", &good.digest(), &name, &good.digest());
    node.fetch(&format!("docker://{host}/free:good"), &good).await;
    node.fetch(&format!("docker://{host}/moved:good"), &good).await;
    let error = node.refusal(&format!("docker://{host}/other:good")).await;
    assert!(error.contains(&format!("the policy rejects docker://{host}/other:good (default)")), "{error}");

    node.policy(&json!({"default": [{"type": "sigstoreSigned", "keyPath": "/etc/pki/none.pem"}]}));
    let error = node.try_proxy().await.unwrap_err().to_string();
    assert!(error.contains("reading a key that the policy names: ") && error.contains("none.pem"), "{error}");
}

/// A registry that is not to be trusted offers what was signed once: without enough signers, too long ago, under another tag.
#[tokio::test]
async fn signatures_need_enough_keys_an_age_and_a_tag() {
    let registry = Registry::start();
    let (one, two) = (Signer::new(), Signer::new());
    let mut node = Node::of(&registry);
    let reported = tempfile::NamedTempFile::new().unwrap();
    let file: &'static str = reported.path().display().to_string().leak();
    node.options.extend(["--failures", file]);
    let host = &registry.guarded;
    let keys = [("one.pub", one.public_key()), ("again.pub", one.public_key()), ("two.pub", two.public_key())];
    for (name, pem) in &keys {
        node.write(&format!("etc/keys/{name}"), pem);
    }
    let wants = |more: serde_json::Value| {
        let mut requirement = json!({"type": "sigstoreSigned", "keyPaths": ["/etc/keys/one.pub", "/etc/keys/again.pub", "/etc/keys/two.pub"],
            "signedIdentity": {"type": "matchRepository"}});
        requirement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node.policy(
            &json!({"default": [{"type": "reject"}], "transports": {"docker": {format!("{host}/os"): [requirement]}}}),
        );
    };
    let image = Image::new(1, 1000);
    let digest = image.digest();
    for tag in ["stable", "testing"] {
        image.push(&registry, "os", tag);
    }
    let name = format!("docker://{host}/os:stable");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signed = |signer: &Signer, tag: &str, optional: serde_json::Value| {
        signer.signature(&registry, "os", &digest, &format!("{host}/os:{tag}"), &optional)
    };
    let offer = |signatures: &[serde_json::Value]| store(&registry, "os", &digest, signatures);
    let until = || {
        let text = std::fs::read_to_string(file).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["signed_until"].as_u64()
    };

    // One key in two files is one signer, also when it signs twice.
    wants(json!({"threshold": 2}));
    offer(&[signed(&one, "stable", json!({"a": 1})), signed(&one, "stable", json!({"a": 2}))]);
    let error = node.refusal(&name).await;
    assert!(error.contains("2 keys must have signed it, and it has good signatures of /etc/keys/one.pub"), "{error}");
    offer(&[
        signed(&one, "stable", json!({"expires": now + 70})),
        signed(&two, "stable", json!({"expires": now + 90})),
    ]);
    node.fetch(&name, &image).await;
    // Of two that are needed, the first to run out counts.
    assert_eq!(until(), Some(now + 70));
    wants(json!({"threshold": 3}));
    let error = node.try_proxy().await.unwrap_err().to_string();
    assert!(error.contains("3 keys must have signed (threshold), and there are 2 that can be used"), "{error}");

    // What was signed long ago does not come back; signed anew, it does, behind any number of old signatures.
    wants(json!({"maxAgeDays": 7}));
    let old = |day: u64| signed(&one, "stable", json!({"timestamp": now - (8 + day) * 86400}));
    let mut all: Vec<_> = (0..70).map(old).collect();
    offer(&all);
    let error = node.refusal(&name).await;
    assert!(error.contains("it was good until ") && error.contains("by this node's clock"), "{error}");
    all.push(signed(&one, "stable", json!({"timestamp": now - 86400})));
    offer(&all);
    node.fetch(&name, &image).await;
    assert_eq!(until(), Some(now + 6 * 86400));
    wants(json!({}));
    offer(&[signed(&one, "stable", json!({"expires": now - 1}))]);
    assert!(node.refusal(&name).await.contains("it was good until "));

    // What was signed for one tag is not good for another, if the tag counts.
    offer(&[signed(&one, "testing", json!(null))]);
    node.fetch(&name, &image).await;
    wants(json!({"signedIdentity": {"type": "matchRepoDigestOrExact"}}));
    let error = node.refusal(&name).await;
    assert!(error.contains("/os:testing\", expected ") && error.contains("/os:stable"), "{error}");
    node.fetch(&name.replace("stable", "testing"), &image).await;
}
