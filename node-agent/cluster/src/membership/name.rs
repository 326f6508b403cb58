//! What the node is called in its cluster. That is settled once, before it asks for anything.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::timeout};

use crate::{
    credentials::{Certificate, Kept, Store, node_of},
    model::{Config, Credentials, Facts},
    plan::node::{has_shared_name, name},
};

/// A DHCP server names a machine seconds after its start. So long after the start nobody is waited for any more.
const NAMED_WITHIN: Duration = Duration::from_secs(60);

/// The node's name, from facts that have one: that of the certificate which the machine keeps, unless the settings say another; else that of the
/// settings or the host. While the hostname is one that any machine has, another is waited for.
pub(super) async fn settle(
    config: &Config,
    store: &Store,
    facts: &mut watch::Receiver<Arc<Facts>>,
) -> Result<String, watch::error::RecvError> {
    let cluster = &config.name;
    let known = Arc::clone(&facts.borrow());
    let current = name(config, &known);
    if let Some(kept) = kept(config, store, &known).await {
        if kept != current {
            log::warn!(
                "cluster {cluster}: this node is {kept:?} there by the certificate that it keeps, not {current:?}; to rename it, set hostname or node_name, and a token"
            );
        }
        return Ok(kept);
    }
    if !has_shared_name(config, &known) {
        return Ok(current);
    }
    let up = known.boot.started_at.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
    let wait = NAMED_WITHIN.saturating_sub(up);
    let has_own_name = |facts: &Arc<Facts>| !has_shared_name(config, facts) && !facts.hostname.is_empty();
    if let Ok(named) = timeout(wait, facts.wait_for(has_own_name)).await {
        let named = named?;
        return Ok(name(config, &named));
    }
    let hostname = &known.hostname;
    log::warn!(
        "cluster {cluster}: any machine without a name is {hostname:?}, so this one joins as {current:?}; hostname or node_name in the settings give it another"
    );
    Ok(current)
}

/// The name that the kept certificate is for, if it counts: another name needs another certificate, so a token and somebody who said the name.
async fn kept(config: &Config, store: &Store, known: &Facts) -> Option<String> {
    let counts = match &config.credentials {
        Credentials::Kept => true,
        Credentials::Token(_) => config.node_name.is_none() && !known.hostname_is_set,
        Credentials::Kubeconfig(_) | Credentials::Certificate { .. } => false,
    };
    if !counts {
        return None;
    }
    // What cannot be read is said when it is to be used.
    let pem = store.read(Kept::Client).await.ok().flatten()?;
    let certificate = Certificate::parse(&pem).ok()?;
    node_of(&certificate.name).filter(|name| !name.is_empty()).map(str::to_owned)
}
