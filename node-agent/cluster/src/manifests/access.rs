//! Who may do what: the least with which it works.

use serde_json::{Value, json};

use crate::model::{SLOT_ACCOUNT, SLOT_NAMESPACE};

/// The group of all nodes, which the API server knows by their certificates.
const NODES: &str = "system:nodes";
const GROUP: &str = "os.ballast.dev";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Namespace, service account, roles and who has them.
pub(super) fn rbac() -> Vec<Value> {
    let nodes = json!({ "apiGroup": RBAC, "kind": "Group", "name": NODES });
    let account = json!({ "kind": "ServiceAccount", "name": SLOT_ACCOUNT, "namespace": SLOT_NAMESPACE });
    vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": SLOT_NAMESPACE } }),
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": SLOT_ACCOUNT, "namespace": SLOT_NAMESPACE },
            "automountServiceAccountToken": false,
        }),
        // Each node's own NodeOS. RBAC cannot tell whose it is: admission.yaml does.
        role(
            "ClusterRole",
            "ballast-node-os",
            &[
                (GROUP, "nodeoses", &["create", "get", "list", "watch"], None),
                (GROUP, "nodeoses/status", &["patch"], None),
            ],
        ),
        binding("ClusterRole", "ballast-node-os", &nodes),
        // A node's own identity may not write other Leases than its own (NodeRestriction), so it takes slots as this account, and as no other.
        role("Role", "ballast-slots-impersonation", &[("", "serviceaccounts", &["impersonate"], Some(SLOT_ACCOUNT))]),
        binding("Role", "ballast-slots-impersonation", &nodes),
        role("Role", "ballast-slots", &[("coordination.k8s.io", "leases", &["get", "list", "patch"], None)]),
        binding("Role", "ballast-slots", &account),
        // Whether the holder of a slot still exists: newer API servers show a node no other nodes.
        role(
            "ClusterRole",
            "ballast-slot-holders",
            &[("", "nodes", &["get"], None), (GROUP, "nodeoses", &["get"], None)],
        ),
        binding("ClusterRole", "ballast-slot-holders", &account),
    ]
}

/// Group, resource, verbs, and the one object's name if it is only one.
type Rule<'a> = (&'a str, &'a str, &'a [&'a str], Option<&'a str>);

fn role(kind: &str, name: &str, rules: &[Rule<'_>]) -> Value {
    let rule = |(group, resource, verbs, only): &Rule<'_>| {
        let mut rule = json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
        if let Some(only) = only {
            rule["resourceNames"] = json!([only]);
        }
        rule
    };
    let rules: Vec<Value> = rules.iter().map(rule).collect();
    json!({ "apiVersion": format!("{RBAC}/v1"), "kind": kind, "metadata": metadata(kind, name), "rules": rules })
}

/// Binds the role `name` under its own name.
fn binding(kind: &str, name: &str, subject: &Value) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": format!("{kind}Binding"),
        "metadata": metadata(kind, name),
        "roleRef": { "apiGroup": RBAC, "kind": kind, "name": name },
        "subjects": [subject],
    })
}

fn metadata(kind: &str, name: &str) -> Value {
    match kind {
        "Role" => json!({ "name": name, "namespace": SLOT_NAMESPACE }),
        _ => json!({ "name": name }),
    }
}

/// A node makes and tells of its own NodeOS only.
pub(super) fn admission() -> Vec<Value> {
    const NAME: &str = "ballast-node-os";
    const API: &str = "admissionregistration.k8s.io/v1";
    vec![
        json!({
            "apiVersion": API,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": NAME },
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": [GROUP],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["nodeoses", "nodeoses/status"],
                }] },
                "matchConditions": [{
                    "name": "by-a-node",
                    "expression": format!("'{NODES}' in request.userInfo.groups"),
                }],
                "validations": [{
                    "expression": "request.userInfo.username == 'system:node:' + object.metadata.name",
                    "message": "a node writes its own NodeOS only",
                }],
            },
        }),
        json!({
            "apiVersion": API,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": NAME },
            "spec": { "policyName": NAME, "validationActions": ["Deny"] },
        }),
    ]
}
