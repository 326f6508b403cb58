//! The messages of containerd's Tasks and Containers services that `exec` uses, reduced to the fields that it uses. Names and field numbers
//! are those of github.com/containerd/containerd, api/services/{tasks,containers}/v1.

use prost::Message;

use super::transfer::Any;

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetContainerResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) container: Option<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Container {
    /// The OCI runtime's specification, as JSON.
    #[prost(message, optional, tag = "5")]
    pub(super) spec: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExecProcessRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(string, tag = "2")]
    pub(super) stdin: String,
    #[prost(string, tag = "3")]
    pub(super) stdout: String,
    #[prost(string, tag = "4")]
    pub(super) stderr: String,
    #[prost(bool, tag = "5")]
    pub(super) terminal: bool,
    #[prost(message, optional, tag = "6")]
    pub(super) spec: Option<Any>,
    #[prost(string, tag = "7")]
    pub(super) exec_id: String,
}

/// StartRequest, WaitRequest and DeleteProcessRequest: container and process are fields 1 and 2 in each.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProcessRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(string, tag = "2")]
    pub(super) exec_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WaitResponse {
    #[prost(uint32, tag = "1")]
    pub(super) exit_status: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KillRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(string, tag = "2")]
    pub(super) exec_id: String,
    #[prost(uint32, tag = "3")]
    pub(super) signal: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResizePtyRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(string, tag = "2")]
    pub(super) exec_id: String,
    #[prost(uint32, tag = "3")]
    pub(super) width: u32,
    #[prost(uint32, tag = "4")]
    pub(super) height: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CloseIoRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(string, tag = "2")]
    pub(super) exec_id: String,
    #[prost(bool, tag = "3")]
    pub(super) stdin: bool,
}
