//! A node without a kubelet: what it says of itself, and what becomes of pods that are bound to it.

use std::time::Duration;

use ballast_cluster::model::{Facts, Report, State};
use k8s_openapi::chrono;
use serde_json::{Value, json};

use crate::{
    machine::{LEASE, Machine, NODE, NODE_OS, config, facts},
    server::{Api, Fault},
};

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/default/pods/{name}")
}

fn pod(name: &str, node: &str, more: &Value) -> Value {
    let mut metadata = json!({ "namespace": "default", "name": name });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": { "nodeName": node },
        "status": { "phase": "Pending" } })
}

async fn joined(api: &Api, facts: Facts) -> (tempfile::TempDir, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(config(api), folder.path(), facts);
    machine.until("connected", |report| report.state == State::Connected).await;
    api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
    (folder, machine)
}

#[tokio::test]
async fn without_a_kubelet_a_node_offers_no_pods_and_says_so() {
    let api = Api::start(&[b"h2"]).await;
    let (_folder, _machine) = joined(&api, facts()).await;
    let node = api.object(NODE).unwrap();
    assert_eq!(node["spec"]["taints"], json!([{ "effect": "NoSchedule", "key": "os.ballast.dev/no-kubelet" }]));
    assert_eq!(
        (&node["status"]["allocatable"]["pods"], &node["status"]["capacity"]["pods"]),
        (&json!("0"), &json!("110"))
    );
    let conditions = node["status"]["conditions"].as_array().unwrap();
    let is_true = |kind: &str| conditions.iter().any(|one| one["type"] == kind && one["status"] == "True");
    assert!(is_true("NoKubelet") && is_true("Ready"), "{conditions:?}");
}

#[tokio::test]
async fn pods_that_nobody_runs_are_handed_back() {
    let api = Api::start(&[b"h2"]).await;
    let deleted = json!({ "deletionTimestamp": "2026-11-21T00:00:00Z", "deletionGracePeriodSeconds": 30 });
    api.put(&path("before"), pod("before", "n1", &json!({})));
    api.put(&path("hangs"), pod("hangs", "n1", &deleted));
    api.put(&path("others"), pod("others", "n2", &json!({})));
    let (_folder, machine) = joined(&api, facts()).await;
    let has_failed = |name: &'static str| {
        move |api: &Api| {
            let status = api.object(&path(name)).map(|pod| pod["status"].clone()).unwrap_or_default();
            status["phase"] == "Failed" && status["reason"] == "NoKubelet"
        }
    };
    api.until("what was bound before has failed", has_failed("before")).await;
    api.until("what was deleted is gone", |api| api.object(&path("hangs")).is_none()).await;
    // What comes later, by its name, past the scheduler; the first answer is lost.
    api.fault(&format!("PATCH {}/status", path("later")), [Fault::Status(500, None)]);
    api.put(&path("later"), pod("later", "n1", &json!({})));
    api.until("what was bound later has failed", has_failed("later")).await;
    let mut gone = api.object(&path("later")).unwrap();
    gone["metadata"]["deletionTimestamp"] = deleted["deletionTimestamp"].clone();
    gone["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    api.put(&path("later"), gone);
    api.until("it does not hang", |api| api.object(&path("later")).is_none()).await;
    assert_eq!(api.object(&path("others")).unwrap()["status"]["phase"], "Pending");
    assert_eq!(machine.report.borrow().problems, [""; 0]);
}

#[tokio::test]
async fn a_kubelet_runs_its_pods_itself() {
    let api = Api::start(&[b"h2"]).await;
    api.put(&path("a"), pod("a", "n1", &json!({})));
    let (_folder, _machine) = joined(&api, Facts { kubelet: true, ..facts() }).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let node = api.object(NODE).unwrap();
    assert_eq!((&node["status"]["allocatable"]["pods"], &node["spec"]["taints"]), (&json!("110"), &Value::Null));
    assert_eq!(api.object(&path("a")).unwrap()["status"]["phase"], "Pending");
    assert_eq!(api.count("GET /api/v1/pods"), 0);
}

