//! A volume of a pod, as its manifest means it.

use std::{collections::BTreeMap, fmt};

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
    /// Files that the manifest says, read-only inside.
    Files {
        /// By their paths in the volume.
        files: BTreeMap<String, File>,
    },
}

/// A file of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// What is in it.
    pub content: FileContent,
    /// Who may read it.
    pub mode: u32,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum FileContent {
    /// These bytes.
    Bytes(Content),
    /// A text, of which something may be known only later: see [`late`](super::late).
    Text(String),
}

/// What may be a secret: it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Content(Vec<u8>);

impl Content {
    /// These bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for what writes them where they are used.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a text that a variable can have.
    pub fn as_text(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok().filter(|text| !text.contains('\0'))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({} bytes)", self.0.len())
    }
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
