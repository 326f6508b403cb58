//! What is asked once and kept: the addresses of sandboxes, and the last words of containers that ended.

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

/// As much as is read of a last word.
const MAX_BYTES: usize = 4096;

/// What was asked, by the runtime's ids.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Empty for a sandbox on the node's network.
    addresses: BTreeMap<String, String>,
    words: BTreeMap<String, String>,
}

/// A container that ended and may have left a last word.
#[derive(Debug)]
pub(super) struct LastWord {
    id: String,
    /// Whether the end of its log stands in for it.
    falls_back: bool,
}

impl LastWord {
    /// Of the container `found`; older agents gave theirs no place for it.
    pub(super) fn of(found: &ContainerStatus) -> Option<Self> {
        let policy = found.annotations.get(sandbox::LAST_WORD)?;
        let has_ended = found.state == ContainerState::Exited && found.started_at.is_some();
        has_ended.then(|| Self { id: found.id.clone(), falls_back: policy == "logs" && found.exit_code != 0 })
    }
}

impl Told {
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

    /// Sets the last words of the containers that ended.
    pub(super) async fn last_words(
        &mut self,
        host: &Host,
        ended: Vec<LastWord>,
        sandboxes: &mut [Sandbox],
    ) -> Result<()> {
        self.words.retain(|id, _| ended.iter().any(|one| one.id == *id));
        let mut unread = Vec::new();
        for LastWord { id, falls_back } in ended.into_iter().filter(|one| !self.words.contains_key(&one.id)) {
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
            let words: Vec<(String, String)> = host.read("reading the last words of containers", read).await?;
            self.words.extend(words.into_iter().map(|(id, word)| (id, one_line(&word, MAX_BYTES))));
        }
        for run in sandboxes.iter_mut().flat_map(|sandbox| &mut sandbox.containers) {
            if let (State::Exited { message, .. }, Some(word)) = (&mut run.state, self.words.get(&run.id))
                && !word.is_empty()
            {
                message.clone_from(word);
            }
        }
        Ok(())
    }
}
