//! The Node: made, corrected, its status reported.

use std::time::SystemTime;

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, NodeSpec, NodeStatus},
};
use kube::{ResourceExt, core::params::Patch};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    client::{Api, ApiClient, Failure},
    model::CLAIM_NAMESPACE,
    plan::{
        lease::is_alive,
        node::{is_anothers, is_tainted, labels_patch},
    },
};

/// A Node that is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Registered {
    /// Which of all that had the name.
    pub(crate) uid: String,
    /// As it was found; None: it was made just now, with the status that was wanted.
    pub(crate) found: Option<Node>,
}

/// Makes the Node as desired, status and taints included. Of an existing Node only the labels are corrected: taints are for whoever put them
/// there, or took them away (and NodeRestriction would refuse them). One that another machine keeps alive by `now` is left alone: of two machines
/// with one name each would report over the other, and end its pods.
pub(crate) async fn register(client: &ApiClient, wanted: &Node, now: SystemTime) -> Result<Registered, Failure> {
    let nodes: Api<Node> = Api::all(client);
    match nodes.create(wanted).await {
        Ok(made) => return Ok(Registered { uid: made.uid().unwrap_or_default(), found: None }),
        Err(failure) if failure.is_there_already() => {}
        Err(failure) => return Err(failure),
    }
    let name = wanted.name_any();
    let found = nodes.get(&name).await?;
    if is_anothers(&found, wanted) && is_node_alive(client, &name, now).await? {
        return Err(Failure::Unexpected(format!("Node {name} is another machine's: set cluster.node_name")));
    }
    if let Some(patch) = labels_patch(&found, wanted.labels()) {
        nodes.patch(&name, &Patch::Merge(patch)).await?;
    }
    Ok(Registered { uid: found.uid().unwrap_or_default(), found: Some(found) })
}

async fn is_node_alive(client: &ApiClient, name: &str, now: SystemTime) -> Result<bool, Failure> {
    match Api::<Lease>::namespaced(client, CLAIM_NAMESPACE).get(name).await {
        Ok(lease) => Ok(is_alive(&lease, now)),
        Err(failure) if failure.is_not_found() => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// A Node, as far as a report is answered by it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    spec: NodeSpec,
}

/// Reports the status; gives whether the Node keeps pods away. Conditions of others (of a network plugin) stay: the list is merged by type.
pub(crate) async fn report(client: &ApiClient, name: &str, status: &NodeStatus) -> Result<bool, Failure> {
    let patch = Patch::Strategic(patch_of(status)?);
    let Answer { spec } = Api::<Node>::all(client).change_status(name, &patch).await?;
    Ok(is_tainted(&Node { spec: Some(spec), ..Node::default() }))
}

fn patch_of(status: &NodeStatus) -> Result<Value, Failure> {
    let mut status = serde_json::to_value(status).map_err(|error| Failure::Unexpected(error.to_string()))?;
    // Addresses would be merged by type as well, of which several have the same: they are replaced as a whole.
    if let Some(addresses) = status.get_mut("addresses").and_then(Value::as_array_mut) {
        addresses.insert(0, json!({ "$patch": "replace" }));
    }
    Ok(json!({ "status": status }))
}

/// Changes the Node by a merge patch, which names the version that it is meant for.
pub(crate) async fn change(client: &ApiClient, name: &str, patch: &Value) -> Result<(), Failure> {
    Api::<Node>::all(client).patch(name, &Patch::Merge(patch)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_replaced_and_conditions_merged() {
        let status = json!({ "addresses": [{ "type": "InternalIP", "address": "10.0.0.2" }],
            "conditions": [{ "type": "Ready", "status": "True" }] });
        let patch = patch_of(&serde_json::from_value(status).unwrap()).unwrap();
        assert_eq!(patch["status"]["addresses"][0], json!({ "$patch": "replace" }));
        assert_eq!(patch["status"]["addresses"][1]["address"], "10.0.0.2");
        assert_eq!(patch["status"]["conditions"][0]["type"], "Ready");
    }
}
