//! What goes wrong on the way: broken and silent connections, busy registries, redirects, token servers, proxies.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    front::{Fault, Front},
    image::Image,
    node::{Node, layer},
    registry::{PASSWORD, Registry},
};

fn answer(head: &str) -> Fault {
    Fault::Answer(head.to_owned(), "")
}

#[tokio::test]
async fn a_layer_is_resumed_where_the_connection_broke_or_fell_silent() {
    let registry = Registry::start();
    let image = Image::new(1, 2_000_000);
    image.push(&registry, "os", "1");
    let front = Front::start(&registry.open);
    let layer_path = "/blobs/";
    // The first blob is the configuration.
    front.expect(layer_path, Fault::Cut(usize::MAX));
    for fault in [Fault::Cut(500_000), Fault::Stall(400_000), Fault::Cut(0), Fault::Cut(10)] {
        front.expect(layer_path, fault);
    }
    let mut node = Node::new();
    node.insecure(&[&front.address], "");
    node.options = vec!["--idle-timeout", "2", "--attempts", "4"];
    node.fetch(&format!("docker://{}/os:1", front.address), &image).await;
    assert_eq!(front.left(), 0);
    let asked = front.asked(layer_path);
    let ranges: Vec<u64> = asked
        .iter()
        .filter_map(|head| head.to_lowercase().split_once("range: bytes=")?.1.split('-').next()?.parse().ok())
        .collect();
    assert_eq!((asked.len(), ranges.len()), (6, 4), "{asked:?}");
    assert!(ranges.is_sorted() && ranges[0] > 300_000 && ranges[3] < 1_000_000, "{ranges:?}");
}

