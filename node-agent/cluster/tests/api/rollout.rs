//! A rollout from spec.image to its end, through the API: slot, cordon, a budget, reboot, and back.

use std::time::Duration;

use ballast_cluster::model::{Facts, Order, Prepared, Release};
use serde_json::{Value, json};

use crate::{
    machine::{LEASE, Machine, NODE, NODE_OS, config, facts},
    server::{Api, Fault},
};

const SLOT: &str = "/apis/coordination.k8s.io/v1/namespaces/ballast-system/leases/default-0";
const SLOTS: &str = "GET /apis/coordination.k8s.io/v1/namespaces/ballast-system/leases";
const POD: &str = "/api/v1/namespaces/default/pods/a";
const OTHER_POD: &str = "/api/v1/namespaces/default/pods/b";

fn wanted() -> Release {
    Release { digest: format!("sha256:{}", "b".repeat(64)), version: "2".to_owned(), ..Release::default() }
}

async fn next_order(machine: &mut Machine) -> Order {
    tokio::time::timeout(Duration::from_secs(60), machine.orders.recv()).await.unwrap().unwrap()
}

fn desired_state(api: &Api, spec: Value) {
    let mut object = api.object(NODE_OS).unwrap();
    object["spec"] = spec;
    object["metadata"]["generation"] = json!(2);
    api.put(NODE_OS, object);
}

/// A slot that is free.
fn slot(pool: &str) -> Value {
    let labels = json!({ "os.ballast.dev/pool": pool });
    json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "default-0", "labels": labels } })
}

/// The slot that the node claims.
fn claimed(api: &Api) -> Option<String> {
    api.object(LEASE)?["metadata"]["labels"]["os.ballast.dev/slot"].as_str().map(str::to_owned)
}

/// Whoever may write this Lease claims the slot on it.
fn claim(api: &Api, lease: &str, slot: &str) {
    let mut object = api.object(lease).unwrap_or_else(|| {
        let name = lease.rsplit('/').next();
        json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name } })
    });
    object["metadata"]["labels"]["os.ballast.dev/slot"] = json!(slot);
    api.put(lease, object);
}

fn pod(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": "default", "name": name } })
}

/// A node that has joined and runs what it shall.
async fn joined(api: &Api) -> (tempfile::TempDir, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::start(config(api), folder.path(), facts());
    api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
    (folder, machine)
}

#[tokio::test]
async fn a_fetch_that_is_answered_ends_no_backoff_of_what_is_refused() {
    let api = Api::start(&[b"h2"]).await;
    api.fault(SLOTS, vec![Fault::Status(403, None); 99]);
    let (_folder, mut machine) = joined(&api).await;
    desired_state(&api, json!({ "image": format!("r.example/os@{}", facts().os.booted.digest) }));
    machine.until("said", |report| report.problems.iter().any(|problem| problem.contains("403"))).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let count = api.count(SLOTS);
    assert!((2..=3).contains(&count), "{count}");
    assert!(machine.report.borrow().problems.iter().any(|problem| problem.contains("403")));
}

#[tokio::test]
async fn a_pod_that_may_not_be_evicted_keeps_no_other() {
    let api = Api::start(&[b"h2"]).await;
    api.put(SLOT, slot("default"));
    api.put(POD, pod("a"));
    api.put(OTHER_POD, pod("b"));
    api.fault(&format!("POST {POD}/eviction"), vec![Fault::Status(403, None); 99]);
    let (_folder, machine) = joined(&api).await;
    machine.change(|facts| facts.os.next = Some(wanted()));
    desired_state(&api, json!({ "image": format!("r.example/os@{}", wanted().digest) }));
    api.until("the other is gone", |api| api.object(OTHER_POD).is_none()).await;
    api.until("reported", |api| {
        let message = api.object(NODE_OS).unwrap()["status"]["message"].clone();
        message.as_str().is_some_and(|message| message.contains("default/a: Scripted"))
    })
    .await;
}

