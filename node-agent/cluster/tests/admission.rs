//! What nodes may write: the admission policy's expressions, each by itself, and the rights beside it.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "in a test a panic is the verdict")]

use std::collections::BTreeSet;

use ballast_cluster::manifests::manifests;
use cel::{Context, Program, Value as Found};
use serde_json::{Value, json};

fn objects(file: &str) -> Vec<Value> {
    manifests().into_iter().find(|manifest| manifest.file == file).unwrap().objects
}

fn policy() -> Value {
    objects("admission.yaml").into_iter().find(|object| object["kind"] == "ValidatingAdmissionPolicy").unwrap()
}

fn holds(expression: &Value, request: &Value, object: &Value) -> bool {
    let mut context = Context::default();
    context.add_variable("request", request).unwrap();
    context.add_variable("object", object).unwrap();
    let program = Program::compile(expression.as_str().unwrap()).unwrap();
    match program.execute(&context).unwrap() {
        Found::Bool(holds) => holds,
        other => panic!("{expression} is {other:?}, expected true or false"),
    }
}

/// The first message that refuses it, as the API server goes about it.
fn verdict(user: &str, groups: &[&str], operation: &str, object: &Value) -> Option<String> {
    let policy = policy();
    let request = json!({ "operation": operation, "userInfo": { "username": user, "groups": groups } });
    let list = |field: &str| policy["spec"][field].as_array().unwrap().clone();
    if !list("matchConditions").iter().all(|condition| holds(&condition["expression"], &request, object)) {
        return None;
    }
    let mut refusals = list("validations").into_iter().filter(|one| !holds(&one["expression"], &request, object));
    refusals.next().map(|one| one["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_node_writes_its_own_node_os_and_asks_itself_for_nothing() {
    let bare = |name: &str| json!({ "kind": "NodeOS", "metadata": { "name": name } });
    let with = |name: &str, field: &str, value: Value| {
        let mut object = bare(name);
        object[field] = value;
        object
    };
    let nodes: &[&str] = &["system:nodes", "system:authenticated"];
    let desired = json!({ "image": "r.example/os@sha256:00" });
    let forged = json!({ "observedDigest": "sha256:00" });
    let table = [
        ("system:node:n1", nodes, "CREATE", bare("n1"), None),
        ("system:node:n1", nodes, "UPDATE", with("n1", "status", forged.clone()), None),
        ("system:node:n1", nodes, "UPDATE", with("n1", "spec", desired.clone()), None),
        ("system:node:n1", nodes, "CREATE", bare("n2"), Some("its own")),
        ("system:node:n1", nodes, "CREATE", bare("n1x"), Some("its own")),
        ("system:node:n1", nodes, "CREATE", with("n2", "spec", desired.clone()), Some("its own")),
        ("system:node:n1", nodes, "CREATE", with("n1", "spec", desired.clone()), Some("asks itself")),
        ("system:node:n1", nodes, "CREATE", with("n1", "spec", json!({})), Some("asks itself")),
        ("system:node:n1", nodes, "UPDATE", with("n2", "status", forged), Some("its own")),
        ("somebody", nodes, "UPDATE", bare("n1"), Some("its own")),
        ("", nodes, "UPDATE", bare(""), Some("its own")),
        // Operators are no nodes.
        ("admin", &["system:masters"], "CREATE", with("n1", "spec", desired), None),
    ];
    for (user, groups, operation, object, expected) in table {
        let found = verdict(user, groups, operation, &object);
        let is_right = match (&found, expected) {
            (Some(found), Some(expected)) => found.contains(expected),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(is_right, "{user} {operation} {object}: {found:?}");
    }
}

#[test]
fn the_policy_is_bound_and_refuses_where_it_cannot_be_asked() {
    let policy = policy();
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    let rules = &policy["spec"]["matchConstraints"]["resourceRules"][0];
    assert_eq!(rules["resources"], json!(["nodeoses", "nodeoses/status"]));
    assert_eq!(rules["operations"], json!(["CREATE", "UPDATE"]));
    let bindings = objects("admission.yaml").into_iter();
    let mut bindings = bindings.filter(|object| object["kind"] == "ValidatingAdmissionPolicyBinding");
    let binding = bindings.next().unwrap();
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
}

/// `NAMESPACE GROUP/RESOURCE: VERBS`, of all roles in a file.
fn rights(file: &str) -> BTreeSet<String> {
    let roles = objects(file).into_iter().filter(|object| object["rules"].is_array());
    let words = |list: &Value| {
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let rules = roles.flat_map(|role| {
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or("*").to_owned();
        let rules = role["rules"].as_array().unwrap().clone();
        rules.into_iter().map(move |rule| {
            let (group, resource, verbs) =
                (words(&rule["apiGroups"]), words(&rule["resources"]), words(&rule["verbs"]));
            format!("{namespace} {group}/{resource}: {verbs}")
        })
    });
    rules.collect()
}

#[test]
fn without_the_policy_nodes_write_nothing_that_others_go_by() {
    let expected = [
        "* os.ballast.dev/nodeoses/status: patch",
        "* os.ballast.dev/nodeoses: get list watch",
        "ballast-system coordination.k8s.io/leases: list",
        "kube-node-lease coordination.k8s.io/leases: list",
    ];
    assert_eq!(rights("base/rbac.yaml"), expected.map(str::to_owned).into());
    // Only beside the policy.
    assert_eq!(rights("admission.yaml"), ["* os.ballast.dev/nodeoses: create".to_owned()].into());
}
