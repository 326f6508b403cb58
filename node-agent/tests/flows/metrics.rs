//! Metrics: for root on a socket, and for others over TLS where the settings say so.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use ballast::{report::metrics::SOCKET, settings::model::FILE};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use super::{Running, fake::Node, start};

/// What is answered to a request for `path`.
async fn get(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Some end a connection without TLS' own goodbye.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn root_reads_them_on_a_socket() {
    let Running { node, .. } = start(|_, _| {});
    node.wait_until("the socket", || node.path(SOCKET).exists()).await;
    node.wait_for("READY", |status| status.ready).await;
    assert_eq!(fs::metadata(node.path(SOCKET)).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(node.path(SOCKET)).await.unwrap();
    let answer = get(&mut stream, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n\r\n# HELP ballast_info "), "{answer}");
    assert!(answer.contains("\nballast_ready 1\n") && answer.contains("hostname=\"node-1\""), "{answer}");
    let mut stream = UnixStream::connect(node.path(SOCKET)).await.unwrap();
    assert!(get(&mut stream, "/").await.starts_with("HTTP/1.1 404 "));
}

/// Settings with a certificate for 127.0.0.1, and that certificate.
fn settings(address: &str) -> (String, CertifiedKey<rcgen::KeyPair>) {
    let pair = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    (format!("[metrics]\nlisten = \"{address}\"\ncertificate = '''\n{certificate}'''\nkey = '''\n{key}'''\n"), pair)
}

/// What is answered at `address` to somebody who believes only the certificate of `pair`.
async fn get_over_tls(address: &str, pair: &CertifiedKey<rcgen::KeyPair>) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.ok()?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    Some(get(&mut stream, "/metrics").await)
}

/// Waits until who believes only the certificate of `pair` gets an answer.
async fn answered(node: &Node, address: &str, pair: &CertifiedKey<rcgen::KeyPair>) -> String {
    for _ in 0..600 {
        if let Some(answer) = get_over_tls(address, pair).await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody answers at {address}\n{:#?}", node.status().await);
}

#[tokio::test]
async fn others_read_them_over_tls() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (text, pair) = settings(&address);
    let Running { node, .. } = start(|node, _| node.write(FILE, &text));
    let answer = answered(&node, &address, &pair).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\nballast_ready 1\n"), "{answer}");
    let mut plain = TcpStream::connect(&address).await.unwrap();
    assert!(!get(&mut plain, "/metrics").await.contains("ballast_"));

    // Another certificate at the same address, from the next connection on.
    let (text, other) = settings(&address);
    node.write(FILE, &text);
    answered(&node, &address, &other).await;
    assert_eq!(get_over_tls(&address, &pair).await, None);
}

/// Far less than what who says nothing is waited for.
const SOON: Duration = Duration::from_secs(4);

#[tokio::test]
async fn who_connects_and_says_nothing_keeps_nobody_out() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (text, pair) = settings(&address);
    let Running { node, .. } = start(|node, _| node.write(FILE, &text));
    node.wait_for("READY", |status| status.ready).await;
    answered(&node, &address, &pair).await;
    let mut silent = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if number % 2 == 0 {
            // The beginning of a handshake that never goes on.
            stream.write_all(&[22, 3, 1, 2]).await.unwrap();
        }
        silent.push(stream);
    }
    let answer = tokio::time::timeout(SOON, get_over_tls(&address, &pair)).await;
    assert!(answer.is_ok_and(|answer| answer.is_some()), "silent connections keep others from {address}");

    for place in [SOCKET, ballast::report::socket::SOCKET] {
        let mut local = Vec::new();
        for _ in 0..100 {
            local.push(UnixStream::connect(node.path(place)).await.unwrap());
        }
        let answered = async {
            if place == SOCKET {
                let mut stream = UnixStream::connect(node.path(place)).await.unwrap();
                get(&mut stream, "/metrics").await.contains("ballast_ready 1")
            } else {
                node.status().await.is_some_and(|status| status.ready)
            }
        };
        let answered = tokio::time::timeout(SOON, answered).await;
        assert!(answered.is_ok_and(|answered| answered), "silent connections keep others from {place}");
        // And those that said nothing are given up.
        let mut ended = 0;
        for stream in &mut local {
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0])).await;
            ended += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
        }
        assert_eq!(ended, local.len(), "{place}");
    }
}
