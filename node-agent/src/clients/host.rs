//! Where the host's files are: one path prefix, so that tests run over a tree of their own.

use std::path::{Path, PathBuf};

use super::blocking::Queue;

/// The root of the host's file system, `/` on a node.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
    queue: Queue,
}

impl Host {
    /// The host whose files lie under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), queue: Queue::default() }
    }

    /// The place of the absolute host path `path` under this root.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_stay_under_the_root() {
        assert_eq!(Host::default().path("/run/x"), Path::new("/run/x"));
        assert_eq!(Host::new("/tmp/t").path("/run/x"), Path::new("/tmp/t/run/x"));
    }
}
