//! A rollout from spec.image to its end, through the API: slot, cordon, a budget, reboot, and back.

use std::time::Duration;

use ballast_cluster::model::{Facts, Order, Prepared, Release};
use serde_json::{Value, json};

use crate::{
    machine::{Machine, NODE, NODE_OS, config, facts},
    server::{Api, Fault},
};

const SLOT: &str = "/apis/coordination.k8s.io/v1/namespaces/ballast-system/leases/default-0";
const POD: &str = "/api/v1/namespaces/default/pods/a";

fn wanted() -> Release {
    Release { digest: format!("sha256:{}", "b".repeat(64)), version: "2".to_owned(), ..Release::default() }
}

async fn next_order(machine: &mut Machine) -> Order {
    tokio::time::timeout(Duration::from_secs(60), machine.orders.recv()).await.unwrap().unwrap()
}

fn wish(api: &Api, spec: Value) {
    let mut object = api.object(NODE_OS).unwrap();
    object["spec"] = spec;
    object["metadata"]["generation"] = json!(2);
    api.put(NODE_OS, object);
}

#[tokio::test]
async fn spec_image_goes_through_slot_cordon_drain_and_reboot() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let labels = json!({ "os.ballast.dev/pool": "default" });
    api.put(SLOT, json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "default-0", "labels": labels } }));
    api.put(POD, json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": "default", "name": "a" } }));
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
    let image = format!("r.example/os@{}", wanted().digest);
    wish(&api, json!({ "image": image }));
    let Order::Prepare { id, image: asked } = next_order(&mut machine).await else { panic!("no order to prepare") };
    assert_eq!(asked, image);
    api.until("told", |api| api.object(NODE_OS).unwrap()["status"]["phase"] == "Preparing").await;
    // A budget says no once; the slot is taken and the node cordoned by then.
    api.fault(&format!("POST {POD}/eviction"), [Fault::Status(429, None)]);
    machine.change(|facts| {
        facts.os.prepared = Some(Prepared { order: id, image: image.clone(), digest: wanted().digest });
        facts.os.next = Some(wanted());
    });
    api.until("asked to go", |api| api.count(&format!("POST {POD}/eviction")) == 1).await;
    assert_eq!(api.object(SLOT).unwrap()["spec"]["holderIdentity"], "n1");
    let node = api.object(NODE).unwrap();
    assert_eq!(node["spec"]["unschedulable"], true);
    assert_eq!(node["metadata"]["annotations"]["os.ballast.dev/cordoned"], "rollout");
    assert!(api.object(POD).is_some());
    let Order::Reboot { .. } = next_order(&mut machine).await else { panic!("no order to reboot") };
    assert!(api.object(POD).is_none());
    api.until("told", |api| api.object(NODE_OS).unwrap()["status"]["phase"] == "Rebooting").await;
    // It comes up as what was asked for.
    drop(machine);
    let up = Facts { boot_id: "boot-2".to_owned(), ..facts() };
    let machine = Machine::start(
        config(&api),
        folder.path(),
        Facts { os: ballast_cluster::model::Os { booted: wanted(), ..up.os.clone() }, ..up },
    );
    api.until("its slot is free", |api| api.object(SLOT).unwrap()["spec"]["holderIdentity"].is_null()).await;
    assert_eq!(api.object(NODE).unwrap()["spec"]["unschedulable"], Value::Null);
    api.until("told", |api| api.object(NODE_OS).unwrap()["status"]["phase"] == "Idle").await;
    // The spec is as the operator wrote it.
    assert_eq!(api.object(NODE_OS).unwrap()["spec"], json!({ "image": image }));
    drop(machine);
}
