//! Nodes elsewhere: how a workstation speaks to their API.

mod address;
mod context;
mod folder;
mod known;
mod talk;
mod tls;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use ballast_cluster::{credentials::node_api, model::ApiStatus};

pub(crate) use self::{
    address::Address,
    context::{FILE as CONTEXTS, first as first_context},
    folder::Folder,
    known::parse as fingerprint,
    talk::Talk,
};
use self::{
    talk::{Line, UnknownCertificate},
    tls::ClientIdentity,
};
use super::ask::confirm;
use crate::report::{exec::Inputs, socket::Request};

/// Which nodes a command is for.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct NodeOptions {
    /// Asks these nodes in place of this one: HOST[:PORT], several with commas between; port 9600 if none is named
    #[arg(long, global = true, value_name = "HOST", value_delimiter = ',')]
    node: Vec<String>,

    /// Asks the nodes of this context, as who it says; contexts are in ~/.config/ballast/config.toml
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,

    /// Believes a node that was never spoken to if its certificate has this fingerprint, without asking
    #[arg(long, global = true, value_name = "sha256:DIGITS", value_parser = fingerprint)]
    fingerprint: Option<String>,

    /// Takes --node as names of NodeOS, and where they are and their fingerprints from the cluster of this kubeconfig
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl NodeOptions {
    /// Whether a node elsewhere is named.
    pub(crate) fn names_a_node(&self) -> bool {
        !self.node.is_empty() || self.context.is_some()
    }

    /// The nodes.
    ///
    /// # Errors
    /// If nothing says which, or as who.
    pub(crate) fn remotes(self) -> Result<Vec<Remote>> {
        let folder = Folder::of_user()?;
        let chosen = context::choose(&folder, self.context.as_deref(), &self.node)?;
        let identity = ClientIdentity::read(&chosen.certificate, &chosen.key)?;
        let doing = |file: &PathBuf| format!("reading {}", file.display());
        let read = |file| std::fs::read_to_string(file).with_context(|| doing(file));
        let kubeconfig = self.kubeconfig.as_ref().map(read).transpose()?;
        let remote = |address| Remote {
            kubeconfig: kubeconfig.clone(),
            folder: folder.clone(),
            address,
            identity: identity.clone(),
            fingerprint: self.fingerprint.clone(),
        };
        Ok(chosen.nodes.into_iter().map(remote).collect())
    }
}

/// A node elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    folder: Folder,
    address: Address,
    identity: ClientIdentity,
    /// What the command line says that it shows.
    fingerprint: Option<String>,
    /// What leads to the cluster in which a NodeOS with this name says where it is.
    kubeconfig: Option<String>,
}

impl Remote {
    /// Where it is.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Asks `request` of it and goes on with what `inputs` say; of a node that was never spoken to only if somebody says that it is the one.
    ///
    /// # Errors
    /// In a sentence, if it cannot be asked, is another one, or refuses.
    pub(crate) fn open(
        &self,
        request: &Request,
        inputs: Option<Inputs>,
        deadline: Duration,
        may_ask: bool,
    ) -> Result<Talk> {
        Talk::open(self.resolved()?.connect(may_ask)?, request, inputs, deadline)
    }

    /// The same with what its NodeOS says.
    fn resolved(&self) -> Result<Self> {
        let Some(kubeconfig) = &self.kubeconfig else { return Ok(self.clone()) };
        let name = &self.address.host;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("setting up the event loop")?;
        let asked = runtime.block_on(node_api(kubeconfig, name)).map_err(anyhow::Error::msg);
        let ApiStatus { address, fingerprint: shown } = asked.with_context(|| format!("asking where {name} is"))?;
        let doing = || format!("reading status.api of NodeOS {name}");
        let shown = fingerprint(&shown).map_err(anyhow::Error::msg).with_context(doing)?;
        if let Some(given) = self.fingerprint.as_ref().filter(|given| **given != shown) {
            bail!("NodeOS {name} says that the node shows {shown}, and the command line says {given}");
        }
        let address = address.parse().map_err(anyhow::Error::msg).with_context(doing)?;
        Ok(Self { address, fingerprint: Some(shown), kubeconfig: None, ..self.clone() })
    }

    fn connect(&self, may_ask: bool) -> Result<Line> {
        let Self { folder, address, .. } = self;
        let known = known::fingerprint(folder, address)?;
        if let (Some(given), Some(known)) = (&self.fingerprint, &known)
            && given != known
        {
            known::refuse(folder, address, known, given)?;
        }
        let believed = known.clone().or_else(|| self.fingerprint.clone());
        let opened = Line::open(address, believed.clone(), &self.identity);
        let shown = match &opened {
            Ok(_) => None,
            Err(error) => error.downcast_ref::<UnknownCertificate>().map(|UnknownCertificate(shown)| shown.clone()),
        };
        let now_known = match (shown, believed) {
            (None, believed) => return opened.and_then(|line| self.remember(known, believed).map(|()| line)),
            (Some(shown), Some(believed)) => return known::refuse(folder, address, &believed, &shown).and(opened),
            (Some(shown), None) => shown,
        };
        if !may_ask || !confirmed(address, &now_known)? {
            bail!(
                "{address} was never spoken to from here; it shows {now_known}. Compare that with ballast status on its console, and use \
                 --fingerprint {now_known}"
            );
        }
        known::keep(folder, address, &now_known)?;
        Line::open(address, Some(now_known), &self.identity)
    }

    /// It is what the command line said.
    fn remember(&self, known: Option<String>, believed: Option<String>) -> Result<()> {
        match (known, believed) {
            (None, Some(believed)) => known::keep(&self.folder, &self.address, &believed),
            (_, _) => Ok(()),
        }
    }
}

fn confirmed(address: &Address, shown: &str) -> Result<bool> {
    confirm(&format!(
        "{address} was never spoken to from here. Its certificate is\n  {shown}\n\
         Compare that with what ballast status or the console of the node says. Is it the same?"
    ))
}
