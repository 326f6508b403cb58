//! The image proxy as ostree-ext uses it: through the crate containers-image-proxy, against a real registry.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the verdict")]

mod faults;
mod front;
mod image;
mod node;
mod registry;
mod service;
mod signatures;

use std::fs;

use serde_json::json;

use image::{INDEX, Image, descriptor, sha256};
use node::{Node, layer};
use registry::{PASSWORD, Registry};

/// Some pipes full.
const LAYER_BYTES: usize = 3_000_000;

#[tokio::test]
async fn an_image_comes_whole_from_a_registry_with_tls_and_password() {
    let registry = Registry::start();
    let image = Image::new(1, LAYER_BYTES);
    image.push(&registry, "os/ballast", "1");
    let node = Node::of(&registry);
    let name = format!("docker://{}/os/ballast", registry.guarded);
    node.fetch(&format!("{name}:1"), &image).await;
    node.fetch(&format!("{name}@{}", image.digest()), &image).await;

    // An index leads to the image for this machine.
    let mut here = descriptor(image::IMAGE, &image.manifest);
    here["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [here]}).to_string();
    registry.push_manifest("os/ballast", "all", INDEX, index.as_bytes());
    node.fetch(&format!("{name}:all"), &image).await;

    // What else the client can ask.
    let proxy = node.proxy().await;
    assert!(proxy.open_image_optional(&format!("{name}:2")).await.unwrap().is_none());
    let opened = proxy.open_image_optional(&format!("{name}:1")).await.unwrap().unwrap();
    let layers = proxy.get_layer_info(&opened).await.unwrap().unwrap();
    assert_eq!((layers.len(), layers[0].size), (1, LAYER_BYTES as u64));
    assert_eq!(layers[0].digest.to_string(), sha256(&image.layer));
    let missing = Image::new(2, 10);
    let (content, finished) = layer(&proxy, &opened, &missing).await;
    assert!(content.is_empty() && finished.unwrap_err().contains("404 Not Found (BLOB_UNKNOWN"));
    proxy.finalize().await.unwrap();
}

#[tokio::test]
async fn who_may_not_come_in_learns_why() {
    let registry = Registry::start();
    Image::new(1, 10).push(&registry, "os", "1");
    let host = &registry.guarded;
    let name = format!("docker://{host}/os:1");
    let mut node = Node::new();
    let error = node.refusal(&name).await;
    assert!(error.contains(&format!("opening {name}: {host}/os: ")) && error.contains("UnknownIssuer"), "{error}");
    node.trust(&registry);
    let error = node.refusal(&name).await;
    assert!(error.contains(&format!("wants user and password, and there are none for {host}/os;")), "{error}");
    node.log_in(&registry.guarded, "wrong");
    let error = node.refusal(&name).await;
    assert!(error.contains("the credentials are not accepted: ") && error.contains("UNAUTHORIZED"), "{error}");
    assert!(!error.contains("wrong"), "{error}");
    node.log_in(&registry.guarded, PASSWORD);
    let error = node.refusal(&name.replace(":1", ":2")).await;
    assert!(error.contains("404 Not Found (MANIFEST_UNKNOWN: "), "{error}");
    let error = node.refusal("containers-storage:os").await;
    assert!(error.contains("expected docker://HOST/REPOSITORY:TAG or oci:FOLDER:TAG"), "{error}");
}

#[tokio::test]
async fn nothing_starts_with_a_policy_that_is_not_understood() {
    let node = Node::new();
    node.policy(&json!({"default": [{"type": "signedBy"}]}));
    let error = node.try_proxy().await.unwrap_err().to_string();
    assert!(error.contains("unknown variant `signedBy`, expected one of `insecureAcceptAnything`"), "{error}");
}

/// As a node renders it for the README's own example, and with entries beside it that nobody can use.
#[tokio::test]
async fn an_entry_that_cannot_be_used_costs_only_itself() {
    let registry = Registry::start();
    let image = Image::new(1, 1000);
    image.push(&registry, "os", "1");
    let mut node = Node::of(&registry);
    let (host, ca) = (&registry.guarded, format!("etc/containers/certs.d/{}/broken.crt", registry.guarded));
    node.write(&ca, "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n");
    node.write(
        "etc/containers/registries.conf.d/ballast.conf",
        "[[registry]]\nlocation = \"docker.io\"\n[[registry]]\nlocatoin = \"r.example\"\n[[registry]]\nlocation = \"s.example\"\nmirrors = 1\n",
    );
    node.write("etc/containers/registries.conf.d/broken.conf", "[[registry\n");
    let name = format!("docker://{host}/os:1");
    node.fetch(&name, &image).await;
    let error = node.refusal("docker://s.example/os:1").await;
    assert!(
        error.contains("s.example/os cannot be fetched: ")
            && error.contains("ballast.conf:7: registry \"s.example\": unknown field `mirrors`"),
        "{error}"
    );

    // One registry's credentials are broken, not the other's; then the whole file.
    node.log_in_as(&json!({host: {"auth": "?"}, "other.example": {"auth": "dTpw"}}));
    let error = node.refusal(&name).await;
    assert!(
        error.contains("wants user and password: ")
            && error.contains(&format!("auth.json: auths {host:?}: auth is not in base64")),
        "{error}"
    );
    node.log_in_as(&json!({host: Node::basic(PASSWORD), "other.example": {"auth": "?"}}));
    node.fetch(&name, &image).await;
    node.write("auth.json", "{");
    let error = node.refusal(&name).await;
    assert!(error.contains("auth.json:1: it is no JSON object"), "{error}");
}

#[tokio::test]
async fn an_image_comes_from_a_folder_and_a_wrong_layer_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let image = Image::new(1, LAYER_BYTES);
    image.lay_out(folder.path(), "1");
    let node = Node::new();
    let name = format!("oci:{}", folder.path().display());
    node.fetch(&name, &image).await;
    node.fetch(&format!("{name}:1"), &image).await;
    let error = node.refusal(&format!("{name}:2")).await;
    assert!(error.contains("has no image with the tag \"2\", it has [1]"), "{error}");

    let mut wrong = image.layer.clone();
    *wrong.last_mut().unwrap() ^= 1;
    fs::write(folder.path().join("blobs/sha256").join(&sha256(&image.layer)[7..]), &wrong).unwrap();
    let proxy = node.proxy().await;
    let opened = proxy.open_image(&name).await.unwrap();
    let (content, finished) = layer(&proxy, &opened, &image).await;
    let error = finished.unwrap_err();
    assert!(error.contains("the blob is corrupted: its content has the digest"), "{error}");
    // Root unpacks it: nothing of it came before its digest was checked.
    assert!(content.is_empty(), "{}", content.len());
    proxy.finalize().await.unwrap();
}

