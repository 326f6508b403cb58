//! Getting in: token, certificate, hash, kubeconfig, renewal; what is kept.

use std::time::Duration;

use ballast_cluster::{
    credentials::Certificate,
    model::{Authority, Credentials, State},
};
use serde_json::json;

use crate::{
    machine::{CSRS, LEASE, Machine, NODE, NODE_OS, config, facts, kubeconfig},
    server::{Api, Fault},
};

#[tokio::test]
async fn l01_a_token_gets_a_certificate_and_the_node_registers() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected).await;
    api.until("registered", |api| {
        api.object(LEASE).is_some() && api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())
    })
    .await;
    let node = api.object(NODE).unwrap();
    let ready =
        node["status"]["conditions"].as_array().unwrap().iter().find(|found| found["type"] == "Ready").unwrap().clone();
    assert_eq!(ready["status"], "True");
    assert_eq!(api.object(LEASE).unwrap()["metadata"]["ownerReferences"][0]["uid"], node["metadata"]["uid"]);
    assert_eq!(api.object(NODE_OS).unwrap()["status"]["booted"]["version"], "1");
    let log = api.state.lock().unwrap().log.clone();
    let user =
        |line: &str| log.iter().find(|(found, _)| found.starts_with(line)).map(|(_, user)| user.clone()).unwrap();
    assert_eq!(user(&format!("POST {CSRS}")), "Bearer abcdef.0123456789abcdef");
    assert_eq!(user("POST /api/v1/nodes"), "system:node:n1");
    // Started again, it shows what it kept.
    drop(machine);
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    machine
        .until("connected again", |report| report.state == State::Connected && report.certificate_until.is_some())
        .await;
    assert_eq!(api.count(&format!("POST {CSRS}")), 1);
}

#[tokio::test]
async fn what_was_given_once_is_enough_without_the_token() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let kept = || ballast_cluster::model::Config { credentials: Credentials::Kept, ..config(&api) };
    let mut machine = Machine::start(kept(), folder.path(), facts());
    let is_reported = |reason: &str| reason.contains("expected a token");
    machine.until("reported", |report| matches!(&report.state, State::Refused { reason } if is_reported(reason))).await;
    assert_eq!(api.count(""), 0);
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected).await;
    drop(machine);
    let mut machine = Machine::start(kept(), folder.path(), facts());
    machine.until("connected again", |report| report.state == State::Connected).await;
    assert!(machine.report.borrow().certificate_until.is_some());
    assert_eq!(api.count(&format!("POST {CSRS}")), 1);
}

#[tokio::test]
async fn a_request_that_waits_is_watched_and_not_read_again_and_again() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    {
        let mut state = api.state.lock().unwrap();
        (state.is_by_hand, state.watch) = (true, Duration::from_secs(1));
    }
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    api.until("watched anew when it ended", |api| api.count(&format!("GET {CSRS}?watch")) == 2).await;
    assert_eq!(api.count("GET"), 2);
    api.sign(CSRS);
    machine.until("connected", |report| report.state == State::Connected).await;
    assert_eq!((api.count("GET /apis/certificates"), api.count(&format!("POST {CSRS}"))), (2, 1));
}

#[tokio::test]
async fn a_request_that_is_deleted_is_followed_by_another() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    api.state.lock().unwrap().is_by_hand = true;
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    api.until("watched", |api| api.count(&format!("GET {CSRS}?watch")) == 1).await;
    let first = api.state.lock().unwrap().objects.keys().find(|at| at.starts_with(CSRS)).cloned().unwrap();
    api.delete(&first);
    machine
        .until("reported", |report| matches!(&report.state, State::Refused { reason } if reason.contains("deleted")))
        .await;
    api.state.lock().unwrap().is_by_hand = false;
    machine.until("connected", |report| report.state == State::Connected).await;
    assert!(api.object(&first).is_none(), "another key is another request");
}

#[tokio::test]
async fn a_node_joins_with_few_requests() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let _machine = Machine::start(config(&api), folder.path(), facts());
    let events = "POST /api/v1/namespaces/default/events";
    api.until("reported", |api| {
        api.count(events) == 1 && api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut log: Vec<_> = api.state.lock().unwrap().log.iter().map(|(line, _)| line.clone()).collect();
    log.sort();
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let node_oses = "/apis/os.ballast.dev/v1alpha1/nodeoses";
    let mut expected = vec![
        format!("GET {CSRS}?watch"),
        format!("GET {node_oses}?watch"),
        "GET /api/v1/pods?watch".to_owned(),
        format!("PATCH {NODE_OS}/status"),
        format!("POST {CSRS}"),
        "POST /api/v1/nodes".to_owned(),
        events.to_owned(),
        format!("POST {leases}"),
        format!("POST {node_oses}"),
    ];
    expected.sort();
    assert_eq!(log, expected);
}

#[tokio::test]
async fn l01_the_certificate_is_renewed_under_a_running_agent() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    api.state.lock().unwrap().life = Duration::from_secs(8);
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected && report.certificate_until.is_some()).await;
    let first = machine.report.borrow().certificate_until;
    api.state.lock().unwrap().life = Duration::from_secs(3600);
    machine.change(|facts| facts.runtime_restarts += 1);
    machine.until("renewed", |report| report.certificate_until > first).await;
    let kept = std::fs::read_to_string(folder.path().join("client.pem")).unwrap();
    assert_eq!(Some(Certificate::parse(&kept).unwrap().until_secs()), machine.report.borrow().certificate_until);
    let log = api.state.lock().unwrap().log.clone();
    let mut asked =
        log.iter().filter(|(line, _)| line.starts_with("POST /apis/certificates")).map(|(_, user)| user.as_str());
    assert_eq!(asked.next_back(), Some("system:node:n1"));
    // The watch goes on over the new connection.
    api.until("watched again", |api| api.count("GET /apis/os.ballast.dev/v1alpha1/nodeoses?watch") >= 2).await;
}

