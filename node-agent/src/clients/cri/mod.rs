//! The container runtime, spoken to over the Container Runtime Interface v1 (gRPC on a unix socket).
//!
//! Every call has a deadline. The wire types stay in here. `import` speaks containerd's own API over the same connection:
//! the CRI knows images from registries only.

mod calls;
mod convert;
mod disk;
mod exec;
mod images;
mod import;
mod security;
mod tasks;
mod transfer;
mod types;
mod wire;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use http::{Uri, uri::PathAndQuery};
use tokio::time::timeout;
use tonic::{Code, Request, Status, client::Grpc};
use tonic_prost::ProstCodec;

pub use self::{
    exec::{Pipes, Process, RunningContainer},
    types::{
        ContainerSpec, ContainerState, ContainerStatus, Dns, Executed, Image, ImageUser, Layer, Login,
        MountPropagation, MountSpec, Namespaces, PidNamespace, PortMapping, Protocol, Resources, RuntimeStatus,
        Sandbox, SandboxSpec, Seccomp,
    },
};
use super::grpc::Channel;

/// Where containerd listens.
pub const SOCKET: &str = "/run/containerd/containerd.sock";

/// A runtime in good health lists and reports in milliseconds; a node under load gets this much.
const QUICK: Duration = Duration::from_secs(5);

/// A list of all containers holds each one's manifest: a node full of pods has more than tonic's 4 MiB. The kubelet takes 16 MiB at most.
const MAX_ANSWER: usize = 64 << 20;

/// A connection to the runtime. Clones share it. Once it is closed it stays so, and a new one is to be made.
#[derive(Debug, Clone)]
pub struct Cri {
    channel: Channel,
}

/// Why the runtime did not do what was asked. The two call for different cures.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer came in time.
    #[error("the container runtime did not answer {method} within {} s", deadline.as_secs())]
    Deadline {
        /// The call.
        method: &'static str,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// The runtime refused, or the connection broke.
    #[error("{method}: {message}")]
    Failed {
        /// The call.
        method: &'static str,
        /// What the runtime, or the transport, said.
        message: String,
    },
}

impl Cri {
    /// Connects to the runtime's socket at `path`.
    ///
    /// # Errors
    /// If nobody listens there, or it does not speak HTTP/2 within five seconds.
    pub async fn connect(path: &Path) -> Result<Self> {
        let doing = || format!("connecting to the container runtime at {}", path.display());
        let channel = match timeout(QUICK, Channel::connect(path)).await {
            Ok(channel) => channel.with_context(doing)?,
            Err(_) => return Err(anyhow!("no answer within {} s", QUICK.as_secs())).with_context(doing),
        };
        Ok(Self { channel })
    }

    /// Whether the other end is gone.
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    async fn call<Q, R>(&self, method: &'static str, message: Q, deadline: Duration) -> Result<R, CallError>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        self.request(method, Request::new(message), deadline).await
    }

    async fn request<Q, R>(&self, method: &'static str, request: Request<Q>, deadline: Duration) -> Result<R, CallError>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let reply = self.answer(method, request, deadline).await?;
        reply.map_err(|status| CallError::Failed { method: short(method), message: status.message().to_owned() })
    }

    /// What the runtime answers, be it a refusal.
    async fn answer<Q, R>(
        &self,
        method: &'static str,
        request: Request<Q>,
        deadline: Duration,
    ) -> Result<Result<R, Status>, CallError>
    where
        Q: prost::Message + 'static,
        R: prost::Message + Default + 'static,
    {
        let path = PathAndQuery::from_static(method);
        let mut grpc = self.grpc();
        let work = async {
            grpc.ready().await.map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
            grpc.unary(request, path, ProstCodec::<Q, R>::default()).await.map(tonic::Response::into_inner)
        };
        timeout(deadline, work).await.map_err(|_| CallError::Deadline { method: short(method), deadline })
    }

    fn grpc(&self) -> Grpc<Channel> {
        // HTTP/2 wants an authority; on a unix socket nobody looks at it.
        let grpc = Grpc::with_origin(self.channel.clone(), Uri::from_static("http://localhost"));
        grpc.max_decoding_message_size(MAX_ANSWER)
    }
}

/// `/runtime.v1.RuntimeService/Status` → `Status`.
fn short(method: &'static str) -> &'static str {
    method.rsplit_once('/').map_or(method, |(_, name)| name)
}
