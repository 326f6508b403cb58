//! The signature policy, against images and signatures in a real registry.

use serde_json::json;

use crate::{
    image::{Image, Signer},
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
