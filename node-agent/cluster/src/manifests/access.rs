//! RBAC: the least rights with which it works.

use serde_json::{Value, json};

use crate::model::{CLAIM_NAMESPACE, SLOT_NAMESPACE};

/// The group of all nodes, which the API server knows by their certificates.
const NODES: &str = "system:nodes";
const GROUP: &str = "os.ballast.dev";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Namespace, roles and who has them. What is here must be safe without any policy: RBAC cannot say which node writes what.
pub(super) fn rbac() -> Vec<Value> {
    vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": SLOT_NAMESPACE } }),
        // A status that another node wrote is put right by its own, which does nothing by it. To make a NodeOS would be to ask a node for a
        // release: that is in admission.yaml.
        role(
            "ballast-node-os",
            None,
            &[(GROUP, "nodeoses", &["get", "list", "watch"]), (GROUP, "nodeoses/status", &["patch"])],
        ),
        binding("ballast-node-os", None),
        // Slots are only read. Who has one is what nodes say on their own Leases, which API servers let nobody else write (NodeRestriction).
        role("ballast-slots", Some(SLOT_NAMESPACE), &[("coordination.k8s.io", "leases", &["list"])]),
        binding("ballast-slots", Some(SLOT_NAMESPACE)),
        role("ballast-slot-claims", Some(CLAIM_NAMESPACE), &[("coordination.k8s.io", "leases", &["list"])]),
        binding("ballast-slot-claims", Some(CLAIM_NAMESPACE)),
    ]
}

/// Nodes may make NodeOS objects.
pub(super) fn creation() -> Vec<Value> {
    const NAME: &str = "ballast-node-os-creation";
    vec![role(NAME, None, &[(GROUP, "nodeoses", &["create"])]), binding(NAME, None)]
}

/// Group, resource, verbs.
type Rule<'a> = (&'a str, &'a str, &'a [&'a str]);

/// A Role of that namespace, or a ClusterRole.
fn role(name: &str, namespace: Option<&str>, rules: &[Rule<'_>]) -> Value {
    let rule =
        |(group, resource, verbs): &Rule<'_>| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    let rules: Vec<Value> = rules.iter().map(rule).collect();
    let kind = kind(namespace);
    json!({ "apiVersion": format!("{RBAC}/v1"), "kind": kind, "metadata": metadata(name, namespace), "rules": rules })
}

/// Binds the role `name` to all nodes, under its own name.
fn binding(name: &str, namespace: Option<&str>) -> Value {
    let kind = kind(namespace);
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": format!("{kind}Binding"),
        "metadata": metadata(name, namespace),
        "roleRef": { "apiGroup": RBAC, "kind": kind, "name": name },
        "subjects": [{ "apiGroup": RBAC, "kind": "Group", "name": NODES }],
    })
}

const fn kind(namespace: Option<&str>) -> &'static str {
    if namespace.is_some() { "Role" } else { "ClusterRole" }
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    match namespace {
        Some(namespace) => json!({ "name": name, "namespace": namespace }),
        None => json!({ "name": name }),
    }
}

/// A node makes and reports on its own NodeOS only.
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
                "validations": [
                    {
                        "expression": "request.userInfo.username == 'system:node:' + object.metadata.name",
                        "message": "a node writes its own NodeOS only",
                    },
                    {
                        "expression": "request.operation != 'CREATE' || !has(object.spec)",
                        "message": "a node asks itself for nothing: the spec is the operator's",
                    },
                ],
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
