//! A node that somebody on it wants to go down, through the API: cordon, a budget, and back if it stays.

use serde_json::json;

use crate::{
    machine::{Machine, NODE, NODE_OS, config, facts},
    server::{Api, Fault},
};

const POD: &str = "/api/v1/namespaces/default/pods/a";

#[tokio::test]
async fn it_is_cordoned_and_emptied_within_budgets_and_comes_back() {
    let api = Api::start(&[b"h2"]).await;
    api.put(POD, json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": "default", "name": "a" } }));
    api.fault(&format!("POST {POD}/eviction"), [Fault::Status(429, None)]);
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::start(config(&api), folder.path(), facts());
    api.until("reported", |api| api.object(NODE_OS).is_some_and(|os| !os["status"].is_null())).await;
    assert_eq!(machine.report.borrow().drain, None);

    machine.change(|facts| facts.leaves = true);
    let says = |word: &'static str| {
        move |report: &ballast_cluster::model::Report| {
            report.drain.as_ref().is_some_and(|drain| !drain.is_done && drain.message.contains(word))
        }
    };
    machine.until("the budget's no", says("default/a: Scripted")).await;
    assert_eq!(api.object(NODE).unwrap()["spec"]["unschedulable"], true);
    machine.until("empty", |report| report.drain.as_ref().is_some_and(|drain| drain.is_done)).await;
    assert!(api.object(POD).is_none());

    machine.change(|facts| facts.leaves = false);
    api.until("uncordoned", |api| api.object(NODE).is_some_and(|node| node["spec"]["unschedulable"].is_null())).await;
    machine.until("it is over", |report| report.drain.is_none()).await;
}