#[tokio::test]
async fn a_ca_is_found_by_its_hash() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let kubeconfig =
        format!("clusters: [{{name: '', cluster: {{certificate-authority-data: {}}}}}]", STANDARD.encode(&api.ca));
    let info = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
    api.put(info, json!({ "metadata": { "name": "cluster-info" }, "data": { "kubeconfig": kubeconfig } }));
    let hash = Certificate::parse(&api.ca).unwrap().key_hash;
    let with =
        |hash: &str| ballast_cluster::model::Config { authority: Authority::Hash(hash.to_owned()), ..config(&api) };
    let mut machine = Machine::start(with(&"0".repeat(64)), folder.path(), facts());
    machine
        .until("refused", |report| matches!(&report.state, State::Refused { reason } if reason.contains("ca_hash")))
        .await;
    assert_eq!(api.count("POST"), 0);
    drop(machine);
    let mut machine = Machine::start(with(&hash), folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected).await;
    assert!(folder.path().join("ca.pem").exists());
}

/// Anybody may answer before the CA is known: 44 kB of this made 1.4 GB of it, in a parser without limits.
#[tokio::test]
async fn a_cluster_info_that_unfolds_costs_nothing() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let info = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
    let put = |kubeconfig: String| {
        api.put(info, json!({ "metadata": { "name": "cluster-info" }, "data": { "kubeconfig": kubeconfig } }));
    };
    let long: Vec<String> = (0..1800).map(|number| format!("{{name: c{number}, cluster: {{}}}}")).collect();
    let mut bomb = format!("clusters: &all [{}]\nextensions:\n", long.join(", "));
    bomb.push_str(&"- {name: e, extension: [*all, *all, *all, *all]}\n".repeat(100));
    assert!((40_000..64_000).contains(&bomb.len()), "{}", bomb.len());
    put(bomb);
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = peak();
    let config = ballast_cluster::model::Config { authority: Authority::Hash("0".repeat(64)), ..config(&api) };
    let mut machine = Machine::start(config, folder.path(), facts());
    let is_said = |word: &'static str| move |report: &ballast_cluster::model::Report| matches!(&report.state, State::Refused { reason } if reason.contains(word));
    machine.until("refused", is_said("no kubeconfig")).await;
    put(format!("clusters: []\n# {}", "x".repeat(70_000)));
    machine.until("refused as too large", is_said("at most 65536")).await;
    put("x".repeat(1 << 20));
    machine.until("cut off", |report| matches!(&report.state, State::Unreachable { .. })).await;
    // What other tests of this process take meanwhile is far less than what it made.
    assert!(peak() - before < 200_000, "{} kB more", peak() - before);
    assert_eq!(api.count("POST"), 0);
}

#[tokio::test]
async fn n07_a_server_with_another_ca_gets_nothing() {
    let (api, other, folder) = (Api::start(&[b"h2"]).await, Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let config = ballast_cluster::model::Config { authority: Authority::Pem(other.ca.clone()), ..config(&api) };
    let mut machine = Machine::start(config, folder.path(), facts());
    machine
        .until(
            "unreachable",
            |report| matches!(&report.state, State::Unreachable { reason, .. } if reason.contains("certificate")),
        )
        .await;
    assert!(api.state.lock().unwrap().log.is_empty());
}

#[tokio::test]
async fn a_kubeconfig_is_used_as_it_is_over_http1() {
    let (api, folder) = (Api::start(&[b"http/1.1"]).await, tempfile::tempdir().unwrap());
    let credentials = kubeconfig(&api);
    let config = ballast_cluster::model::Config {
        servers: Vec::new(),
        authority: Authority::Image,
        credentials,
        ..config(&api)
    };
    let mut machine = Machine::start(config, folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected).await;
    api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
    let log = api.state.lock().unwrap().log.clone();
    assert!(log.iter().all(|(_, user)| user == "Bearer t0ken"), "{log:#?}");
}

#[tokio::test]
async fn n08_it_waits_for_the_clock() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let mut machine =
        Machine::start(config(&api), folder.path(), ballast_cluster::model::Facts { clock_is_set: false, ..facts() });
    machine.until("waits", |report| report.state == State::WaitingForClock).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(api.state.lock().unwrap().log.is_empty());
    machine.change(|facts| facts.clock_is_set = true);
    machine.until("connected", |report| report.state == State::Connected).await;
}

#[tokio::test]
async fn n06_401_asks_for_another_certificate_with_the_token() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    machine.until("connected", |report| report.state == State::Connected).await;
    api.until("watched", |api| api.count("GET /apis/os.ballast.dev/v1alpha1/nodeoses?watch") == 1).await;
    api.fault("PATCH /api/v1/nodes/n1/status", [Fault::Status(401, None)]);
    machine.change(|facts| facts.ready = Err("the runtime is unreachable".to_owned()));
    api.until("asked again", |api| api.count(&format!("POST {CSRS}")) == 2).await;
    machine.until("connected again", |report| report.state == State::Connected).await;
}
