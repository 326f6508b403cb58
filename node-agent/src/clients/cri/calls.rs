//! The calls of the CRI that we use: one method each, from and to plain data.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use http::uri::PathAndQuery;
use tokio::sync::Notify;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::{
    CallError, ContainerSpec, ContainerStatus, Cri, Executed, Image, ImageUser, Login, QUICK, RuntimeStatus, Sandbox,
    SandboxSpec,
    convert::{container, container_config, image_spec, sandbox, sandbox_config},
    wire,
};

/// Making a sandbox or starting a container: runc, CNI, a cold disk.
pub(super) const START: Duration = Duration::from_secs(120);

/// What stopping takes beyond the pod's own grace period.
const STOP_SLACK: Duration = Duration::from_secs(60);

/// What ending a command takes beyond its own limit.
const EXEC_SLACK: Duration = Duration::from_secs(10);

/// A large image over a slow line. The runtime itself gives up on a stalled transfer much earlier.
const PULL: Duration = Duration::from_secs(30 * 60);

type Result<T> = std::result::Result<T, CallError>;

impl Cri {
    /// The runtime's name and version.
    ///
    /// # Errors
    /// As every call: no answer in five seconds, or a refusal.
    pub async fn version(&self) -> Result<(String, String)> {
        let reply: wire::VersionResponse =
            self.call("/runtime.v1.RuntimeService/Version", wire::Empty {}, QUICK).await?;
        Ok((reply.runtime_name, reply.runtime_version))
    }

