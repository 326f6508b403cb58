//! Does the steps of one job.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use anyhow::{Context, Result, anyhow};
use tokio::sync::Mutex;

use super::hooks;
use crate::{
    clients::{cri::Cri, host::Host, identity, network, proc},
    pods::{
        files,
        model::{Key, LATE, Pod},
        plan::{Image, Step},
        preloaded, sandbox, termination, volumes,
    },
};

/// What a job works with.
pub(super) struct Worker {
    pub(super) host: Host,
    pub(super) cri: Cri,
    pub(super) key: Key,
    pub(super) importing: Arc<Mutex<()>>,
    pub(super) pids_limit: Option<u32>,
}

impl Worker {
    pub(super) async fn work(&self, steps: Vec<Step>) -> Result<()> {
        let mut result = Ok(());
        for step in steps {
            let goes_on = matches!(step, Step::StartContainer { .. });
            match self.step(step).await {
                Ok(()) => {}
                Err(error) if goes_on => result = result.and(Err(error)),
                Err(error) => return Err(error),
            }
        }
        result
    }

    async fn step(&self, step: Step) -> Result<()> {
        let cri = &self.cri;
        match step {
            Step::StopContainers { ends, grace, address } => {
                let names: Vec<&str> = ends.iter().map(|end| &*end.name).collect();
                log::info!("pod {}: stopping {} within {} s", self.key, names.join(", "), grace.as_secs());
                hooks::stop(cri, &self.key, &ends, grace, &address).await
            }
            Step::StopSandbox { id } => cri.stop_sandbox(&id).await.context("stopping the sandbox"),
            Step::RemoveSandbox { id } => cri.remove_sandbox(&id).await.context("removing the sandbox"),
            Step::RemoveVolumes { uid } => self.remove_volumes(uid).await,
            Step::RemoveContainer { id } => cri.remove_container(&id).await.context("removing a container"),
            Step::ProvideImage(image) => self.provide(&image).await,
            Step::RunSandbox { pod, attempt, since, resolver } => {
                log::info!("pod {}: starting, from {}", self.key, pod.source);
                self.volumes(&pod).await?;
                let since = since.unwrap_or_else(SystemTime::now);
                let spec = sandbox::spec(&pod, attempt, Some(since), resolver);
                cri.run_sandbox(&spec).await.context("starting the sandbox")?;
                Ok(())
            }
            Step::StartContainer {
                pod,
                name,
                sandbox_id,
                sandbox_attempt,
                attempt,
                crashes,
                leftover,
                known_as,
                image,
            } => {
                if let Some(id) = leftover {
                    cri.remove_container(&id).await.context("removing what is left of an earlier start")?;
                }
                if let Some(image) = image {
                    self.provide(&image).await.with_context(|| format!("container {name}"))?;
                }
                let boot = identity::boot_id(&self.host)?;
                let late = self.late(&pod, &name, &sandbox_id).await?;
                let last_word = self.last_word(&pod, &name, attempt).await?;
                let run = sandbox::Run {
                    attempt,
                    crashes,
                    boot: &boot,
                    image: &known_as,
                    late: &late,
                    last_word: &last_word,
                };
                let start = self.start_container(&pod, &name, &sandbox_id, sandbox_attempt, &run);
                start.await.with_context(|| format!("starting container {name}"))
            }
        }
    }

    /// What a container is to know that nobody knew before, if it is to know any.
    async fn late(&self, pod: &Pod, name: &str, sandbox_id: &str) -> Result<BTreeMap<&'static str, String>> {
        let container = pod.spec.container(name);
        if !container.is_some_and(sandbox::has_late) {
            return Ok(BTreeMap::new());
        }
        // A node without a network has no address; the kubelet leaves that empty as well.
        let host_ip = network::source_address().map(|address| address.to_string()).unwrap_or_default();
        let pod_ip = match pod.spec.host_network {
            true => host_ip.clone(),
            false => self.cri.sandbox_address(sandbox_id).await.context("asking for the pod's address")?,
        };
        let [uid, node, host, own] = LATE;
        let hostname = self.host.read("reading the node's name", proc::hostname).await?;
        Ok(BTreeMap::from([(uid, pod.uid.clone()), (node, hostname), (host, host_ip), (own, pod_ip)]))
    }

    /// Makes the file for the last word of a run; returns where it lies on the host.
    async fn last_word(&self, pod: &Pod, name: &str, attempt: u32) -> Result<String> {
        let path = termination::file(&self.host, &pod.spec.key, &pod.uid, name, attempt);
        let shown = path.display().to_string();
        self.host.change("making the file for a last word", move |_| termination::prepare(&path)).await?;
        Ok(shown)
    }

    /// Makes what is missing of the pod's volumes; returns where each lies.
    async fn volumes(&self, pod: &Pod) -> Result<BTreeMap<String, String>> {
        let pod = pod.clone();
        self.host.change("making volumes", move |host| volumes::provide(host, &pod)).await
    }

    /// There may be much in them, so the loop does not wait for it.
    async fn remove_volumes(&self, uid: String) -> Result<()> {
        self.host.change("removing volumes", move |host| volumes::remove(host, &uid)).await
    }

    async fn provide(&self, image: &Image) -> Result<()> {
        match image {
            Image::Archive { archive } => {
                let _one_at_a_time = self.importing.lock().await;
                preloaded::provide(&self.host, &self.cri, archive).await
            }
            Image::Registry { reference } => {
                log::info!("pod {}: pulling {reference}", self.key);
                self.cri.pull_image(&reference.to_string()).await.with_context(|| format!("pulling {reference}"))
            }
        }
    }

    async fn start_container(
        &self,
        pod: &Pod,
        name: &str,
        sandbox_id: &str,
        sandbox_attempt: u32,
        run: &sandbox::Run<'_>,
    ) -> Result<()> {
        let container = pod.spec.container(name).ok_or_else(|| anyhow!("the manifest has no such container"))?;
        let (logs, attempt) = (self.host.path(sandbox::log_folder(pod)).join(name), run.attempt);
        self.host.change("removing old logs", move |_| files::prune_logs(&logs, attempt)).await?;
        let volumes = self.volumes(pod).await?;
        let spec = sandbox::container(pod, container, run, &volumes, self.pids_limit);
        let config = sandbox::spec(pod, sandbox_attempt, None, None);
        let id = self.cri.create_container(sandbox_id, &config, &spec).await?;
        self.cri.start_container(&id).await?;
        let Some(hook) = &container.lifecycle.post_start else { return Ok(()) };
        let address = hooks::address(&self.cri, sandbox_id).await?;
        let done = hooks::run(&self.cri, &id, hook, &address, hooks::LONGEST_START).await.context("its postStart hook");
        if done.is_err() {
            // It is started again as its policy says.
            self.cri.stop_container(&id, pod.spec.grace).await.context("ending it after its postStart hook failed")?;
        }
        done
    }
}
