//! What a rollout asks for: the Node, the pool's slots, whether their holders are still there, the pods.

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod},
};
use kube::{
    Api,
    api::{ListParams, PartialObjectMeta},
    client::Client as Kube,
};

use crate::{
    client::{Client, Failure, Kind},
    model::{Holder, HolderObject, Identity, Look, NodeOs, POOL_LABEL, SLOT_NAMESPACE, Seen, SeenNode, SeenPod, Slot},
    plan,
};

/// Reads what `what` asks for into `seen`.
pub(crate) async fn look(client: &Client, identity: &Identity, what: &Look, seen: &mut Seen) -> Result<(), Failure> {
    match what {
        Look::Node => seen.node = Some(node(&client.own(), &identity.name).await?),
        Look::Slots => seen.slots = Some(slots(&client.slots()).await?),
        Look::Holders(holders) => seen.gone = Some(gone(&client.slots(), holders).await?),
        Look::Pods => seen.pods = Some(pods(&client.own(), &identity.name).await?),
    }
    Ok(())
}

async fn node(client: &Kube, name: &str) -> Result<SeenNode, Failure> {
    Ok(plan::drain::node(&Api::<Node>::all(client.clone()).get(name).await?))
}

async fn slots(client: &Kube) -> Result<Vec<Slot>, Failure> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SLOT_NAMESPACE);
    let all = leases.list(&ListParams::default().labels(POOL_LABEL)).await?;
    Ok(all.items.iter().filter_map(plan::slots::slot).collect())
}

async fn gone(client: &Kube, holders: &[Holder]) -> Result<Vec<Holder>, Failure> {
    let mut gone = Vec::new();
    for holder in holders {
        let found = match holder.object {
            HolderObject::Node => Api::<Node>::all(client.clone()).get_metadata(&holder.name).await.err(),
            HolderObject::NodeOs => Api::<NodeOs>::all(client.clone()).get_metadata(&holder.name).await.err(),
        };
        match found.map(Failure::from) {
            None => {}
            Some(failure) if is_gone(&failure) => gone.push(holder.clone()),
            Some(failure) => return Err(failure),
        }
    }
    Ok(gone)
}

/// Only the API server's own word for an object that is not there: a balancer that knows nobody also says 404.
fn is_gone(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(refusal) if failure.kind() == Kind::Missing && refusal.reason == "NotFound")
}

async fn pods(client: &Kube, node: &str) -> Result<Vec<SeenPod>, Failure> {
    // Pods that have ended stand in nobody's way, and are not even sent; nor is what the others are made of.
    let here = format!("spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed");
    let all = Api::<Pod>::all(client.clone()).list_metadata(&ListParams::default().fields(&here)).await?;
    let whole = |pod: PartialObjectMeta<Pod>| Pod { metadata: pod.metadata, ..Pod::default() };
    Ok(all.items.into_iter().filter_map(|pod| plan::drain::pod(&whole(pod))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Refusal;

    #[test]
    fn only_the_api_server_knows_who_is_gone() {
        let of = |code, reason: &str| {
            let reason = reason.to_owned();
            is_gone(&Failure::Refused(Refusal { code, reason, message: String::new(), retry_after: None }))
        };
        assert!(of(404, "NotFound"));
        assert!(!of(404, "") && !of(403, "Forbidden") && !is_gone(&Failure::Away(String::new())));
    }
}
