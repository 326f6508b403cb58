//! A node that is found by its NodeOS: over an API server that knows one object.

use std::{convert::Infallible, fs, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use super::{pair, served};

/// Serves the NodeOS node-7, which has `status`, to who has the token; tells the kubeconfig that leads there.
async fn api_server(status: serde_json::Value) -> String {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], secret)
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let body = serde_json::json!({ "kind": "NodeOS", "status": status }).to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            let answer = move |request: Request<Incoming>| {
                let is_known = request.headers().get("authorization").is_some_and(|value| value == "Bearer t0ken");
                let is_there = request.uri().path() == "/apis/os.ballast.dev/v1alpha1/nodeoses/node-7";
                let status = match (is_known, is_there) {
                    (false, _) => StatusCode::UNAUTHORIZED,
                    (true, false) => StatusCode::NOT_FOUND,
                    (true, true) => StatusCode::OK,
                };
                let mut response = Response::new(Full::new(Bytes::from(body.clone())));
                *response.status_mut() = status;
                async move { Ok::<_, Infallible>(response) }
            };
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            }
        }
    });
    format!(
        "contexts: [{{name: a, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: t0ken}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'https://{address}', certificate-authority-data: {}}}}}]\n",
        STANDARD.encode(key.cert.pem())
    )
}

#[tokio::test]
async fn a_node_is_believed_by_what_its_nodeos_says() {
    let (workstation, running, _) = pair(|_| {}).await;
    let api = served(&running.node).await;
    fs::remove_file(workstation.path("known-nodes")).unwrap();
    let file = workstation.path("kubeconfig");
    let text =
        api_server(serde_json::json!({ "api": { "address": api.address, "fingerprint": api.fingerprint } })).await;
    fs::write(&file, &text).unwrap();
    let file = file.display().to_string();
    let arguments = |node| ["--kubeconfig", &file, "--node", node, "status"];
    let said = workstation.succeeds(&arguments("node-7")).await;
    assert!(said.contains("node-1 ready"), "{said}");
    // It is known from now on, by its address.
    let known = fs::read_to_string(workstation.path("known-nodes")).unwrap();
    assert_eq!(known, format!("{} {}\n", api.address, api.fingerprint));
    let (code, told) = workstation.fails(&arguments("node-8")).await;
    assert!(code == 1 && told.contains("asking where node-8 is") && told.contains("has no NodeOS node-8"), "{told}");
    fs::write(&file, text.replace("t0ken", "another")).unwrap();
    let (code, told) = workstation.fails(&arguments("node-7")).await;
    assert!(code == 1 && told.contains("does not let this user read"), "{told}");

    // One that shows another certificate than its NodeOS says is refused, and not asked about.
    fs::remove_file(workstation.path("known-nodes")).unwrap();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let text = api_server(serde_json::json!({ "api": { "address": api.address, "fingerprint": wrong } })).await;
    fs::write(&file, text).unwrap();
    let (code, told) = workstation.fails(&arguments("node-7")).await;
    assert!(code == 1 && told.contains("shows another certificate"), "{told}");
}
