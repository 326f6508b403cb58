//! What a rollout asks for: the Node, the slots and who claims them, the pods.

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Node, Pod},
};
use kube::core::{PartialObjectMeta, params::ListParams};

use crate::{
    client::{Api, ApiClient, Failure},
    model::{
        CLAIM_NAMESPACE, ClusterSnapshot, Fetch, Identity, NodeSnapshot, POOL_LABEL, PodSnapshot, SLOT_LABEL,
        SLOT_NAMESPACE, Slot,
    },
    plan,
};

/// Reads what `what` asks for into `snapshot`.
pub(crate) async fn fetch(
    client: &ApiClient,
    identity: &Identity,
    what: &Fetch,
    snapshot: &mut ClusterSnapshot,
) -> Result<(), Failure> {
    match what {
        Fetch::Node => snapshot.node = Some(node(client, &identity.name).await?),
        Fetch::Slots { is_fresh } => snapshot.slots = Some(slots(client, identity, *is_fresh).await?),
        Fetch::Lease => snapshot.lease = Some(lease(client, &identity.name).await?),
        Fetch::Pods => snapshot.pods = Some(pods(client, &identity.name).await?),
    }
    Ok(())
}

async fn node(client: &ApiClient, name: &str) -> Result<NodeSnapshot, Failure> {
    Ok(plan::cordon::node(&Api::<Node>::all(client).get(name).await?))
}

/// Two lists each time. A thousand nodes that wait make them every 20 s, a hundred lists a second, so they ask for what the API server keeps in
/// memory. One that claims a slot asks for what there is. Of nodes' Leases only the metadata is sent: a stolen node may fill the rest of its own.
async fn slots(client: &ApiClient, identity: &Identity, is_fresh: bool) -> Result<Vec<Slot>, Failure> {
    let params = |label: &str, is_fresh: bool| {
        let all = ListParams::default().labels(label);
        if is_fresh { all } else { all.match_any() }
    };
    let claimed = async |is_fresh: bool| {
        let leases = Api::<Lease>::namespaced(client, CLAIM_NAMESPACE);
        let whole = |lease: PartialObjectMeta<Lease>| Lease { metadata: lease.metadata, spec: None };
        let list = leases.list_metadata(&params(SLOT_LABEL, is_fresh)).await?;
        Ok(list.items.into_iter().map(whole).collect::<Vec<Lease>>())
    };
    // Whole: an old agent that has one is in its spec. Nodes do not write here.
    let defined = Api::<Lease>::namespaced(client, SLOT_NAMESPACE).list(&params(POOL_LABEL, is_fresh)).await?;
    let mut claims = claimed(is_fresh).await?;
    let is_ours = |lease: &Lease| lease.metadata.name.as_deref() == Some(&identity.name);
    if !is_fresh && claims.iter().any(is_ours) {
        claims = claimed(true).await?;
    }
    Ok(plan::slots::slots(&defined.items, &claims, &identity.name))
}

/// The state of the node's own Lease; empty: there is none.
async fn lease(client: &ApiClient, name: &str) -> Result<String, Failure> {
    match Api::<Lease>::namespaced(client, CLAIM_NAMESPACE).get(name).await {
        Ok(lease) => Ok(lease.metadata.resource_version.unwrap_or_default()),
        Err(failure) if failure.is_not_found() => Ok(String::new()),
        Err(failure) => Err(failure),
    }
}

async fn pods(client: &ApiClient, node: &str) -> Result<Vec<PodSnapshot>, Failure> {
    // Pods that have ended stand in nobody's way, and are not even sent; nor is what the others are made of.
    let here = format!("spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed");
    let all = Api::<Pod>::all(client).list_metadata(&ListParams::default().fields(&here)).await?;
    let whole = |pod: PartialObjectMeta<Pod>| Pod { metadata: pod.metadata, ..Pod::default() };
    Ok(all.items.into_iter().filter_map(|pod| plan::drain::pod(&whole(pod))).collect())
}
