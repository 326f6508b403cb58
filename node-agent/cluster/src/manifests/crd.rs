//! The custom resource definition, from the types.

use kube::CustomResourceExt;
use serde_json::Value;

use crate::model::NodeOs;

/// The CRD. Without defaults: the API server would write them into each spec, in the name of whoever made the object, and a GitOps tool that
/// says the same field later would be in conflict with the node.
pub(super) fn crd() -> Value {
    let mut crd = serde_json::to_value(NodeOs::crd()).unwrap_or_default();
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        without_defaults(schema);
        // The node makes its NodeOS without one: an empty spec would be the node's own, and each request of an operator a conflict.
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("required");
        }
    }
    crd
}

fn without_defaults(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("default");
        // Integers of C and Rust: the API knows int32 and int64 only, and the limits beside them say it all.
        if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
            schema.remove("format");
        }
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.values_mut().for_each(without_defaults);
        }
        if let Some(items) = schema.get_mut("items") {
            without_defaults(items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a structural schema may not have, and what the API server would refuse or drop.
    fn check(path: &str, schema: &Value) {
        let schema = schema.as_object().unwrap();
        assert!(schema.contains_key("type"), "{path} has no type");
        for forbidden in ["$ref", "definitions", "$defs", "oneOf", "anyOf", "allOf", "const", "default"] {
            assert!(!schema.contains_key(forbidden), "{path} has {forbidden}");
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            check(&format!("{path}.{name}"), property);
        }
        if let Some(items) = schema.get("items") {
            check(&format!("{path}[]"), items);
        }
    }

    #[test]
    fn the_schema_is_structural() {
        let crd = crd();
        assert_eq!(crd["metadata"]["name"], "nodeoses.os.ballast.dev");
        let version = &crd["spec"]["versions"][0];
        assert_eq!(version["subresources"]["status"], serde_json::json!({}));
        let schema = &version["schema"]["openAPIV3Schema"];
        check("", schema);
        assert!(!schema.as_object().unwrap().contains_key("required"), "a NodeOS without a spec is one");
        let properties = |of: &str| schema["properties"][of]["properties"].as_object().unwrap().len();
        assert_eq!((properties("spec"), properties("status")), (7, 16));
        let phases = schema["properties"]["status"]["properties"]["phase"]["enum"].as_array().unwrap().len();
        assert_eq!(phases, 10);
    }
}
