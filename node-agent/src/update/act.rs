//! Makes the boot entries visible: mounts the EFI system partition, read-only.

use anyhow::Result;

use crate::clients::{esp, host::Host};

/// Mounts the EFI system partition `device` once in a boot; a node runs without it too.
#[derive(Debug, Default)]
pub struct Mounter {
    problem: Option<String>,
    done: bool,
}

impl Mounter {
    /// Mounts `device`, unless that was tried before.
    pub fn mount(&mut self, host: &Host, device: &str) {
        if self.done {
            return;
        }
        self.done = true;
        let result: Result<()> = esp::mount_read_only(host, device);
        if let Err(error) = result {
            log::error!("{error:#}");
            self.problem = Some(format!("the boot entries cannot be read: {error:#}"));
        }
    }

    /// What went wrong, in one sentence.
    pub fn problem(&self) -> Option<String> {
        self.problem.clone()
    }
}
