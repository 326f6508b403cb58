//! The heartbeat: the node's Lease in kube-node-lease. One request each time, as long as nobody else writes it.

use std::time::SystemTime;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference},
    chrono::{DateTime, Utc},
};
use kube::core::ObjectMeta;

use crate::{
    client::{Api, ApiClient, Failure, Kind},
    plan::lease::LEASE_SECONDS,
};

/// Where nodes' Leases are.
const NAMESPACE: &str = "kube-node-lease";

/// A node's Lease, as it was answered last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heartbeat {
    last: Option<Lease>,
    is_unread: bool,
}

impl Heartbeat {
    /// The Lease was written in another way, and is so now: the next beat goes on from there.
    pub(crate) fn goes_on(&mut self, lease: Lease) {
        (self.last, self.is_unread) = (Some(lease), false);
    }

    /// Beats once. `owner` is the Node's uid: with the Node, its Lease goes. [`Kind::Missing`]: there was one and it is gone, so perhaps the Node is, too.
    pub(crate) async fn beat(
        &mut self,
        client: &ApiClient,
        name: &str,
        owner: &str,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let leases: Api<Lease> = Api::namespaced(client, NAMESPACE);
        if let Some(last) = self.last.take() {
            match leases.replace(name, &renewed(last, name, owner, now)).await {
                Ok(lease) => {
                    self.last = Some(lease);
                    return Ok(());
                }
                // Read again below, or next time if no server answers.
                Err(failure) if matches!(failure.kind(), Kind::Missing | Kind::Conflict | Kind::Rejected) => {}
                Err(failure) => {
                    self.is_unread = true;
                    return Err(failure);
                }
            }
            self.is_unread = true;
        }
        if !self.is_unread {
            match leases.create(&renewed(Lease::default(), name, owner, now)).await {
                Ok(lease) => {
                    self.last = Some(lease);
                    return Ok(());
                }
                Err(failure) if failure.is_there_already() => {}
                Err(failure) => return Err(failure),
            }
        }
        self.is_unread = true;
        let found = leases.get(name).await;
        if let Err(failure) = &found {
            // It is made anew once the Node is known to be there.
            self.is_unread = failure.kind() != Kind::Missing;
        }
        self.last = Some(leases.replace(name, &renewed(found?, name, owner, now)).await?);
        self.is_unread = false;
        Ok(())
    }
}

fn renewed(last: Lease, name: &str, owner: &str, now: SystemTime) -> Lease {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        uid: owner.to_owned(),
        ..OwnerReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        owner_references: Some(vec![owner]),
        // Who wrote what is the API server's to know, and makes every heartbeat larger.
        managed_fields: None,
        ..last.metadata
    };
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        renew_time: Some(MicroTime(DateTime::<Utc>::from(now))),
        ..last.spec.unwrap_or_default()
    };
    Lease { metadata, spec: Some(spec) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_keeps_the_version_and_names_the_node() {
        let last: Lease = serde_json::from_str(r#"{"metadata":{"resourceVersion":"7","managedFields":[{}]}}"#).unwrap();
        let lease = renewed(last, "n1", "u1", SystemTime::UNIX_EPOCH);
        let text = serde_json::to_value(&lease).unwrap();
        assert_eq!(text["metadata"]["resourceVersion"], "7");
        assert_eq!(text["metadata"]["managedFields"], serde_json::Value::Null);
        assert_eq!(text["metadata"]["ownerReferences"][0]["uid"], "u1");
        assert_eq!(text["spec"]["renewTime"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(text["spec"]["leaseDurationSeconds"], 40);
    }
}
