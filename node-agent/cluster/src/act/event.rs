//! Events: what happened, once each. One that happens again in the same words is the same Event with a higher count.

use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    client::Client,
};

use crate::{
    client::Failure,
    plan::event::{NAMESPACE, again},
};

/// Tells it. If it was told before, its count goes up; not if it `is_first`: then only the agent was restarted.
pub async fn tell(client: &Client, event: &Event, is_first: bool, now: &Time) -> Result<(), Failure> {
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    match events.create(&PostParams::default(), event).await.map_err(Failure::from) {
        Err(failure) if failure.is_there_already() && !is_first => {}
        Err(failure) if failure.is_there_already() => return Ok(()),
        Err(failure) => return Err(failure),
        Ok(_) => return Ok(()),
    }
    let name = event.name_any();
    let found = events.get(&name).await?;
    events.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(again(&found, now))).await?;
    Ok(())
}
