//! The claim of a slot, on the node's own Lease: no other can be written in a node's name, and no other node can write this one.

use k8s_openapi::api::coordination::v1::Lease;
use kube::core::params::Patch;
use serde_json::Value;

use crate::{
    client::{Api, ApiClient, Failure},
    model::CLAIM_NAMESPACE,
};

/// Changes the Lease `name`; gives what it is now. [`Kind::Conflict`](crate::client::Kind::Conflict): it is another than was read.
pub(crate) async fn change(client: &ApiClient, name: &str, patch: &Value) -> Result<Lease, Failure> {
    Api::<Lease>::namespaced(client, CLAIM_NAMESPACE).change(name, &Patch::Merge(patch)).await
}

/// Makes the Lease of a node that has none.
pub(crate) async fn create(client: &ApiClient, lease: &Lease) -> Result<Lease, Failure> {
    Api::<Lease>::namespaced(client, CLAIM_NAMESPACE).create(lease).await
}