#[tokio::test]
async fn where_somebody_was_faster_it_looks_again() {
    let api = Api::start(&[b"h2"]).await;
    api.put(SLOT, slot("default"));
    let (_folder, mut machine) = joined(&api).await;
    api.fault(&format!("PATCH {LEASE}"), [Fault::Status(409, None)]);
    api.fault(&format!("PATCH {NODE}$"), [Fault::Status(409, None)]);
    machine.change(|facts| facts.os.next = Some(wanted()));
    desired_state(&api, json!({ "image": format!("r.example/os@{}", wanted().digest) }));
    let Order::Reboot { .. } = next_order(&mut machine).await else { panic!("no order to reboot") };
    // Claimed twice, then informed that it goes down.
    assert_eq!((claimed(&api).as_deref(), api.count(&format!("PATCH {LEASE}"))), (Some("default-0"), 3));
    assert_eq!(api.object(NODE).unwrap()["spec"]["unschedulable"], true);
    assert_eq!(machine.report.borrow().problems, [""; 0], "it is nothing to report");
}

#[tokio::test]
async fn a_slot_of_the_pool_before_is_given_back() {
    let api = Api::start(&[b"h2"]).await;
    api.put(SLOT, slot("gpu"));
    let (_folder, _machine) = joined(&api).await;
    claim(&api, LEASE, "default-0");
    desired_state(&api, json!({ "image": format!("r.example/os@{}", facts().os.booted.digest) }));
    api.until("free", |api| claimed(api).is_none()).await;
}

#[tokio::test]
async fn an_order_that_cannot_be_given_is_given_soon() {
    let api = Api::start(&[b"h2"]).await;
    let (_folder, mut machine) = joined(&api).await;
    while machine.ordering.try_send(Order::Reboot { reason: "a test fills the queue".to_owned() }).is_ok() {}
    let image = format!("r.example/os@{}", wanted().digest);
    desired_state(&api, json!({ "image": image }));
    machine.until("reported", |report| report.problems.iter().any(|problem| problem.contains("no order now"))).await;
    while machine.orders.try_recv().is_ok() {}
    let next = tokio::time::timeout(Duration::from_secs(20), machine.orders.recv()).await.unwrap().unwrap();
    assert!(matches!(next, Order::Prepare { image: asked, .. } if asked == image));
}

#[tokio::test]
async fn spec_image_goes_through_slot_cordon_drain_and_reboot() {
    let api = Api::start(&[b"h2"]).await;
    api.put(SLOT, slot("default"));
    api.put(POD, pod("a"));
    let (folder, mut machine) = joined(&api).await;
    let image = format!("r.example/os@{}", wanted().digest);
    desired_state(&api, json!({ "image": image }));
    let Order::Prepare { id, image: asked } = next_order(&mut machine).await else { panic!("no order to prepare") };
    assert_eq!(asked, image);
    assert_eq!(machine.report.borrow().image.as_deref(), Some(image.as_str()));
    api.until("reported", |api| api.object(NODE_OS).unwrap()["status"]["phase"] == "Preparing").await;
    // A budget says no once; the slot is taken and the node cordoned by then.
    api.fault(&format!("POST {POD}/eviction"), [Fault::Status(429, None)]);
    machine.change(|facts| {
        facts.os.prepared = Some(Prepared { order: id, image: image.clone(), digest: wanted().digest });
        facts.os.next = Some(wanted());
    });
    api.until("asked to go", |api| api.count(&format!("POST {POD}/eviction")) == 1).await;
    assert_eq!(claimed(&api).as_deref(), Some("default-0"));
    let node = api.object(NODE).unwrap();
    assert_eq!(node["spec"]["unschedulable"], true);
    assert_eq!(node["metadata"]["annotations"]["os.ballast.dev/cordoned"], "rollout");
    assert!(api.object(POD).is_some());
    let Order::Reboot { .. } = next_order(&mut machine).await else { panic!("no order to reboot") };
    assert!(api.object(POD).is_none());
    api.until("reported", |api| api.object(NODE_OS).unwrap()["status"]["phase"] == "Rebooting").await;
    // It comes up as what was asked for.
    drop(machine);
    let up = Facts { boot_id: "boot-2".to_owned(), ..facts() };
    let machine = Machine::start(
        config(&api),
        folder.path(),
        Facts { os: ballast_cluster::model::Os { booted: wanted(), ..up.os.clone() }, ..up },
    );
    api.until("its slot is free", |api| claimed(api).is_none()).await;
    assert_eq!(api.object(NODE).unwrap()["spec"]["unschedulable"], Value::Null);
    api.until("reported", |api| api.object(NODE_OS).unwrap()["status"]["phase"] == "Idle").await;
    // The spec is as the operator wrote it.
    assert_eq!(api.object(NODE_OS).unwrap()["spec"], json!({ "image": image }));
    drop(machine);
}

