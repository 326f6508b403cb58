//! A command in a running container, by containerd's Tasks service: it has what the CRI's streams lack (an end of the input, signals), and
//! no server of its own has to listen for it. (docs/design/remote-api.md)

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result};
use prost::Message;
use serde_json::{Value, json};

use super::{
    CallError, Cri, QUICK,
    calls::START,
    import::in_namespace,
    tasks::{
        CloseIoRequest, ExecProcessRequest, GetContainerResponse, KillRequest, ProcessRequest, ResizePtyRequest,
        WaitResponse,
    },
    transfer::Any,
    wire,
};

/// Labels that the kubelet gives containers, and so do we.
const POD: &str = "io.kubernetes.pod.name";
const NAMESPACE: &str = "io.kubernetes.pod.namespace";

/// How containerd calls a process' specification (its package oci registers it so).
const PROCESS: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";

/// Who forgot a command ends it with this.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// SIGKILL (signal(7)).
const KILL: u32 = 9;

/// CONTAINER_RUNNING in api.proto.
const RUNNING: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Candidates {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Candidate>,
}

/// Of a Container in a list, what is needed to choose it.
#[derive(Clone, PartialEq, Message)]
struct Candidate {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<wire::ContainerMetadata>,
    #[prost(int32, tag = "6")]
    state: i32,
    #[prost(btree_map = "string, string", tag = "8")]
    labels: BTreeMap<String, String>,
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningContainer {
    /// The runtime's id.
    pub id: String,
    /// Its pod's namespace.
    pub namespace: String,
    /// Its pod's name.
    pub pod: String,
    /// Its name within the pod.
    pub name: String,
}

/// Named pipes for a process.
#[derive(Debug, Clone, Copy)]
pub struct Pipes<'a> {
    /// What it reads; None: nothing.
    pub stdin: Option<&'a Path>,
    /// What it writes.
    pub stdout: &'a Path,
    /// Its standard error; None if it has a terminal, which has only one way out.
    pub stderr: Option<&'a Path>,
}

/// A process in a container, beside the container's own.
#[derive(Debug, Clone)]
pub struct Process {
    cri: Cri,
    container: String,
    id: String,
}

impl Cri {
    /// The containers that run in pods of the name `pod`, ours and a kubelet's.
    ///
    /// # Errors
    /// As every call.
    pub async fn running_in(&self, pod: &str) -> Result<Vec<RunningContainer>, CallError> {
        self.running_with(BTreeMap::from([(POD.to_owned(), pod.to_owned())])).await
    }

    /// All containers that run.
    ///
    /// # Errors
    /// As every call.
    pub async fn running(&self) -> Result<Vec<RunningContainer>, CallError> {
        self.running_with(BTreeMap::new()).await
    }

    async fn running_with(&self, labels: BTreeMap<String, String>) -> Result<Vec<RunningContainer>, CallError> {
        let request = wire::ListContainersRequest { filter: Some(wire::ContainerFilter { label_selector: labels }) };
        let reply: Candidates = self.call("/runtime.v1.RuntimeService/ListContainers", request, QUICK).await?;
        let found = |one: Candidate| {
            let is_running = one.state == RUNNING;
            is_running.then(|| RunningContainer {
                id: one.id,
                namespace: one.labels.get(NAMESPACE).cloned().unwrap_or_default(),
                pod: one.labels.get(POD).cloned().unwrap_or_default(),
                name: one.metadata.unwrap_or_default().name,
            })
        };
        Ok(reply.containers.into_iter().filter_map(found).collect())
    }

    /// Makes the process `id` in `container`: `command`, as who and where the container itself runs. It waits to be started.
    ///
    /// # Errors
    /// As every call; and if containerd's specification of the container cannot be read.
    pub async fn make_process(
        &self,
        container: &str,
        id: &str,
        command: &[String],
        pipes: Pipes<'_>,
    ) -> Result<Process> {
        let request = in_namespace(wire::IdRequest { id: container.to_owned() });
        let reply: GetContainerResponse =
            self.request("/containerd.services.containers.v1.Containers/Get", request, QUICK).await?;
        let spec = reply.container.and_then(|container| container.spec).unwrap_or_default().value;
        let has_terminal = pipes.stderr.is_none();
        let spec = process_spec(&spec, command, has_terminal).context("reading the container's specification")?;
        let path = |path: Option<&Path>| path.map(|path| path.display().to_string()).unwrap_or_default();
        let request = ExecProcessRequest {
            container_id: container.to_owned(),
            stdin: path(pipes.stdin),
            stdout: path(Some(pipes.stdout)),
            stderr: path(pipes.stderr),
            terminal: has_terminal,
            spec: Some(Any { type_url: PROCESS.to_owned(), value: spec }),
            exec_id: id.to_owned(),
        };
        let method = "/containerd.services.tasks.v1.Tasks/Exec";
        let _: wire::Empty = self.request(method, in_namespace(request), START).await?;
        Ok(self.process(container, id))
    }

