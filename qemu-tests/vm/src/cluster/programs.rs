//! The programs of a control plane, as `make control-plane` leaves them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::tools::{self, Tools};
use crate::workspace::Workspace;

/// Where they are.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    tools: Tools,
}

impl Programs {
    /// `$BALLAST_CONTROL_PLANE`, else `target/control-plane`.
    ///
    /// # Errors
    /// When it was not built.
    pub fn find(workspace: &Workspace, tools: &Tools) -> Result<Self> {
        let named = std::env::var_os("BALLAST_CONTROL_PLANE").map(PathBuf::from);
        let folder = named.unwrap_or_else(|| workspace.target.join("control-plane"));
        let server = folder.join("kube-apiserver");
        ensure!(
            server.exists(),
            "there is no control plane: {} is missing; `make control-plane` builds it",
            server.display()
        );
        Ok(Self { folder, tools: tools.clone() })
    }

    /// One of Kubernetes' own, which dies with us.
    pub(super) fn kubernetes(&self, name: &str) -> Command {
        tools::dying_with_us(Command::new(self.folder.join(name)))
    }

    /// Where a program is that others run: `kubelet`, `agnhost`.
    ///
    /// # Errors
    /// When it was not built.
    pub(super) fn file(&self, name: &str) -> Result<PathBuf> {
        let file = self.folder.join(name);
        ensure!(file.exists(), "there is no {name}: {} is missing; `make control-plane` builds it", file.display());
        Ok(file)
    }

    /// etcd, which dies with us. As Debian's it wants Debian's libraries.
    pub(super) fn etcd(&self) -> Command {
        tools::dying_with_us(self.tools.with_libraries(&self.folder.join("etcd")))
    }

    /// kubectl: the same holds for its libraries.
    pub(super) fn kubectl(&self) -> Command {
        self.tools.with_libraries(&self.folder.join("kubectl"))
    }
}
