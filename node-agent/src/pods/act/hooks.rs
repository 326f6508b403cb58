//! What is done at the ends of a container's life, within the time that it has for that (kubelet: kuberuntime_container.go, killContainer).

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    clients::{
        cri::{Cri, Executed},
        network,
    },
    pods::{
        model::Key,
        plan::End,
        probes::{act, model::Hook},
    },
};

/// How long a postStart hook may take. The kubelet waits for ever; a pod that hangs there shows nowhere why.
pub(super) const LONGEST_START: Duration = Duration::from_secs(600);

/// What a container has in any case between being told to end and being killed (the kubelet's).
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// Ends containers: all hooks at once, then each when its turn comes, all of it within `grace`.
///
/// # Errors
/// If the runtime does not end one; the others are ended all the same. A hook that fails holds nothing up.
pub(super) async fn stop(cri: &Cri, key: &Key, ends: &[End], grace: Duration, address: &str) -> Result<()> {
    let until = Instant::now() + grace;
    let mut left: BTreeMap<usize, usize> = BTreeMap::new();
    ends.iter().for_each(|end| *left.entry(end.turn).or_default() += 1);
    let left = watch::Sender::new(left);
    let (left, is_hooked) = (&left, !grace.is_zero());
    let stops = ends.iter().map(|end| async move {
        if let Some(hook) = end.hook.as_ref().filter(|_| is_hooked) {
            let limit = until.saturating_duration_since(Instant::now());
            match run(cri, &end.id, hook, address, limit).await {
                Ok(()) => log::info!("pod {key}: container {}: its preStop hook is done", end.name),
                Err(error) => log::warn!("pod {key}: container {}: its preStop hook failed: {error:#}", end.name),
            }
        }
        let mut turns = left.subscribe();
        let its_turn = turns.wait_for(|left| left.range(..end.turn).all(|(_, count)| *count == 0));
        // Whoever takes longer than all have is not waited for.
        let _ = timeout_at(until, its_turn).await;
        let rest = until.saturating_duration_since(Instant::now());
        // The runtime counts whole seconds.
        let rest = Duration::from_secs(rest.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        let stopped = cri.stop_container(&end.id, rest.max(LEAST_GRACE)).await;
        left.send_modify(|left| {
            if let Some(count) = left.get_mut(&end.turn) {
                *count = count.saturating_sub(1);
            }
        });
        stopped.with_context(|| format!("stopping container {}", end.name))
    });
    join_all(stops).await.into_iter().collect()
}

/// Does what `hook` says for the container `id`, of a pod at `address`.
///
/// # Errors
/// If it fails, or is not done within `limit`.
pub(super) async fn run(cri: &Cri, id: &str, hook: &Hook, address: &str, limit: Duration) -> Result<()> {
    match hook {
        Hook::Exec { command } => match cri.exec(id, command, limit).await? {
            Executed::Ended { exit_code: 0, .. } => Ok(()),
            Executed::Ended { exit_code, output } => bail!("status {exit_code}: {}", act::short(&output)),
            Executed::TooLate => bail!("not done within {} s", limit.as_secs()),
        },
        Hook::Http(get) => act::page(get, address, limit).await,
        Hook::Sleep { time } => {
            let slept = timeout(limit, sleep(*time)).await;
            slept.with_context(|| format!("not over within {} s", limit.as_secs()))
        }
    }
}

/// Where the pod of a sandbox is reached: at its own address, or at the node's.
///
/// # Errors
/// If the runtime does not answer.
pub(in crate::pods) async fn address(cri: &Cri, sandbox_id: &str) -> Result<String> {
    let own = cri.sandbox_address(sandbox_id).await.context("asking for the pod's address")?;
    Ok(if own.is_empty() { of_node() } else { own })
}

/// The node's address; that of its loopback as long as it has no other.
pub(in crate::pods) fn of_node() -> String {
    network::source_address().map_or_else(|_| Ipv4Addr::LOCALHOST.to_string(), |address| address.to_string())
}
