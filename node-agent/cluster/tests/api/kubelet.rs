//! What a membership learns for the kubelet of its node.

use ballast_cluster::model::{Hosted, Release, Role};
use serde_json::json;

use crate::{
    machine::{CSRS, Machine, NODE_OS, config, facts},
    server::{Api, Fault},
};

async fn api() -> Api {
    Api::start(&[b"h2"]).await
}

#[tokio::test]
async fn the_versions_of_server_and_kubelet_are_reported() {
    let (api, folder) = (api().await, tempfile::tempdir().unwrap());
    api.put("/version", json!({ "major": "1", "minor": "33", "gitVersion": "v1.33.2" }));
    let spec = json!({ "kubelet": { "image": "r.example/kubelet:1.33.0" } });
    api.put(NODE_OS, json!({ "metadata": { "name": "n1", "generation": 1 }, "spec": spec }));
    let runs = Release { version: "1.32.1".to_owned(), digest: "sha256:0a".to_owned(), ..Release::default() };
    let hosted = Hosted { runs: Some(runs), state: "healthy".to_owned(), ..Hosted::default() };
    let facts = ballast_cluster::model::Facts { hosted: Some(hosted), ..facts() };
    let mut machine =
        Machine::start(ballast_cluster::model::Config { role: Role::Kubelet, ..config(&api) }, folder.path(), facts);
    machine.until("the API server's version", |report| report.server_version.as_deref() == Some("v1.33.2")).await;
    let image = Some("r.example/kubelet:1.33.0".to_owned());
    machine.until("the kubelet that is asked for", |report| report.kubelet == Some(image.clone())).await;
    api.until("the status has it", |api| {
        let kubelet = api.object(NODE_OS).map(|object| object["status"]["kubelet"].clone()).unwrap_or_default();
        kubelet["version"] == "1.32.1" && kubelet["state"] == "healthy"
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_report_its_version_is_none_to_hold_a_kubelet_to() {
    let (api, folder) = (api().await, tempfile::tempdir().unwrap());
    api.fault("GET /version", [Fault::Status(403, None)]);
    let config = ballast_cluster::model::Config { role: Role::Kubelet, ..config(&api) };
    let mut machine = Machine::start(config, folder.path(), facts());
    machine.until("it has its NodeOS", |report| report.kubelet == Some(None)).await;
    assert_eq!(machine.report.borrow().server_version, None);
    let problems = machine.report.borrow().problems.clone();
    assert!(!problems.iter().any(|problem| problem.contains("version")), "{problems:?}");
}

#[tokio::test]
async fn the_kubelet_gets_a_certificate_to_show_once_somebody_approves_it() {
    let (api, folder) = (api().await, tempfile::tempdir().unwrap());
    let config = ballast_cluster::model::Config { role: Role::Kubelet, ..config(&api) };
    let facts = ballast_cluster::model::Facts { addresses: vec!["192.0.2.7".parse().unwrap()], ..facts() };
    let _machine = Machine::start(config, folder.path(), facts);
    let asked = |api: &Api| {
        let state = api.state.lock().unwrap();
        let is_serving = |object: &&serde_json::Value| object["spec"]["signerName"] == "kubernetes.io/kubelet-serving";
        state
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(CSRS))
            .map(|(_, object)| object)
            .find(is_serving)
            .cloned()
    };
    api.until("it is asked for", |api| asked(api).is_some()).await;
    assert_eq!(asked(&api).unwrap()["spec"]["usages"][2], "server auth");
    let place = folder.path().join("serving.pem");
    api.until("it is kept", |_| place.exists()).await;
    let pem = std::fs::read_to_string(place).unwrap();
    assert!(pem.contains("BEGIN CERTIFICATE") && pem.contains("PRIVATE KEY"), "{pem}");
    // The one with which it comes to the API server is another.
    assert_ne!(pem, std::fs::read_to_string(folder.path().join("client.pem")).unwrap());
}
