//! The NodeOS: made if there is none, without a wish; its status applied. Its spec is never written.

use kube::{
    api::{Patch, PatchParams, PostParams},
    client::Client,
    core::{Request, request::Error},
};
use serde_json::json;

use crate::{
    client::Failure,
    model::{FIELD_MANAGER, NodeOsStatus},
    observe::Observed,
    plan,
};

/// Where they are.
const PATH: &str = "/apis/os.ballast.dev/v1alpha1/nodeoses";

/// Makes the NodeOS `name` if there is none; gives what was made.
pub(crate) async fn create(client: &Client, name: &str) -> Result<Option<Observed>, Failure> {
    // Without a spec: who makes an empty one owns it, and all that is in it later (server-side apply).
    let bare = json!({ "apiVersion": "os.ballast.dev/v1alpha1", "kind": "NodeOS", "metadata": { "name": name } });
    let body = serde_json::to_vec(&bare).map_err(|error| wrong(&error))?;
    let request = Request::new(PATH).create(&PostParams::default(), body);
    match client.request(request.map_err(|error| wrong(&error))?).await.map_err(Failure::from) {
        Ok(made) => Ok(Some(made)),
        Err(failure) if failure.is_there_already() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Applies its status: what is in it is ours, what we said before and say no more goes.
pub(crate) async fn apply(client: &Client, name: &str, status: &NodeOsStatus) -> Result<(), Failure> {
    let applied = Patch::Apply(plan::status::apply(name, status));
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let request: Result<_, Error> = Request::new(PATH).patch_subresource("status", name, &params, &applied);
    client.request_text(request.map_err(|error| wrong(&error))?).await?;
    Ok(())
}

fn wrong(error: &dyn std::fmt::Display) -> Failure {
    Failure::Strange(format!("a NodeOS cannot be written: {error}"))
}
