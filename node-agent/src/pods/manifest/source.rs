//! A manifest as it is written: the fields of a v1 Pod that this node knows, and no others.
//! (kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1)

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::pods::model::{HostPathKind, PullPolicy, RestartPolicy};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) api_version: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Spanned<String>,
    pub(super) namespace: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) containers: Spanned<Vec<Container>>,
    #[serde(default)]
    pub(super) volumes: Vec<Volume>,
    #[serde(default)]
    pub(super) host_network: bool,
    pub(super) restart_policy: Option<Policy>,
    pub(super) termination_grace_period_seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum Policy {
    Always,
    OnFailure,
    Never,
}

impl From<Policy> for RestartPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Always => Self::Always,
            Policy::OnFailure => Self::OnFailure,
            Policy::Never => Self::Never,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Volume {
    pub(super) name: Spanned<String>,
    pub(super) host_path: Option<HostPath>,
    pub(super) empty_dir: Option<EmptyDir>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct HostPath {
    pub(super) path: Spanned<String>,
    #[serde(default)]
    pub(super) r#type: PathKind,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) enum PathKind {
    #[default]
    #[serde(rename = "")]
    Any,
    DirectoryOrCreate,
    Directory,
    FileOrCreate,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

impl From<PathKind> for HostPathKind {
    fn from(kind: PathKind) -> Self {
        match kind {
            PathKind::Any => Self::Any,
            PathKind::DirectoryOrCreate => Self::DirectoryOrCreate,
            PathKind::Directory => Self::Directory,
            PathKind::FileOrCreate => Self::FileOrCreate,
            PathKind::File => Self::File,
            PathKind::Socket => Self::Socket,
            PathKind::CharDevice => Self::CharDevice,
            PathKind::BlockDevice => Self::BlockDevice,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EmptyDir {
    #[serde(default)]
    pub(super) medium: Medium,
    pub(super) size_limit: Option<Spanned<String>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Medium {
    #[default]
    #[serde(rename = "")]
    Disk,
    Memory,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: Spanned<String>,
    pub(super) image: Spanned<String>,
    pub(super) image_pull_policy: Option<Pull>,
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<Env>,
    #[serde(default)]
    pub(super) working_dir: String,
    #[serde(default)]
    pub(super) volume_mounts: Vec<VolumeMount>,
    #[serde(default)]
    pub(super) security_context: SecurityContext,
    #[serde(default)]
    pub(super) resources: Resources,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) enum Pull {
    Always,
    IfNotPresent,
    Never,
}

impl From<Pull> for PullPolicy {
    fn from(pull: Pull) -> Self {
        match pull {
            Pull::Always => Self::Always,
            Pull::IfNotPresent => Self::IfNotPresent,
            Pull::Never => Self::Never,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Env {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct VolumeMount {
    pub(super) name: Spanned<String>,
    pub(super) mount_path: Spanned<String>,
    #[serde(default)]
    pub(super) read_only: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SecurityContext {
    #[serde(default)]
    pub(super) privileged: bool,
    pub(super) run_as_user: Option<u32>,
    #[serde(default)]
    pub(super) read_only_root_filesystem: bool,
    #[serde(default)]
    pub(super) capabilities: Capabilities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Capabilities {
    #[serde(default)]
    pub(super) add: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) drop: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Resources {
    #[serde(default)]
    pub(super) limits: Amounts,
    #[serde(default)]
    pub(super) requests: Amounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Amounts {
    pub(super) cpu: Option<Spanned<String>>,
    pub(super) memory: Option<Spanned<String>>,
    #[serde(rename = "ephemeral-storage")]
    pub(super) disk: Option<Spanned<String>>,
}