    /// Whether the runtime is ready.
    ///
    /// # Errors
    /// As every call.
    pub async fn status(&self) -> Result<RuntimeStatus> {
        let reply: wire::StatusResponse = self.call("/runtime.v1.RuntimeService/Status", wire::Empty {}, QUICK).await?;
        let conditions = reply.status.unwrap_or_default().conditions;
        let ready = conditions.into_iter().find(|condition| condition.r#type == "RuntimeReady");
        Ok(ready.map_or(
            RuntimeStatus { ready: false, message: "says nothing of RuntimeReady".to_owned() },
            |condition| RuntimeStatus {
                ready: condition.status,
                message: format!("{} {}", condition.reason, condition.message).trim().to_owned(),
            },
        ))
    }

    /// The sandboxes that bear all of `labels`.
    ///
    /// # Errors
    /// As every call.
    pub async fn sandboxes(&self, labels: BTreeMap<String, String>) -> Result<Vec<Sandbox>> {
        let request = wire::ListPodSandboxRequest { filter: Some(wire::PodSandboxFilter { label_selector: labels }) };
        let reply: wire::ListPodSandboxResponse =
            self.call("/runtime.v1.RuntimeService/ListPodSandbox", request, QUICK).await?;
        Ok(reply.items.into_iter().map(sandbox).collect())
    }

    /// The containers that bear all of `labels`, each with its status. One that goes away meanwhile is left out.
    ///
    /// # Errors
    /// As every call.
    pub async fn containers(&self, labels: BTreeMap<String, String>) -> Result<Vec<ContainerStatus>> {
        let request = wire::ListContainersRequest { filter: Some(wire::ContainerFilter { label_selector: labels }) };
        let reply: wire::ListContainersResponse =
            self.call("/runtime.v1.RuntimeService/ListContainers", request, QUICK).await?;
        let mut containers = Vec::with_capacity(reply.containers.len());
        for row in reply.containers {
            let request = wire::IdRequest { id: row.id.clone() };
            let reply: Result<wire::ContainerStatusResponse> =
                self.call("/runtime.v1.RuntimeService/ContainerStatus", request, QUICK).await;
            match reply {
                Ok(wire::ContainerStatusResponse { status: Some(status) }) => containers.push(container(row, status)),
                Ok(wire::ContainerStatusResponse { status: None }) => {}
                Err(error @ CallError::Deadline { .. }) => return Err(error),
                Err(error @ CallError::Failed { .. }) => log::debug!("container {}: {error}", row.id),
            }
        }
        Ok(containers)
    }

    /// The images in the runtime's store.
    ///
    /// # Errors
    /// As every call.
    pub async fn images(&self) -> Result<Vec<Image>> {
        let reply: wire::ListImagesResponse =
            self.call("/runtime.v1.ImageService/ListImages", wire::Empty {}, QUICK).await?;
        let image = |mut image: wire::Image| {
            image.repo_tags.append(&mut image.repo_digests);
            let id = image.uid.map_or(0, |uid| uid.value);
            let user = if image.username.is_empty() { ImageUser::Id(id) } else { ImageUser::Name(image.username) };
            Image { id: image.id, references: image.repo_tags, size_bytes: image.size, is_pinned: image.pinned, user }
        };
        Ok(reply.images.into_iter().map(image).collect())
    }

    /// Fetches an image from its registry, as `login`; None: as the node.
    ///
    /// # Errors
    /// As every call; the deadline is half an hour.
    pub async fn pull_image(&self, image: &str, login: Option<Login>) -> Result<()> {
        let auth = login.map(|Login { user, password }| wire::AuthConfig { username: user, password });
        let request = wire::PullImageRequest { image: Some(image_spec(image)), auth, sandbox_config: None };
        self.call("/runtime.v1.ImageService/PullImage", request, PULL).await.map(|_: wire::Empty| ())
    }

    /// Makes and starts a sandbox, and returns its id.
    ///
    /// # Errors
    /// As every call; the deadline is two minutes.
    pub async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<String> {
        let request = wire::RunPodSandboxRequest { config: Some(sandbox_config(spec)) };
        let reply: wire::IdResponse = self.call("/runtime.v1.RuntimeService/RunPodSandbox", request, START).await?;
        Ok(reply.id)
    }

    /// The address of a sandbox with a network of its own; empty if it has none.
    ///
    /// # Errors
    /// As every call.
    pub async fn sandbox_address(&self, id: &str) -> Result<String> {
        let request = wire::IdRequest { id: id.to_owned() };
        let reply: wire::PodSandboxStatusResponse =
            self.call("/runtime.v1.RuntimeService/PodSandboxStatus", request, QUICK).await?;
        Ok(reply.status.and_then(|status| status.network).map(|network| network.ip).unwrap_or_default())
    }

    /// Stops a sandbox and what still runs in it, at once.
    ///
    /// # Errors
    /// As every call; the deadline is two minutes.
    pub async fn stop_sandbox(&self, id: &str) -> Result<()> {
        self.by_id("/runtime.v1.RuntimeService/StopPodSandbox", id, START).await
    }

    /// Removes a sandbox and its containers.
    ///
    /// # Errors
    /// As every call; the deadline is two minutes.
    pub async fn remove_sandbox(&self, id: &str) -> Result<()> {
        self.by_id("/runtime.v1.RuntimeService/RemovePodSandbox", id, START).await
    }

    /// Makes a container in the sandbox `sandbox_id`, and returns its id.
    ///
    /// # Errors
    /// As every call; the deadline is two minutes.
    pub async fn create_container(
        &self,
        sandbox_id: &str,
        sandbox: &SandboxSpec,
        spec: &ContainerSpec,
    ) -> Result<String> {
        let request = wire::CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(container_config(spec)),
            sandbox_config: Some(sandbox_config(sandbox)),
        };
        let reply: wire::IdResponse = self.call("/runtime.v1.RuntimeService/CreateContainer", request, START).await?;
        Ok(reply.id)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// As every call; the deadline is two minutes.
    pub async fn start_container(&self, id: &str) -> Result<()> {
        self.by_id("/runtime.v1.RuntimeService/StartContainer", id, START).await
    }

    /// Stops a container: its stop signal, and SIGKILL after `grace`.
    ///
    /// # Errors
    /// As every call; the deadline is a minute more than `grace`.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<()> {
        let request = wire::StopContainerRequest {
            container_id: id.to_owned(),
            timeout: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX),
        };
        let deadline = grace.saturating_add(STOP_SLACK);
        self.call("/runtime.v1.RuntimeService/StopContainer", request, deadline).await.map(|_: wire::Empty| ())
    }

    /// Removes a container that does not run.
    ///
    /// # Errors
    /// As every call; the deadline is two minutes.
    pub async fn remove_container(&self, id: &str) -> Result<()> {
        self.by_id("/runtime.v1.RuntimeService/RemoveContainer", id, START).await
    }

    /// Runs a command in a running container, which ends it after `limit`.
    ///
    /// # Errors
    /// As every call; if the command cannot be started; the deadline is ten seconds more than `limit`.
    pub async fn exec(&self, id: &str, command: &[String], limit: Duration) -> Result<Executed> {
        let method = "/runtime.v1.RuntimeService/ExecSync";
        // Whole seconds, and 0 would be without a limit.
        let secs = i64::try_from(limit.as_secs().max(1)).unwrap_or(i64::MAX);
        let request = wire::ExecSyncRequest { container_id: id.to_owned(), cmd: command.to_vec(), timeout: secs };
        let reply = self.answer(method, Request::new(request), limit.saturating_add(EXEC_SLACK)).await?;
        match reply {
            Ok(wire::ExecSyncResponse { stdout, stderr, exit_code }) => {
                let said = if stdout.is_empty() { stderr } else { stdout };
                Ok(Executed::Ended { exit_code, output: String::from_utf8_lossy(&said).into_owned() })
            }
            Err(status) if status.code() == Code::DeadlineExceeded => Ok(Executed::TooLate),
            Err(status) => Err(CallError::Failed { method: "ExecSync", message: status.message().to_owned() }),
        }
    }

    /// Has the runtime open the log of a running container anew, after its file was renamed.
    ///
    /// # Errors
    /// If the runtime does not answer, or there is no such container.
    pub async fn reopen_log(&self, id: &str) -> Result<()> {
        self.by_id("/runtime.v1.RuntimeService/ReopenContainerLog", id, START).await
    }

    /// Wakes `changed` whenever something happens to a container, until the stream breaks; then returns.
    ///
    /// # Errors
    /// Always in the end: the runtime has no such stream (it is optional), or it broke.
    pub async fn container_events(&self, changed: &Notify) -> Result<Infallible> {
        let method = "GetContainerEvents";
        let failed = |message: String| CallError::Failed { method, message };
        let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/GetContainerEvents");
        let mut grpc = self.grpc();
        grpc.ready().await.map_err(|error| failed(error.to_string()))?;
        let codec = ProstCodec::<wire::Empty, wire::Empty>::default();
        let reply = grpc.server_streaming(Request::new(wire::Empty {}), path, codec).await;
        let mut events = reply.map_err(|status| failed(status.message().to_owned()))?.into_inner();
        loop {
            match events.message().await {
                Ok(Some(wire::Empty {})) => changed.notify_one(),
                Ok(None) => return Err(failed("the stream ended".to_owned())),
                Err(status) => return Err(failed(status.message().to_owned())),
            }
        }
    }

    async fn by_id(&self, method: &'static str, id: &str, deadline: Duration) -> Result<()> {
        self.call(method, wire::IdRequest { id: id.to_owned() }, deadline).await.map(|_: wire::Empty| ())
    }
}