#[tokio::test]
async fn mirrors_are_tried_in_order_and_named_in_the_error() {
    let (home, mirror) = (Registry::start(), Registry::start());
    let image = Image::new(1, 100_000);
    image.push(&home, "os", "1");
    image.push(&mirror, "copy/os", "mirrored");
    // Nobody listens where someone just did.
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let node = Node::new();
    let conf = format!(
        "[[registry]]\nprefix = \"r.example\"\nlocation = \"{}\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{away}\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{}/copy\"\ninsecure = true\n",
        home.open, mirror.open
    );
    node.write("etc/containers/registries.conf", &conf);
    // Only the location has it, only the mirror has it, nobody has it.
    node.fetch("docker://r.example/os:1", &image).await;
    node.fetch("docker://r.example/os:mirrored", &image).await;
    let error = node.refusal("docker://r.example/os:2").await;
    let places = [format!("{away}/os: "), format!("{}/copy/os: ", mirror.open), format!("{}/os: ", home.open)];
    let found: Vec<usize> = places.iter().map(|place| error.find(place.as_str()).expect(&error)).collect();
    assert!(found.is_sorted() && error.contains("Connection refused"), "{error}");

    node.write("etc/containers/registries.conf.d/block.conf", "[[registry]]\nprefix = \"r.example\"\nblocked = true\n");
    assert!(node.refusal("docker://r.example/os:1").await.contains("r.example/os is blocked"));
}
