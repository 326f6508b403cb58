//! Who cordoned the Node, and the patches that set and remove our cordon. A cordon of somebody else is kept.

use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};

use crate::model::{CORDON_ANNOTATION, CORDON_VALUE, Cordon, NodeSnapshot};

/// A Node as the cluster has it, as far as a drain goes.
pub fn node(node: &Node) -> NodeSnapshot {
    let is_cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let by = node.metadata.annotations.as_ref().and_then(|all| all.get(CORDON_ANNOTATION));
    let cordon = match (is_cordoned, by.map(String::as_str)) {
        // What is left of a cordon that somebody else took away is nothing to undo.
        (false, _) => Cordon::None,
        (true, Some(CORDON_VALUE)) => Cordon::Ours,
        (true, _) => Cordon::Others,
    };
    NodeSnapshot { cordon, resource_version: node.metadata.resource_version.clone().unwrap_or_default() }
}

/// The merge patch that cordons the Node in our name, if it is still as it was read.
pub fn cordon(resource_version: &str) -> Value {
    json!({
        "metadata": { "resourceVersion": resource_version, "annotations": { CORDON_ANNOTATION: CORDON_VALUE } },
        "spec": { "unschedulable": true },
    })
}

/// The merge patch that takes our cordon away, if the Node is still as it was read.
pub fn uncordon(resource_version: &str) -> Value {
    json!({
        "metadata": { "resourceVersion": resource_version, "annotations": { CORDON_ANNOTATION: null } },
        "spec": { "unschedulable": null },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cordon_is_ours_only_with_our_word() {
        let cordon_of = |value: Value| node(&serde_json::from_value(value).unwrap()).cordon;
        let word = |word: &str| json!({"metadata": {"annotations": {CORDON_ANNOTATION: word}}, "spec": {"unschedulable": true}});
        assert_eq!(cordon_of(json!({"metadata": {}})), Cordon::None);
        assert_eq!(cordon_of(json!({"metadata": {}, "spec": {"unschedulable": true}})), Cordon::Others);
        assert_eq!(cordon_of(word("rollout")), Cordon::Ours);
        assert_eq!(cordon_of(word("maintenance")), Cordon::Others);
        assert_eq!(cordon_of(cordon("1")), Cordon::Ours);
        let uncordon = uncordon("1");
        assert_eq!(
            (&uncordon["spec"]["unschedulable"], &uncordon["metadata"]["resourceVersion"]),
            (&Value::Null, &json!("1"))
        );
    }
}
