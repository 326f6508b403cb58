//! The NodeOS: made if there is none, without a spec; its status applied. Its spec is never written.

use kube::core::{
    Request,
    params::{GetParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    client::{ApiClient, Failure, Kind, built},
    model::{FIELD_MANAGER, NodeOsStatus},
    observe::Observed,
    plan,
};

/// Where they are.
const PATH: &str = "/apis/os.ballast.dev/v1alpha1/nodeoses";

/// What came of making a NodeOS.
pub(crate) enum Created {
    /// It was made, and is so.
    Made(Box<Observed>),
    /// There was one.
    IsThere,
    /// There is none, and the node may make none: it may only where a policy sees to it that it makes its own (`manifests/admission.yaml`).
    MayNot,
}

/// Makes the NodeOS `name` if there is none.
pub(crate) async fn create(client: &ApiClient, name: &str) -> Result<Created, Failure> {
    // Without a spec: who makes an empty one owns it, and all that is in it later (server-side apply).
    let bare = json!({ "apiVersion": "os.ballast.dev/v1alpha1", "kind": "NodeOS", "metadata": { "name": name } });
    let body = serde_json::to_vec(&bare).map_err(|error| wrong(&error))?;
    match client.ask(built(Request::new(PATH).create(&PostParams::default(), body))?).await {
        Ok(made) => return Ok(Created::Made(Box::new(made))),
        Err(failure) if failure.is_there_already() => return Ok(Created::IsThere),
        Err(failure) if failure.kind() != Kind::Forbidden => return Err(failure),
        Err(_) => {}
    }
    match client.send(built(Request::new(PATH).get(name, &GetParams::default()))?).await {
        Ok(()) => Ok(Created::IsThere),
        Err(failure) if failure.is_not_found() => Ok(Created::MayNot),
        Err(failure) => Err(failure),
    }
}

/// Applies its status: what is in it is ours; fields that we set before and set no longer are removed.
pub(crate) async fn apply(client: &ApiClient, name: &str, status: &NodeOsStatus) -> Result<(), Failure> {
    let applied = Patch::Apply(plan::status::apply(name, status));
    let params = PatchParams::apply(FIELD_MANAGER).force();
    client.send(built(Request::new(PATH).patch_subresource("status", name, &params, &applied))?).await
}

fn wrong(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unexpected(format!("a NodeOS cannot be written: {error}"))
}
