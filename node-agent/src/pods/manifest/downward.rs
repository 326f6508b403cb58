//! What a variable or a file takes from the pod itself: fieldRef and resourceFieldRef.
//! (kubernetes.io/docs/concepts/workloads/pods/downward-api)

use std::collections::BTreeMap;

use super::{env::Metadata, quantity, reader::Fields};
use crate::pods::model::{LATE, Resources, late};

/// What containers ask for and may take, by their names.
pub(super) type ByContainer = BTreeMap<String, Resources>;

/// Where the value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Into<'a> {
    /// A variable of this container.
    Variable(&'a str),
    /// A file of the pod.
    File,
}

/// The value of a fieldRef.
pub(super) fn field_ref(mut fields: Fields<'_>, metadata: &Metadata, into: Into<'_>) -> Option<String> {
    if let Some(version) = fields.text("apiVersion") {
        fields.require(version.text == "v1", version, "apiVersion", "expected v1");
    }
    let path = fields.need("fieldPath")?;
    fields.finish();
    let key_of = |prefix: &str| path.text.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']");
    let found = match (path.text, into) {
        ("metadata.name", _) => Some(metadata.key.name.clone()),
        ("metadata.namespace", _) => Some(metadata.key.namespace.clone()),
        ("metadata.uid", _) => Some(late("metadata.uid")),
        ("metadata.labels", Into::File) => Some(listed(&metadata.labels)),
        ("metadata.annotations", Into::File) => Some(listed(&metadata.annotations)),
        ("spec.serviceAccountName", Into::Variable(_)) => Some("default".to_owned()),
        ("status.hostIPs", Into::Variable(_)) => Some(late("status.hostIP")),
        ("status.podIPs", Into::Variable(_)) => Some(late("status.podIP")),
        (known, Into::Variable(_)) if LATE.contains(&known) => Some(late(known)),
        (_, _) => match (key_of("metadata.labels"), key_of("metadata.annotations")) {
            (Some(key), _) => Some(metadata.labels.get(key).cloned().unwrap_or_default()),
            (None, Some(key)) => Some(metadata.annotations.get(key).cloned().unwrap_or_default()),
            (None, None) => None,
        },
    };
    if found.is_none() {
        let message = match into {
            Into::Variable(_) => {
                "expected metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], \
                 spec.nodeName, spec.serviceAccountName, status.hostIP or status.podIP"
            }
            Into::File => {
                "expected metadata.name, metadata.namespace, metadata.uid, metadata.labels, metadata.annotations, \
                 metadata.labels['KEY'] or metadata.annotations['KEY']"
            }
        };
        fields.refuse_at(path.line, "fieldPath", message);
    }
    found
}

/// One line for each, its value in quotes.
fn listed(texts: &BTreeMap<String, String>) -> String {
    texts.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
}

/// The value of a resourceFieldRef, in units of its divisor, rounded up. What a container has no limit for is all that the node has.
pub(super) fn resource_ref(mut fields: Fields<'_>, all: &ByContainer, into: Into<'_>) -> Option<String> {
    let container = match (fields.text("containerName"), into) {
        (Some(said), _) => {
            fields.require(
                all.contains_key(said.text),
                said,
                "containerName",
                "expected the name of one of the pod's containers",
            );
            Some(said.text)
        }
        (None, Into::Variable(own)) => Some(own),
        (None, Into::File) => {
            fields.refuse_at(fields.line(), "", "the field `containerName` is missing");
            None
        }
    };
    let resource = fields.need("resource");
    let divisor = fields.text("divisor");
    fields.finish();
    let (container, resource) = (container?, resource?);
    let none = Resources::default();
    let has = all.get(container).unwrap_or(&none);
    let (asked, unit, whole) = match resource.text {
        "limits.cpu" => (has.cpu_limit_milli.ok_or("node.cpu"), Unit::Cpu, 1000),
        "requests.cpu" => (Ok(has.cpu_request_milli.or(has.cpu_limit_milli).unwrap_or_default()), Unit::Cpu, 1000),
        "limits.memory" => (has.memory_limit_bytes.ok_or("node.memory"), Unit::Bytes, 1),
        "requests.memory" => {
            (Ok(has.memory_request_bytes.or(has.memory_limit_bytes).unwrap_or_default()), Unit::Bytes, 1)
        }
        "limits.ephemeral-storage" => (has.disk_limit_bytes.ok_or("node.disk"), Unit::Bytes, 1),
        "requests.ephemeral-storage" => {
            (Ok(has.disk_request_bytes.or(has.disk_limit_bytes).unwrap_or_default()), Unit::Bytes, 1)
        }
        _ => {
            let message = "expected limits. or requests. with cpu, memory or ephemeral-storage";
            fields.refuse_at(resource.line, "resource", message);
            return None;
        }
    };
    let divisor = match divisor.filter(|said| said.text != "0") {
        None => whole,
        Some(said) => {
            let parsed = match unit {
                Unit::Cpu => quantity::milli_cpu(said.text),
                Unit::Bytes => quantity::bytes(said.text),
            };
            let parsed = parsed.filter(|divisor| *divisor > 0);
            fields.require(parsed.is_some(), said, "divisor", "expected an amount such as 1m, 1Ki or 1Mi");
            parsed?
        }
    };
    Some(match asked {
        Ok(amount) => amount.div_ceil(divisor).to_string(),
        Err(node) => late(&format!("{node}/{divisor}")),
    })
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Cpu,
    Bytes,
}
