//! A slot: changed by a merge patch, which names the version that it is meant for, so that of two nodes one gets it.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
    client::Client,
};
use serde_json::Value;

use crate::{client::Failure, model::SLOT_NAMESPACE};

/// Changes the slot `name`. [`Kind::Conflict`](crate::client::Kind::Conflict): somebody else did first.
pub(crate) async fn change(client: &Client, name: &str, patch: &Value) -> Result<(), Failure> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SLOT_NAMESPACE);
    leases.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