/// Whoever may write slots brings no node down by it: what a node has stands on its own Lease alone.
#[tokio::test]
async fn nobody_is_brought_down_by_what_others_write() {
    let api = Api::start(&[b"h2"]).await;
    let mut forged = slot("default");
    forged["spec"] = json!({ "holderIdentity": "n1" });
    api.put(SLOT, forged);
    let other = LEASE.replace("/n1", "/another");
    claim(&api, &other, "default-0");
    let (_folder, mut machine) = joined(&api).await;
    machine.change(|facts| facts.os.next = Some(wanted()));
    desired_state(&api, json!({ "image": format!("r.example/os@{}", wanted().digest) }));
    api.until("waits for the one that claims it", |api| {
        let status = api.object(NODE_OS).unwrap()["status"].clone();
        status["phase"] == "WaitingForSlot" && status["message"].as_str().is_some_and(|text| text.contains("another"))
    })
    .await;
    assert!(machine.orders.try_recv().is_err() && claimed(&api).is_none());
    // Claimed in the same moment: the node comes behind the other by its name, and lets go.
    claim(&api, LEASE, "default-0");
    machine.change(|facts| facts.os.last_good = Some(facts.os.booted.clone()));
    api.until("lets go", |api| claimed(api).is_none()).await;
    assert!(machine.orders.try_recv().is_err());
    api.delete(&other);
    let Order::Reboot { .. } = next_order(&mut machine).await else { panic!("no order to reboot") };
}

/// While a fleet is upgraded to claims: an agent of before says on the slot itself that it has it.
#[tokio::test]
async fn an_old_agent_with_the_slot_is_waited_for() {
    let api = Api::start(&[b"h2"]).await;
    let mut held = slot("default");
    held["spec"] = json!({ "holderIdentity": "old" });
    api.put(SLOT, held);
    let (_folder, mut machine) = joined(&api).await;
    machine.change(|facts| facts.os.next = Some(wanted()));
    desired_state(&api, json!({ "image": format!("r.example/os@{}", wanted().digest) }));
    api.until("waits for the old one", |api| {
        let status = api.object(NODE_OS).unwrap()["status"].clone();
        status["phase"] == "WaitingForSlot" && status["message"].as_str().is_some_and(|text| text.contains("by old"))
    })
    .await;
    assert!(machine.orders.try_recv().is_err() && claimed(&api).is_none());
    // It gives it back, or somebody clears what it left.
    api.put(SLOT, slot("default"));
    machine.change(|facts| facts.os.last_good = Some(facts.os.booted.clone()));
    let Order::Reboot { .. } = next_order(&mut machine).await else { panic!("no order to reboot") };
}

