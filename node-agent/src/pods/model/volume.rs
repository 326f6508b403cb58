//! A volume of a pod, as its manifest means it.

use serde::Serialize;

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Volume {
    /// A path of the node.
    HostPath {
        /// Absolute.
        path: String,
        /// What it must be.
        kind: HostPathKind,
    },
    /// A folder that lives as long as the pod.
    EmptyDir {
        /// In memory rather than on the disk; with its size, if limited.
        memory: Option<MemoryDir>,
        /// On the disk: how many bytes may be in it before the pod is ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit_bytes: Option<u64>,
    },
}

/// An emptyDir in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryDir {
    /// emptyDir.sizeLimit
    pub size_bytes: Option<u64>,
}

/// spec.volumes\[\].hostPath.type
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum HostPathKind {
    /// Not looked at.
    Any,
    /// Made if it is missing.
    DirectoryOrCreate,
    /// Must be there.
    Directory,
    /// Made if it is missing.
    FileOrCreate,
    /// Must be there.
    File,
    /// Must be there.
    Socket,
    /// Must be there.
    CharDevice,
    /// Must be there.
    BlockDevice,
}
