//! Makes the boot entries visible: mounts the EFI system partition, read-only.

use super::model::Step;
use crate::clients::{esp, host::Host};

/// Mounts the EFI system partition once in a boot; a node runs without it too.
#[derive(Debug, Default)]
pub struct Mounter {
    problem: Option<String>,
    done: bool,
}

impl Mounter {
    /// Does `step`, unless it was tried before.
    pub fn act(&mut self, step: &Step, host: &Host) {
        if self.done {
            return;
        }
        self.done = true;
        let Step::MountEsp { device } = step;
        if let Err(error) = esp::mount_read_only(host, device) {
            log::error!("{error:#}");
            self.problem = Some(format!("the boot entries cannot be read: {error:#}"));
        }
    }

    /// What went wrong, in one sentence.
    pub fn problem(&self) -> Option<String> {
        self.problem.clone()
    }
}
