//! What stays of a machine when something fails: `target/qemu-tests/TEST/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guest::Guest;

/// A guest that is in trouble may not answer; the failure itself should not take long to report.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What is asked of the guest, and the file that it goes to.
const QUESTIONS: [(&str, &str); 4] = [
    ("status.json", "ballast status --json"),
    ("journal.txt", "journalctl --no-pager --boot --output=short-monotonic"),
    ("units.txt", "systemctl --no-pager --all --plain list-units; systemctl --no-pager list-jobs"),
    ("kernel.txt", "dmesg"),
];

/// The folder of one test or one use of the tool.
#[derive(Clone, Debug)]
pub struct Evidence {
    folder: PathBuf,
}

impl Evidence {
    /// A fresh folder at `folder`; what a former run left there goes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn fresh(folder: PathBuf) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("clearing {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks the guest for its journal and status, as far as it still answers.
    pub fn collect(folder: &Path, guest: &mut Guest) {
        for (file, question) in QUESTIONS {
            let answer = match guest.shell_within(question, TIMEOUT) {
                Ok(output) => [output.stdout, output.stderr].concat(),
                Err(error) => format!("{error:#}\n").into_bytes(),
            };
            // There is nobody left to report to: the failure that brought us here is being reported already.
            let _ = std::fs::write(folder.join(file), answer);
        }
    }

    /// Takes the folder away: everything went well.
    pub fn discard(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
