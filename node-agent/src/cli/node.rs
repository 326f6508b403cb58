//! The node that a command is for: this one, over the agent's socket, or one elsewhere, over its API.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::{
    ask::Conversation,
    remote::{Folder, NodeOptions, Remote},
};
use crate::{clients::host::Host, report::socket::Request};

/// Where drafts lie on a node: in memory, and for root alone.
const DRAFTS: &str = "/run/ballast";

/// A node.
#[derive(Debug)]
pub(super) enum Node {
    /// The one that this program runs on.
    Here(Host),
    /// Another one.
    There(Remote),
}

impl Node {
    /// The nodes of `options`; without one this one, or on a workstation those of the context.
    ///
    /// # Errors
    /// If the command line or the context does not fit.
    pub(super) fn chosen(options: NodeOptions, here: Option<&Host>) -> Result<Vec<Self>> {
        match here {
            Some(host) if !options.names_a_node() => Ok(vec![Self::Here(host.clone())]),
            _ => Ok(options.remotes()?.into_iter().map(Self::There).collect()),
        }
    }

    /// The only one of `nodes`, for the command `command`.
    ///
    /// # Errors
    /// If there are several.
    pub(super) fn only(nodes: Vec<Self>, command: &str) -> Result<Self> {
        let count = nodes.len();
        match <[Self; 1]>::try_from(nodes) {
            Ok([node]) => Ok(node),
            Err(_) => bail!("ballast {command} takes one node at a time, and these are {count}; name one with --node"),
        }
    }

    /// This node's files, for the command `command`, which needs them.
    ///
    /// # Errors
    /// If it is another node.
    pub(super) fn here(&self, command: &str) -> Result<&Host> {
        match self {
            Self::Here(host) => Ok(host),
            Self::There(remote) => {
                bail!("ballast {command} works on the node itself only, not on {}", remote.address())
            }
        }
    }

    /// Asks `request` of it, for the command `command`.
    ///
    /// # Errors
    /// In one sentence with the remedy, if it cannot be asked.
    pub(super) fn open(&self, command: &str, request: &Request) -> Result<Conversation> {
        Conversation::open(self, command, request, true)
    }

    /// Where a draft of its settings may lie: there may be secrets in it.
    ///
    /// # Errors
    /// If the user has no folder.
    pub(super) fn draft(&self) -> Result<PathBuf> {
        let name = format!("settings-{}.toml", std::process::id());
        match self {
            Self::Here(host) => Ok(host.path(format!("{DRAFTS}/{name}"))),
            Self::There(_) => {
                Folder::of_user().map(|folder| folder.path(name)).context("finding a place for the draft")
            }
        }
    }
}
