//! What an operator learns of a node from its NodeOS.

use ballast_cluster::{
    credentials::node_api,
    model::{ApiFacts, ApiStatus, Credentials},
};

use crate::{
    machine::{Machine, NODE_OS, config, facts, kubeconfig},
    server::{Api, Fault},
};

#[tokio::test]
async fn a_node_tells_where_its_api_is() {
    for protocols in [&[b"http/1.1" as &[u8]][..], &[b"h2", b"http/1.1"]] {
        let api = Api::start(protocols).await;
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::start(config(&api), folder.path(), facts());
        api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
        let Credentials::Kubeconfig(text) = kubeconfig(&api) else { panic!("no kubeconfig") };
        let (text, name) = (text.reveal(), NODE_OS.rsplit('/').next().unwrap());

        let none = node_api(text, name).await.unwrap_err();
        assert!(none.contains("has no status.api"), "{none}");
        let (address, fingerprint) = ("192.0.2.1:9600".to_owned(), format!("sha256:{}", "ab".repeat(32)));
        machine.change(|facts| {
            facts.api = Some(ApiFacts { address: address.clone(), fingerprint: fingerprint.clone() });
        });
        api.until("the address", |api| api.object(NODE_OS).is_some_and(|os| !os["status"]["api"].is_null())).await;
        assert_eq!(node_api(text, name).await, Ok(ApiStatus { address, fingerprint }));

        let none = node_api(text, "nobody").await.unwrap_err();
        assert!(none.contains("has no NodeOS nobody"), "{none}");
        api.fault(&format!("GET {NODE_OS}"), [Fault::Status(403, None)]);
        let refused = node_api(text, name).await.unwrap_err();
        assert!(refused.contains("does not let this user read"), "{refused}");
        let file = node_api(&text.replace("certificate-authority-data", "certificate-authority"), name).await;
        assert!(file.as_ref().is_err_and(|told| told.contains("--flatten")), "{file:?}");
    }
}
