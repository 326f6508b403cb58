//! spec.containers\[\].env, with what a variable may take from the pod itself.

use std::collections::BTreeMap;

use super::{expand::expand, reader::Fields};
use crate::pods::model::{Key, LATE, late};

/// What is known of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) key: Key,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// The variables in order, each expanded by those before it.
pub(super) fn env(fields: &mut Fields<'_>, metadata: &Metadata) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::new();
    for mut variable in fields.all("env") {
        let name = variable.need("name");
        if let Some(name) = name {
            let is_valid = !name.text.is_empty() && !name.text.contains('=');
            variable.require(is_valid, name, "name", "expected a name without =");
        }
        let value = variable.text("value");
        let from = variable.fields("valueFrom");
        let value = match (value, from) {
            (Some(said), Some(from)) => {
                from.refuse_at(from.line(), "", "is not possible beside a value");
                said.text.to_owned()
            }
            (None, Some(from)) => value_from(from, metadata).unwrap_or_default(),
            (Some(said), None) => expand(said.text, &env),
            (None, None) => String::new(),
        };
        variable.finish();
        env.extend(name.map(|name| (name.text.to_owned(), value)));
    }
    env
}

fn value_from(mut fields: Fields<'_>, metadata: &Metadata) -> Option<String> {
    let value = match fields.fields("fieldRef") {
        Some(field) => field_ref(field, metadata),
        None => {
            if !fields.has_others() {
                fields.refuse_at(fields.line(), "", "expected fieldRef");
            }
            None
        }
    };
    fields.finish();
    value
}

/// (kubernetes.io/docs/concepts/workloads/pods/downward-api)
fn field_ref(mut fields: Fields<'_>, metadata: &Metadata) -> Option<String> {
    if let Some(version) = fields.text("apiVersion") {
        fields.require(version.text == "v1", version, "apiVersion", "expected v1");
    }
    let path = fields.need("fieldPath")?;
    fields.finish();
    let key_of = |prefix: &str| path.text.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    let found = match path.text {
        "metadata.name" => Some(metadata.key.name.clone()),
        "metadata.namespace" => Some(metadata.key.namespace.clone()),
        "spec.serviceAccountName" => Some("default".to_owned()),
        "status.hostIPs" => Some(late("status.hostIP")),
        "status.podIPs" => Some(late("status.podIP")),
        known if LATE.contains(&known) => Some(late(known)),
        _ => match (key_of("metadata.labels"), key_of("metadata.annotations")) {
            (Some(key), _) => Some(metadata.labels.get(key).cloned().unwrap_or_default()),
            (None, Some(key)) => Some(metadata.annotations.get(key).cloned().unwrap_or_default()),
            (None, None) => None,
        },
    };
    if found.is_none() {
        let message = "expected metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], \
                       metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP or status.podIP";
        fields.refuse_at(path.line, "fieldPath", message);
    }
    found
}
