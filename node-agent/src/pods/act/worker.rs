//! Does the steps of one job.

use std::{sync::Arc, time::SystemTime};

use anyhow::{Context, Result, anyhow};
use tokio::sync::Mutex;

use super::hooks;
use crate::{
    clients::{
        cgroup,
        cri::{Cri, Login},
        host::Host,
        identity,
    },
    pods::{
        files,
        model::{Container, Key, Pod},
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
                let facts = self.node_facts(&pod).await?;
                self.volumes(&pod, &facts).await?;
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
                let container = pod.spec.container(&name);
                let container = container.ok_or_else(|| anyhow!("the manifest has no container {name}"))?;
                let facts = self.facts(&pod, container, &sandbox_id).await?;
                let user = self.user(container, &known_as).await.with_context(|| format!("container {name}"))?;
                let termination_message = self.termination_message(&pod, &name, attempt).await?;
                let run = sandbox::Run {
                    attempt,
                    crashes,
                    boot: &boot,
                    image: &known_as,
                    termination_message: &termination_message,
                    facts: &facts,
                    user,
                };
                let start = self.start_container(&pod, container, &sandbox_id, sandbox_attempt, &run);
                start.await.with_context(|| format!("starting container {name}"))
            }
        }
    }

    /// Makes the file for the termination message of a run; returns where it lies on the host.
    async fn termination_message(&self, pod: &Pod, name: &str, attempt: u32) -> Result<String> {
        let path = termination::file(&self.host, &pod.spec.key, &pod.uid, name, attempt);
        let shown = path.display().to_string();
        self.host.change("making the file for a termination message", move |_| termination::prepare(&path)).await?;
        Ok(shown)
    }

    /// Gives the pod's control group, which is there with its sandbox, the pod's limits.
    async fn limit(&self, pod: &Pod) -> Result<()> {
        let (group, limits) = (sandbox::group(&pod.uid), sandbox::pod_limits(&pod.spec));
        self.host.change("limiting the pod", move |host| cgroup::limit(host, &group, &limits)).await
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
            Image::Registry { reference, credential } => {
                log::info!("pod {}: pulling {reference}", self.key);
                let login = credential.as_ref().map(|credential| Login {
                    user: credential.user.clone(),
                    password: String::from_utf8_lossy(credential.password.bytes()).into_owned(),
                });
                self.cri.pull_image(&reference.to_string(), login).await.with_context(|| format!("pulling {reference}"))
            }
        }
    }

    async fn start_container(
        &self,
        pod: &Pod,
        container: &Container,
        sandbox_id: &str,
        sandbox_attempt: u32,
        run: &sandbox::Run<'_>,
    ) -> Result<()> {
        let (logs, attempt) = (self.host.path(sandbox::log_folder(pod)).join(&container.name), run.attempt);
        self.host.change("removing old logs", move |_| files::prune_logs(&logs, attempt)).await?;
        // Its group is there with the sandbox; written again with each container, so that no failure leaves it without.
        self.limit(pod).await?;
        let places = self.places(pod, container, run.facts).await?;
        let spec = sandbox::container(pod, container, run, &places, self.pids_limit);
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