#[tokio::test]
async fn a_registry_that_stays_away_is_given_up_in_time() {
    let registry = Registry::start();
    let image = Image::new(1, 1_000_000);
    image.push(&registry, "os", "1");
    let front = Front::start(&registry.open);
    let mut node = Node::new();
    node.insecure(&[&front.address], "");
    node.options = vec!["--idle-timeout", "1", "--attempts", "2"];
    let proxy = node.proxy().await;
    let opened = proxy.open_image(&format!("docker://{}/os:1", front.address)).await.unwrap();
    front.expect("/blobs/", Fault::Stall(300_000));
    front.expect("/blobs/", Fault::Stall(0));
    let start = Instant::now();
    let (content, finished) = layer(&proxy, &opened, &image).await;
    let error = finished.unwrap_err();
    assert!(error.contains("stopped after ") && error.contains("of 1000000 bytes: "), "{error}");
    assert!(error.contains("did not answer within 1 s"), "{error}");
    assert!(content.len() < 300_000 && start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    proxy.finalize().await.unwrap();
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_says() {
    let registry = Registry::start();
    let image = Image::new(1, 1000);
    image.push(&registry, "os", "1");
    let front = Front::start(&registry.open);
    let node = Node::new();
    node.insecure(&[&front.address], "");
    let name = format!("docker://{}/os:1", front.address);
    front.expect("/manifests/", answer("503 Service Unavailable"));
    front.expect("/manifests/", answer("429 Too Many Requests\r\nRetry-After: 2"));
    let start = Instant::now();
    node.fetch(&name, &image).await;
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!((front.left(), front.asked("/manifests/").len()), (0, 3));
    // No use in asking again.
    front.expect(
        "/manifests/",
        Fault::Answer("403 Forbidden".to_owned(), r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
    );
    let error = node.refusal(&name).await;
    assert!(error.ends_with("answered 403 Forbidden (DENIED: no)"), "{error}");
    front.expect("/manifests/", answer("503 Service Unavailable\r\nRetry-After: 3600"));
    assert!(node.refusal(&name).await.contains("503 Service Unavailable"));
    // What the registry sends has to be what was asked for.
    front.expect("/manifests/", Fault::Answer("200 OK".to_owned(), r#"{"schemaVersion":2,"manifests":[]}"#));
    let error = node.refusal(&format!("docker://{}/os@{}", front.address, image.digest())).await;
    assert!(error.contains("it sends one with the digest sha256:"), "{error}");
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let registry = Registry::start();
    let image = Image::new(1, 100_000);
    image.push(&registry, "os", "1");
    let (front, elsewhere) = (Front::start(&registry.open), Front::start(&registry.open));
    let mut node = Node::new();
    node.insecure(&[&front.address], "");
    node.log_in(&front.address, "x");
    front.expect("/manifests/", answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\""));
    let path = |content: &[u8]| format!("/v2/os/blobs/{}", crate::image::sha256(content));
    for content in [&image.config, &image.layer] {
        front.expect(
            "/blobs/",
            answer(&format!("307 Temporary Redirect\r\nLocation: http://{}{}?sig=1", elsewhere.address, path(content))),
        );
    }
    node.fetch(&format!("docker://{}/os:1", front.address), &image).await;
    let reports =
        |heads: &[String]| heads.iter().filter(|head| head.to_lowercase().contains("\nauthorization: basic ")).count();
    let (there, here) = (elsewhere.asked("/blobs/"), front.asked("/blobs/"));
    assert_eq!((there.len(), reports(&there), here.len(), reports(&here)), (2, 0, 2, 2), "{there:?} {here:?}");

    for _ in 0..6 {
        front.expect("/manifests/", answer("302 Found\r\nLocation: /v2/os/manifests/1"));
    }
    let error = node.refusal(&format!("docker://{}/os:1", front.address)).await;
    assert!(error.contains("redirects more than 5 times"), "{error}");
}

/// As CVE-2020-15157: who is redirected to may not ask for the registry's credentials, nor say who may.
#[tokio::test]
async fn a_challenge_counts_only_from_the_registrys_own_origin() {
    let registry = Registry::start();
    let image = Image::new(1, 1000);
    image.push(&registry, "os", "1");
    let (front, thief) = (Front::start(&registry.open), Front::start(&registry.open));
    let mut node = Node::new();
    node.insecure(&[&front.address], "");
    let name = format!("docker://{}/os:1", front.address);
    let bearer = format!("Bearer realm=\"http://{}/token\",service=\"s\"", thief.address);
    let steals = |challenge: &str| {
        front.expect(
            "/manifests/",
            answer(&format!("307 Temporary Redirect\r\nLocation: http://{}/v2/os/manifests/1", thief.address)),
        );
        thief.expect("/manifests/", answer(&format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}")));
    };
    let auths = [Node::basic("s3cret"), json!({"identitytoken": "s3cret"})];
    for (auth, challenge) in auths.iter().flat_map(|auth| [(auth, "Basic realm=\"x\""), (auth, &*bearer)]) {
        node.log_in_as(&json!({&front.address: auth}));
        steals(challenge);
        let error = node.refusal(&name).await;
        assert!(
            error.contains(&format!("http://{}/v2/os/manifests/1, where http://{}/", thief.address, front.address)),
            "{error}"
        );
        assert!(error.contains("asks for credentials and gets none"), "{error}");
    }
    let asked = thief.asked("");
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(
        !asked.iter().any(|head| head.to_lowercase().contains("authorization") || head.contains("/token")),
        "{asked:?}"
    );
    assert!(!front.asked("").iter().any(|head| head.to_lowercase().contains("authorization")));
}

#[tokio::test]
async fn a_refresh_token_stays_with_the_token_server_that_the_registry_names() {
    let registry = Registry::start();
    Image::new(1, 1000).push(&registry, "os", "1");
    let (front, thief) = (Front::start(&registry.open), Front::start(&registry.open));
    let mut node = Node::new();
    node.insecure(&[&front.address], "");
    node.log_in_as(&json!({&front.address: {"identitytoken": "s3cret"}}));
    let name = format!("docker://{}/os:1", front.address);
    let challenge =
        |realm: &str| answer(&format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\""));
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        front.expect("/manifests/", challenge(&format!("http://{}/token", front.address)));
        front.expect("/token", answer(&format!("{status}\r\nLocation: http://{}/token", thief.address)));
        let error = node.refusal(&name).await;
        assert!(error.contains("what was sent is secret and not for others"), "{status}: {error}");
    }
    assert_eq!(front.asked("POST /token").len(), 5);
    assert_eq!(thief.asked(""), [""; 0]);
}

/// Docker's token server is at another origin than its registry: the registry may name one, if it is spoken to over TLS.
#[tokio::test]
async fn credentials_go_to_another_origin_only_over_tls_and_only_if_the_registry_names_it() {
    let registry = Registry::start();
    Image::new(1, 1000).push(&registry, "os", "1");
    let (front, thief) = (Front::start(&registry.open), Front::start(&registry.open));
    let mut node = Node::new();
    node.insecure(&[&front.address], "");
    node.log_in(&front.address, PASSWORD);
    let name = format!("docker://{}/os:1", front.address);
    let challenge =
        |realm: &str| answer(&format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\""));
    front.expect("/manifests/", challenge(&format!("http://{}/token", thief.address)));
    let error = node.refusal(&name).await;
    assert!(error.contains("/token: expected https, or the registry itself"), "{error}");
    assert_eq!(thief.asked(""), [""; 0]);

    // This one lets nobody in without the password, and answers without a token.
    let realm = format!("https://{}/v2/", registry.guarded);
    front.expect("/manifests/", challenge(&realm));
    let error = node.refusal(&name).await;
    assert!(error.contains("UnknownIssuer"), "{error}");
    node.trust_at(&front.address, &registry);
    front.expect("/manifests/", challenge(&realm));
    let error = node.refusal(&name).await;
    assert!(error.contains(&format!("getting a token from {realm}: its answer has no token")), "{error}");
}

#[tokio::test]
async fn plain_http_does_not_switch_off_certificate_checks() {
    let registry = Registry::start();
    let image = Image::new(1, 1000);
    image.push(&registry, "os", "1");
    let front = Front::start(&registry.open);
    let node = Node::new();
    // Over TLS, with a certificate that nobody vouches for: not even a registry without TLS may be that.
    node.insecure(&[&front.address, &registry.guarded], "");
    let error = node.refusal(&format!("docker://{}/os:1", registry.guarded)).await;
    assert!(error.contains("400 Bad Request"), "{error}");
    let name = format!("docker://{}/os:1", front.address);
    let leads = || {
        let place = format!("https://{}/v2/os/manifests/1", registry.guarded);
        front.expect("/manifests/", answer(&format!("307 Temporary Redirect\r\nLocation: {place}")));
    };
    leads();
    let error = node.refusal(&name).await;
    assert!(error.contains("UnknownIssuer"), "{error}");
    node.trust_at(&front.address, &registry);
    leads();
    let error = node.refusal(&name).await;
    assert!(error.contains("gets none"), "{error}");
    node.fetch(&name, &image).await;
}

#[tokio::test]
async fn a_token_is_fetched_where_the_registry_says() {
    let registry = Registry::start();
    let image = Image::new(1, 1000);
    image.push(&registry, "os", "1");
    let front = Front::start(&registry.open);
    let mut node = Node::new();
    node.insecure(&[&front.address], "");
    node.log_in(&format!("{}/os", front.address), "x");
    let realm = format!("http://{}/token", front.address);
    front.expect(
        "/manifests/",
        answer(&format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"")),
    );
    front.expect("/token", Fault::Answer("200 OK".to_owned(), r#"{"token":"abc"}"#));
    // It has run out by then.
    front.expect(
        "/blobs/",
        answer(&format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"")),
    );
    front.expect("/token", Fault::Answer("200 OK".to_owned(), r#"{"access_token":"def"}"#));
    node.fetch(&format!("docker://{}/os:1", front.address), &image).await;
    let token = &front.asked("/token")[0].to_lowercase();
    assert!(
        token.starts_with("get /token?service=s&scope=repository%3aos%3apull ")
            && token.contains("authorization: basic "),
        "{token}"
    );
    assert!(front.asked("/manifests/")[1].contains("Bearer abc"));
    assert!(front.asked("/blobs/")[1].contains("Bearer def") && front.asked("/blobs/")[2].contains("Bearer def"));
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used() {
    let registry = Registry::start();
    let image = Image::new(1, 1000);
    image.push(&registry, "os", "1");
    // For each protocol a proxy.
    let (tunnel, forward) = (Front::start(&registry.guarded), Front::start(&registry.open));
    let mut node = Node::of(&registry);
    node.insecure(&[&registry.open], "");
    node.environment = vec![
        ("HTTPS_PROXY", format!("http://{}", tunnel.address)),
        ("http_proxy", format!("http://u:p@{}", forward.address)),
    ];
    node.fetch(&format!("docker://{}/os:1", registry.guarded), &image).await;
    assert!(!tunnel.asked(&format!("CONNECT {} ", registry.guarded)).is_empty());
    node.fetch(&format!("docker://{}/os:1", registry.open), &image).await;
    let asked = forward.asked(&format!("GET http://{}/v2/os/manifests/1 ", registry.open));
    assert!(asked.len() == 1 && asked[0].contains("Basic dTpw"), "{asked:?}");

    let before = tunnel.asked("").len();
    node.environment.push(("NO_PROXY", "127.0.0.1".to_owned()));
    node.fetch(&format!("docker://{}/os:1", registry.guarded), &image).await;
    assert_eq!(tunnel.asked("").len(), before);
}

#[tokio::test]
async fn a_client_may_learn_what_kind_of_failure_it_was() {
    let registry = Registry::start();
    let image = Image::new(1, 1000);
    image.push(&registry, "os", "1");
    let front = Front::start(&registry.open);
    let mut node = Node::new();
    node.insecure(&[&front.address, "localhost:1"], "");
    let reported = tempfile::NamedTempFile::new().unwrap();
    let file: &'static str = reported.path().display().to_string().leak();
    node.options = vec!["--attempts", "1", "--failures", file];
    let name = format!("docker://{}/os:1", front.address);
    let kind = || {
        let text = std::fs::read_to_string(file).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["kind"].as_str().unwrap().to_owned()
    };

    let table = [("404 Not Found", "not-found"), ("403 Forbidden", "unauthorized"), ("502 Bad Gateway", "unreachable")];
    for (head, expected) in table {
        front.expect("/manifests/", answer(head));
        node.refusal(&name).await;
        assert_eq!(kind(), expected, "{head}");
    }
    node.refusal("docker://localhost:1/os:1").await;
    assert_eq!(kind(), "unreachable");

    let proxy = node.proxy().await;
    let opened = proxy.open_image(&name).await.unwrap();
    for wrong in ["x".repeat(1000).leak(), "short"] {
        front.expect("/blobs/", Fault::Answer("200 OK".to_owned(), wrong));
        layer(&proxy, &opened, &image).await.1.unwrap_err();
        assert_eq!(kind(), "damaged", "{} bytes", wrong.len());
    }
    proxy.finalize().await.unwrap();

    node.write("reject.json", r#"{"default":[{"type":"reject"}]}"#);
    let policy: &'static str = node.path("reject.json").display().to_string().leak();
    node.options.extend(["--policy", policy]);
    node.refusal(&name).await;
    assert_eq!(kind(), "refused");
}