/// A stolen node may write what it likes on its own Lease, and claim a slot by it.
#[tokio::test]
async fn a_lease_that_somebody_filled_up_stops_nobody() {
    let api = Api::start(&[b"h2"]).await;
    api.put(SLOT, slot("default"));
    let other = LEASE.replace("/n1", "/stolen");
    claim(&api, &other, "another");
    let mut lease = api.object(&other).unwrap();
    lease["spec"] = json!({ "holderIdentity": "x".repeat(5 << 20) });
    api.put(&other, lease);
    let (_folder, mut machine) = joined(&api).await;
    machine.change(|facts| facts.os.next = Some(wanted()));
    desired_state(&api, json!({ "image": format!("r.example/os@{}", wanted().digest) }));
    let Order::Reboot { .. } = next_order(&mut machine).await else { panic!("no order to reboot") };
}

/// A tag means what this node found, whatever somebody writes into its status; and what was written there is put right.
#[tokio::test]
async fn a_forged_status_is_not_believed() {
    let api = Api::start(&[b"h2"]).await;
    let (folder, mut machine) = joined(&api).await;
    let forge = |api: &Api, image: &str| {
        let mut object = api.object(NODE_OS).unwrap();
        object["spec"] = json!({ "image": image });
        object["status"]["observedImage"] = json!(image);
        // As if the tag meant what runs, so that nothing is to be done.
        object["status"]["observedDigest"] = json!(facts().os.booted.digest);
        api.put(NODE_OS, object);
    };
    forge(&api, "r.example/os:stable");
    let Order::Prepare { id, image } = next_order(&mut machine).await else { panic!("no order to prepare") };
    machine.change(|facts| {
        facts.os.prepared = Some(Prepared { order: id, image, digest: wanted().digest });
        facts.os.next = Some(wanted());
    });
    let is_reported = |api: &Api| api.object(NODE_OS).unwrap()["status"]["observedDigest"] == wanted().digest.as_str();
    api.until("what the tag means is reported", is_reported).await;
    // It outlives the agent.
    drop(machine);
    forge(&api, "r.example/os:stable");
    let next = ballast_cluster::model::Os { next: Some(wanted()), ..facts().os };
    let mut machine = Machine::start(config(&api), folder.path(), Facts { os: next, ..facts() });
    api.until("it is put right", is_reported).await;
    api.until("goes on to its slot", |api| api.object(NODE_OS).unwrap()["status"]["phase"] == "WaitingForSlot").await;
    assert!(machine.orders.try_recv().is_err(), "it is prepared already");
}

/// Who deletes a NodeOS and makes it again wants what the tag means now. The agent may not run meanwhile.
#[tokio::test]
async fn a_node_os_that_is_made_again_is_resolved_again() {
    let api = Api::start(&[b"h2"]).await;
    let (folder, mut machine) = joined(&api).await;
    let tag = json!({ "image": "r.example/os:stable" });
    desired_state(&api, tag.clone());
    let Order::Prepare { id, image } = next_order(&mut machine).await else { panic!("no order to prepare") };
    machine.change(|facts| {
        facts.os.prepared = Some(Prepared { order: id, image, digest: wanted().digest });
        facts.os.next = Some(wanted());
    });
    let is_reported =
        |api: &Api| api.object(NODE_OS).is_some_and(|os| os["status"]["observedDigest"] == wanted().digest);
    api.until("resolved", is_reported).await;
    let is_made = |api: &Api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null());
    for restarts in [false, true] {
        if restarts {
            drop(machine);
            api.delete(NODE_OS);
            let os = ballast_cluster::model::Os { next: Some(wanted()), ..facts().os };
            machine = Machine::start(config(&api), folder.path(), Facts { os, ..facts() });
        } else {
            api.delete(NODE_OS);
        }
        api.until("made again", is_made).await;
        assert!(!folder.path().join("resolved.json").exists());
        desired_state(&api, tag.clone());
        let Order::Prepare { id, image } = next_order(&mut machine).await else { panic!("no order to prepare") };
        machine.change(|facts| facts.os.prepared = Some(Prepared { order: id, image, digest: wanted().digest }));
        api.until("resolved again", is_reported).await;
        assert!(folder.path().join("resolved.json").exists());
    }
}
