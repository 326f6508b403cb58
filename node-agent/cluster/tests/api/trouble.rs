//! When the API answers badly, or not at all.

use std::time::Duration;

use ballast_cluster::model::{Authority, State};

use crate::{
    machine::{LEASE, Machine, NODE, NODE_OS, config, facts, kubeconfig},
    server::{Api, Fault},
};

const WATCH: &str = "GET /apis/os.ballast.dev/v1alpha1/nodeoses?watch";

async fn joined() -> (Api, tempfile::TempDir, Machine) {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected).await;
    api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
    (api, folder, machine)
}

#[tokio::test]
async fn l06_a_node_that_is_deleted_registers_again() {
    let (api, _folder, machine) = joined().await;
    let first = api.object(NODE).unwrap()["metadata"]["uid"].clone();
    api.delete(NODE);
    api.delete(LEASE);
    machine.change(|facts| facts.degraded.push("something".to_owned()));
    api.until("registered again", |api| api.object(NODE).is_some_and(|node| node["metadata"]["uid"] != first)).await;
    let node = api.object(NODE).unwrap();
    api.until("its Lease is its own", |api| {
        api.object(LEASE).is_some_and(|lease| lease["metadata"]["ownerReferences"][0]["uid"] == node["metadata"]["uid"])
    })
    .await;
}

#[tokio::test]
async fn l04_403_is_said_and_not_asked_in_a_loop() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    api.fault("POST /apis/os.ballast.dev/v1alpha1/nodeoses", vec![Fault::Status(403, None); 99]);
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    let is_said = |report: &ballast_cluster::model::Report| {
        report.problems.iter().any(|problem| problem.contains("there is no NodeOS n1, and the node may not make it"))
    };
    machine.until("said", is_said).await;
    api.until("its Lease is there all the same", |api| api.object(LEASE).is_some()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let count = api.count("POST /apis/os.ballast.dev");
    assert!((1..=2).contains(&count), "{count}");
    assert_eq!(machine.report.borrow().state, State::Connected);
    // Somebody makes it.
    api.put(NODE_OS, serde_json::json!({ "kind": "NodeOS", "metadata": { "name": "n1" } }));
    machine.until("seen", |report| report.problems.is_empty()).await;
    api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    api.fault("POST /api/v1/nodes", [Fault::Status(429, Some(3)), Fault::Status(503, None), Fault::Status(500, None)]);
    let begun = std::time::Instant::now();
    let _machine = Machine::start(config(&api), folder.path(), facts());
    api.until("registered", |api| api.object(NODE).is_some()).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(api.count("POST /api/v1/nodes"), 4);
}

#[tokio::test]
async fn a_reset_is_answered_by_another_connection() {
    let (api, _folder, mut machine) = joined().await;
    api.fault("PATCH /api/v1/nodes/n1/status", [Fault::Reset, Fault::Reset]);
    machine.change(|facts| facts.ready = Err("the runtime is unreachable".to_owned()));
    let is_reported = |api: &Api| {
        let conditions = api.object(NODE).map(|node| node["status"]["conditions"].clone());
        conditions.is_some_and(|all| all.to_string().contains("the runtime is unreachable"))
    };
    api.until("reported", is_reported).await;
    machine.until("connected", |report| report.state == State::Connected && report.traffic.errors > 0).await;
}

/// It takes the 15 s that a request has.
#[tokio::test]
async fn a_connection_that_falls_silent_is_left() {
    let (api, _folder, mut machine) = joined().await;
    api.fault("PATCH /api/v1/nodes/n1/status", [Fault::Silence]);
    machine.change(|facts| facts.ready = Err("the runtime is unreachable".to_owned()));
    machine.until("late", |report| report.traffic.errors > 0).await;
    let is_reported =
        |api: &Api| api.object(NODE).unwrap()["status"].to_string().contains("the runtime is unreachable");
    api.until("reported over another connection", is_reported).await;
}

#[tokio::test]
async fn a_watch_that_closes_at_once_is_opened_less_and_less_often() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    api.state.lock().unwrap().watch = Duration::from_millis(50);
    let _machine = Machine::start(config(&api), folder.path(), facts());
    api.until("watched", |api| api.count(WATCH) >= 1).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let count = api.count(WATCH);
    assert!((2..25).contains(&count), "{count}");
    // 410: from the beginning.
    api.fault(WATCH.trim_end_matches("?watch"), [Fault::Status(410, None)]);
    let before = api.count(WATCH);
    api.until("watched again", |api| api.count(WATCH) >= before + 2).await;
}

#[tokio::test]
async fn servers_that_are_silent_leave_the_last_one_its_time() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    // They take connections, and then say nothing.
    let silent: Vec<_> = (0..3).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut servers: Vec<_> = silent.iter().map(|one| format!("https://{}", one.local_addr().unwrap())).collect();
    servers.push(api.url.clone());
    // With a token no second connection is made for the certificate: each costs 15 s here.
    let credentials = kubeconfig(&api);
    let config = ballast_cluster::model::Config { servers, credentials, ..config(&api) };
    let mut machine = Machine::start(config, folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected).await;
    assert_eq!(machine.report.borrow().server.as_deref(), Some(api.url.as_str()));
}

#[tokio::test]
async fn a_server_that_answers_nothing_well_is_left() {
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let (api, folder) = (Api::start(&[protocol]).await, tempfile::tempdir().unwrap());
        let sick = Api::start(&[protocol]).await;
        sick.fault("", vec![Fault::Status(503, None); 99]);
        let config = ballast_cluster::model::Config {
            servers: vec![sick.url.clone(), api.url.clone()],
            authority: Authority::Pem(format!("{}{}", sick.ca, api.ca)),
            ..config(&api)
        };
        let mut machine = Machine::start(config, folder.path(), facts());
        machine.until("connected to the second", |report| report.state == State::Connected).await;
        assert_eq!(machine.report.borrow().server.as_deref(), Some(api.url.as_str()));
        assert_eq!(sick.count(""), 3);
    }
}

#[tokio::test]
async fn v07_a_server_that_is_away_stops_nothing_and_is_found_again() {
    let (mut api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let other = Api::start(&[b"h2"]).await;
    other.stop();
    let config = ballast_cluster::model::Config { servers: vec![other.url.clone(), api.url.clone()], ..config(&api) };
    let mut machine = Machine::start(config, folder.path(), facts());
    machine.until("connected to the second", |report| report.server.as_deref() == Some(api.url.as_str())).await;
    // Now that one goes as well.
    api.stop();
    machine.change(|facts| facts.ready = Err("x".to_owned()));
    machine.until("unreachable", |report| matches!(report.state, State::Unreachable { .. })).await;
    assert!(machine.report.borrow().traffic.errors > 0);
    api.resume().await;
    machine.until("found again", |report| report.state == State::Connected).await;
    api.until("reported what happened meanwhile", |api| {
        let conditions = api.object(NODE).unwrap()["status"]["conditions"].clone();
        conditions.as_array().unwrap().iter().any(|one| one["type"] == "Ready" && one["message"] == "x")
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_somebody_else_wrote_is_read_again() {
    let (api, _folder, machine) = joined().await;
    api.until("the Lease is there", |api| api.object(LEASE).is_some()).await;
    api.fault(&format!("PUT {LEASE}"), [Fault::Status(409, None)]);
    api.until("renewed after another look", |api| api.count(&format!("PUT {LEASE}")) == 2).await;
    assert_eq!(api.count(&format!("GET {LEASE}")), 1);
    assert_eq!((machine.report.borrow().state.clone(), machine.report.borrow().problems.len()), (State::Connected, 0));
}
