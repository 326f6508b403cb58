//! What is asked once and kept: the addresses of sandboxes, and the termination messages of containers that ended.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{
    act::of_node,
    model::{Sandbox, State},
    observe::one_line,
    sandbox, termination,
};
use crate::clients::{
    cri::{ContainerState, ContainerStatus, Cri},
    host::Host,
};

/// As much as is read of a termination message.
const MAX_BYTES: usize = 4096;

/// What was asked, by the runtime's ids.
#[derive(Debug, Default)]
pub(super) struct Cached {
    /// Empty for a sandbox on the node's network.
    addresses: BTreeMap<String, String>,
    messages: BTreeMap<String, String>,
}

/// A container that ended and may have left a termination message.
#[derive(Debug)]
pub(super) struct EndedContainer {
    id: String,
    /// Whether the end of its log stands in for it.
    falls_back: bool,
}

impl EndedContainer {
    /// Of the container `found`; older agents gave theirs no place for it.
    pub(super) fn of(found: &ContainerStatus) -> Option<Self> {
        let policy = found.annotations.get(sandbox::TERMINATION_MESSAGE)?;
        let has_ended = found.state == ContainerState::Exited && found.started_at.is_some();
        has_ended.then(|| Self { id: found.id.clone(), falls_back: policy == "logs" && found.exit_code != 0 })
    }
}

impl Cached {
    /// Sets where the sandboxes that run are reached.
    pub(super) async fn addresses(&mut self, cri: &Cri, sandboxes: &mut [Sandbox]) {
        self.addresses.retain(|id, _| sandboxes.iter().any(|sandbox| sandbox.id == *id));
        let mut node = None;
        for sandbox in sandboxes.iter_mut().filter(|sandbox| sandbox.ready) {
            if !self.addresses.contains_key(&sandbox.id) {
                match cri.sandbox_address(&sandbox.id).await {
                    Ok(address) => drop(self.addresses.insert(sandbox.id.clone(), address)),
                    Err(error) => log::debug!("asking for the address of pod {}: {error}", sandbox.key),
                }
            }
            sandbox.address = match self.addresses.get(&sandbox.id) {
                Some(address) if address.is_empty() => node.get_or_insert_with(of_node).clone(),
                Some(address) => address.clone(),
                None => String::new(),
            };
        }
    }

    /// Sets the termination messages of the containers that ended.
    pub(super) async fn termination_messages(
        &mut self,
        host: &Host,
        ended: Vec<EndedContainer>,
        sandboxes: &mut [Sandbox],
    ) -> Result<()> {
        self.messages.retain(|id, _| ended.iter().any(|one| one.id == *id));
        let mut unread = Vec::new();
        for EndedContainer { id, falls_back } in ended.into_iter().filter(|one| !self.messages.contains_key(&one.id)) {
            let found = sandboxes
                .iter()
                .find_map(|sandbox| Some((sandbox, sandbox.containers.iter().find(|run| run.id == id)?)));
            let Some((sandbox, run)) = found else { continue };
            let path = termination::file(host, &sandbox.key, &sandbox.uid, &run.name, run.attempt);
            unread.push((id, path, falls_back));
        }
        if !unread.is_empty() {
            let read = move |_: &Host| {
                Ok(unread
                    .into_iter()
                    .map(|(id, path, falls_back)| (id, termination::read(&path, falls_back)))
                    .collect())
            };
            let messages: Vec<(String, String)> =
                host.read("reading the termination messages of containers", read).await?;
            self.messages.extend(messages.into_iter().map(|(id, message)| (id, one_line(&message, MAX_BYTES))));
        }
        for run in sandboxes.iter_mut().flat_map(|sandbox| &mut sandbox.containers) {
            if let (State::Exited { message, .. }, Some(kept)) = (&mut run.state, self.messages.get(&run.id))
                && !kept.is_empty()
            {
                message.clone_from(kept);
            }
        }
        Ok(())
    }
}
