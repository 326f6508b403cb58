//! Events: what happened, once each. One that happens again in the same words is the same Event with a higher count.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Time};
use kube::{ResourceExt, core::params::Patch};

use crate::{
    client::{Api, ApiClient, Failure},
    plan::event::{NAMESPACE, again},
};

/// So many Events' counts are remembered: a node has few kinds of them.
const MOST: usize = 64;

/// Reports Events. A node may make and change them, not read them: how often one was reported it has to know itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventRecorder {
    counts: BTreeMap<String, i32>,
}

impl EventRecorder {
    /// Says it. If it was reported before, its count goes up; not if it `is_first`: then only the agent was restarted.
    pub(crate) async fn record(
        &mut self,
        client: &ApiClient,
        mut event: Event,
        is_first: bool,
        now: &Time,
    ) -> Result<(), Failure> {
        let events: Api<Event> = Api::namespaced(client, NAMESPACE);
        let name = event.name_any();
        match events.create(&event).await {
            Err(failure) if !failure.is_there_already() => return Err(failure),
            Err(_) if !is_first => {
                event.count = Some(self.counts.get(&name).copied().unwrap_or(1));
                let patch = again(&event, now);
                events.patch(&name, &Patch::Merge(patch)).await?;
            }
            Ok(_) | Err(_) => event.count = None,
        }
        if self.counts.len() >= MOST {
            self.counts.clear();
        }
        self.counts.insert(name, event.count.unwrap_or_default().saturating_add(1));
        Ok(())
    }
}
