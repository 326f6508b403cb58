//! The pods that a kubelet leaves when its role is taken away: nobody else would end them.

use std::{collections::BTreeMap, fs, io::ErrorKind, time::Duration};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::clients::{
    cri::{ContainerState, ContainerStatus, Cri, Sandbox},
    host::Host,
};

/// A kubelet marks each pod so, with where it has it from.
const MARK: &str = "kubernetes.io/config.source";

/// The node's agent marks its own so, whatever else their manifests write on them.
const OWN: &str = "os.ballast.dev/source";

/// A kubelet notes so at a container how long its pod may take to end, in seconds.
const GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";

/// Kubernetes' own, where nothing is noted.
const USUAL_GRACE: Duration = Duration::from_secs(30);

/// The node's own pods wait meanwhile.
pub const LONGEST_GRACE: Duration = Duration::from_secs(600);

/// Where a kubelet has containers write their logs.
const LOGS: &str = "/var/log/pods";

/// The sandboxes of a kubelet's pods, running or not.
///
/// # Errors
/// If the runtime does not answer.
pub(super) async fn left(cri: &Cri) -> Result<Vec<String>> {
    Ok(of_kubelets(cri).await?.into_iter().map(|sandbox| sandbox.id).collect())
}

async fn of_kubelets(cri: &Cri) -> Result<Vec<Sandbox>> {
    let mut all = cri.sandboxes(BTreeMap::new()).await.context("looking for pods of a kubelet")?;
    all.retain(|sandbox| is_of_kubelet(&sandbox.annotations));
    Ok(all)
}

fn is_of_kubelet(annotations: &BTreeMap<String, String>) -> bool {
    annotations.contains_key(MARK) && !annotations.contains_key(OWN)
}

/// Ends them all at once, each with its grace, because the node goes down: they are the kubelet's again after the boot.
///
/// # Errors
/// If the runtime does not end one; the others are ended all the same.
pub(super) async fn stop(cri: &Cri) -> Result<()> {
    let containers = cri.containers(BTreeMap::new()).await.context("looking for containers of a kubelet")?;
    let mut tasks = JoinSet::new();
    for sandbox in of_kubelets(cri).await? {
        log::info!("ending pod {}/{}: the node goes down", sandbox.namespace, sandbox.name);
        let (cri, containers) = (cri.clone(), running(&containers, &sandbox));
        tasks.spawn(async move { stop_one(&cri, &sandbox, containers).await });
    }
    all(tasks).await
}

/// Ends them all at once, each with its grace, and removes them with their logs.
///
/// # Errors
/// If the runtime does not end one; the others are ended all the same.
pub(super) async fn end(host: &Host, cri: &Cri) -> Result<()> {
    let sandboxes = of_kubelets(cri).await?;
    let containers = cri.containers(BTreeMap::new()).await.context("looking for containers of a kubelet")?;
    let mut tasks = JoinSet::new();
    for sandbox in sandboxes {
        let containers = running(&containers, &sandbox);
        log::info!("ending pod {}/{}, which the kubelet left", sandbox.namespace, sandbox.name);
        tasks.spawn(end_one(host.clone(), cri.clone(), sandbox, containers));
    }
    all(tasks).await
}

/// The running containers of a sandbox, and the grace of each.
fn running(containers: &[ContainerStatus], sandbox: &Sandbox) -> Vec<(String, Duration)> {
    let runs = |one: &&ContainerStatus| one.sandbox_id == sandbox.id && one.state == ContainerState::Running;
    containers.iter().filter(runs).map(|one| (one.id.clone(), grace(&one.annotations))).collect()
}

/// Waits for all; the first that failed says why.
async fn all(mut tasks: JoinSet<Result<()>>) -> Result<()> {
    let mut failed = None;
    while let Some(ended) = tasks.join_next().await {
        failed = ended.context("ending a pod").and_then(|ended| ended).err().or(failed);
    }
    failed.map_or(Ok(()), Err)
}

async fn stop_one(cri: &Cri, sandbox: &Sandbox, containers: Vec<(String, Duration)>) -> Result<()> {
    let doing = || format!("ending pod {}/{}", sandbox.namespace, sandbox.name);
    let mut stops = JoinSet::new();
    for (container, grace) in containers {
        let cri = cri.clone();
        stops.spawn(async move { Ok(cri.stop_container(&container, grace).await?) });
    }
    // All have their grace, whatever becomes of one.
    let stopped = all(stops).await.with_context(doing);
    let sandbox = cri.stop_sandbox(&sandbox.id).await.with_context(doing);
    stopped.and(sandbox)
}

async fn end_one(host: Host, cri: Cri, sandbox: Sandbox, containers: Vec<(String, Duration)>) -> Result<()> {
    stop_one(&cri, &sandbox, containers).await?;
    let Sandbox { id, namespace, name, uid, .. } = sandbox;
    let doing = || format!("ending pod {namespace}/{name}");
    cri.remove_sandbox(&id).await.with_context(doing)?;
    let logs = format!("{LOGS}/{namespace}_{name}_{uid}");
    let remove = move |host: &Host| match fs::remove_dir_all(host.path(&logs)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("removing {logs}")),
        Ok(()) | Err(_) => Ok(()),
    };
    host.change("removing logs of a kubelet's pods", remove).await
}

/// How long a container may take to end.
fn grace(annotations: &BTreeMap<String, String>) -> Duration {
    let noted = annotations.get(GRACE).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    noted.unwrap_or(USUAL_GRACE).min(LONGEST_GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_the_grace_that_it_asked_for_within_reason() {
        let of = |text: &str| grace(&BTreeMap::from([(GRACE.to_owned(), text.to_owned())])).as_secs();
        assert_eq!([of("5"), of("0"), of("86400"), of("x")], [5, 0, 600, 30]);
        assert_eq!(grace(&BTreeMap::new()), USUAL_GRACE);
    }

    #[test]
    fn a_pod_of_the_agent_is_no_kubelets() {
        let of = |keys: &[&str]| is_of_kubelet(&keys.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect());
        assert_eq!([of(&[MARK]), of(&[MARK, OWN]), of(&[OWN]), of(&[])], [true, false, false, false]);
    }
}