/// Its taints are not the node's to change any more: somebody has to.
#[tokio::test]
async fn a_node_that_was_made_without_the_taint_says_what_to_do_until_it_is_done() {
    let api = Api::start(&[b"h2"]).await;
    api.put(NODE, json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" } }));
    let (_folder, machine) = joined(&api, facts()).await;
    let asks = |api: &Api| {
        let conditions = api.object(NODE).unwrap()["status"]["conditions"].to_string();
        conditions.contains("kubectl taint node")
    };
    api.until("reported", asks).await;
    let mut node = api.object(NODE).unwrap();
    node["spec"]["taints"] = json!([{ "effect": "NoSchedule", "key": "os.ballast.dev/no-kubelet" }]);
    api.put(NODE, node);
    // The next report shows it.
    machine.change(|facts| facts.degraded.push("something".to_owned()));
    api.until("reported no more", |api| !asks(api)).await;
}

/// An admission webhook, or the API server's own checks, may refuse one.
#[tokio::test]
async fn a_pod_that_is_refused_keeps_no_other() {
    let api = Api::start(&[b"h2"]).await;
    api.state.lock().unwrap().watch = Duration::from_secs(3);
    let refused = format!("PATCH {}/status", path("a"));
    let no = [Fault::Status(403, None), Fault::Status(422, None)];
    api.fault(&refused, no.into_iter().cycle().take(99));
    for name in ["a", "b"] {
        api.put(&path(name), pod(name, "n1", &json!({})));
    }
    let (_folder, mut machine) = joined(&api, facts()).await;
    let has_failed = |api: &Api, name: &str| api.object(&path(name)).unwrap()["status"]["phase"] == "Failed";
    api.until("the other is handed back", |api| has_failed(api, "b")).await;
    assert!(!has_failed(&api, "a"));
    let is_reported = |report: &Report| report.problems.iter().any(|problem| problem.contains("default/a"));
    machine.until("reported", is_reported).await;
    // Somebody mends that, and the watch ends.
    api.state.lock().unwrap().faults.clear();
    api.until("handed back, too", |api| has_failed(api, "a")).await;
    machine.until("reported no more", |report| report.problems.is_empty()).await;
}

/// Two machines have one name: the pods of one are not for the other to end, nor is its Node.
#[tokio::test]
async fn the_node_of_another_machine_is_left_alone() {
    let api = Api::start(&[b"h2"]).await;
    let renewed = |ago: u64| {
        let at = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now() - Duration::from_secs(ago));
        json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "n1" },
            "spec": { "renewTime": at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true) } })
    };
    let info = json!({ "machineID": "other", "architecture": "", "bootID": "", "containerRuntimeVersion": "",
        "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "operatingSystem": "", "osImage": "",
        "systemUUID": "" });
    let node =
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" }, "status": { "nodeInfo": info } });
    api.put(NODE, node);
    api.put(LEASE, renewed(10));
    api.put(&path("a"), pod("a", "n1", &json!({})));
    let facts = || Facts { machine_id: "own".to_owned(), ..facts() };
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    let is_reported = |report: &Report| {
        report.problems.iter().any(|problem| problem.contains("Node n1 is another machine's: set cluster.node_name"))
    };
    machine.until("reported", is_reported).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(api.object(&path("a")).unwrap()["status"]["phase"], "Pending");
    let written = ["PATCH /api/v1", "PUT /api/v1", "PUT /apis/coordination", "GET /api/v1/pods"];
    assert_eq!(written.map(|request| api.count(request)), [0; 4]);
    // It is gone, or it was this one before it was installed anew.
    api.put(LEASE, renewed(41));
    api.until("the pod is handed back", |api| api.object(&path("a")).unwrap()["status"]["phase"] == "Failed").await;
    assert_eq!(api.object(NODE).unwrap()["status"]["nodeInfo"]["machineID"], "own");
    machine.until("reported no more", |report| report.problems.is_empty()).await;
}