    /// The process `id` of `container`, that somebody made.
    pub fn process(&self, container: &str, id: &str) -> Process {
        Process { cri: self.clone(), container: container.to_owned(), id: id.to_owned() }
    }
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// If there is no such program in the container; as every call.
    pub async fn start(&self) -> Result<(), CallError> {
        self.ask("/containerd.services.tasks.v1.Tasks/Start", START).await.map(|_: wire::Empty| ())
    }

    /// Waits for its end; its exit status, 128 and the signal's number if one ended it.
    ///
    /// # Errors
    /// As every call; the deadline is a day.
    pub async fn wait(&self) -> Result<u32, CallError> {
        let reply: WaitResponse = self.ask("/containerd.services.tasks.v1.Tasks/Wait", LONGEST).await?;
        Ok(reply.exit_status)
    }

    /// Sends it the signal of the number `signal`.
    ///
    /// # Errors
    /// As every call; also if it has ended.
    pub async fn signal(&self, signal: u32) -> Result<(), CallError> {
        let (container_id, exec_id) = self.names();
        let request = in_namespace(KillRequest { container_id, exec_id, signal });
        self.cri.request("/containerd.services.tasks.v1.Tasks/Kill", request, QUICK).await.map(|_: wire::Empty| ())
    }

    /// Sets how large its terminal is.
    ///
    /// # Errors
    /// As every call.
    pub async fn resize(&self, columns: u16, rows: u16) -> Result<(), CallError> {
        let (container_id, exec_id) = self.names();
        let (width, height) = (columns.into(), rows.into());
        let request = in_namespace(ResizePtyRequest { container_id, exec_id, width, height });
        self.cri.request("/containerd.services.tasks.v1.Tasks/ResizePty", request, QUICK).await.map(|_: wire::Empty| ())
    }

    /// Has containerd close its end of the input, which it keeps open for whoever may come back.
    ///
    /// # Errors
    /// As every call.
    pub async fn close_stdin(&self) -> Result<(), CallError> {
        let (container_id, exec_id) = self.names();
        let request = in_namespace(CloseIoRequest { container_id, exec_id, stdin: true });
        self.cri.request("/containerd.services.tasks.v1.Tasks/CloseIO", request, QUICK).await.map(|_: wire::Empty| ())
    }

    /// Kills it if it runs, and has containerd forget it.
    ///
    /// # Errors
    /// As every call.
    pub async fn remove(&self) -> Result<(), CallError> {
        // It may have ended long ago, or never begun.
        if self.signal(KILL).await.is_ok() {
            self.ask("/containerd.services.tasks.v1.Tasks/Wait", QUICK).await.map(|_: WaitResponse| ())?;
        }
        self.ask("/containerd.services.tasks.v1.Tasks/DeleteProcess", QUICK).await.map(|_: wire::Empty| ())
    }

    fn names(&self) -> (String, String) {
        (self.container.clone(), self.id.clone())
    }

    async fn ask<R: Message + Default + 'static>(
        &self,
        method: &'static str,
        deadline: Duration,
    ) -> Result<R, CallError> {
        let (container_id, exec_id) = self.names();
        self.cri.request(method, in_namespace(ProcessRequest { container_id, exec_id }), deadline).await
    }
}

/// The process of a container's specification `spec`, which runs `command` in place of its own, as JSON.
fn process_spec(spec: &[u8], command: &[String], has_terminal: bool) -> Result<Vec<u8>> {
    let mut spec: Value = serde_json::from_slice(spec)?;
    let process = spec.get_mut("process").and_then(Value::as_object_mut).context("it has no process")?;
    process.insert("args".to_owned(), json!(command));
    process.insert("terminal".to_owned(), json!(has_terminal));
    process.remove("commandLine");
    if has_terminal {
        let env = process.entry("env").or_insert_with(|| json!([]));
        if let Some(env) = env.as_array_mut() {
            env.retain(|one| !one.as_str().is_some_and(|one| one.starts_with("TERM=")));
            env.push(json!("TERM=xterm"));
        }
    }
    Ok(serde_json::to_vec(process)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_runs_as_its_container_does() {
        let spec = br#"{"process":{"args":["a"],"env":["A=1","TERM=vt100"],"user":{"uid":7},"cwd":"/x"},"root":{}}"#;
        let of = |has_terminal| {
            let spec = process_spec(spec, &["sh".to_owned(), "-c".to_owned()], has_terminal).unwrap();
            serde_json::from_slice::<Value>(&spec).unwrap()
        };
        let plain = json!({
            "args": ["sh", "-c"], "env": ["A=1", "TERM=vt100"], "user": {"uid": 7}, "cwd": "/x", "terminal": false,
        });
        assert_eq!(of(false), plain);
        assert_eq!((&of(true)["env"], &of(true)["terminal"]), (&json!(["A=1", "TERM=xterm"]), &json!(true)));
        assert!(process_spec(b"{}", &[], false).is_err());
    }
}
