//! How fast QEMU can be here: KVM where it really boots a kernel, else emulation. Found by trying.
//!
//! A `/dev/kvm` that opens proves nothing: on some hosts a stock kernel hangs under it at its first instructions.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::accel::Accelerator;
use super::firmware::Firmware;
use super::machine::Machine;
use super::process::Process;
use crate::console::Console;
use crate::deadline::Deadline;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// A kernel under working KVM is at its end in a second; this is for a loaded host.
const TRIAL: Duration = Duration::from_secs(5);

/// What a kernel without a root says last: it came through its whole start.
const CAME_THROUGH: &str = "Kernel panic - not syncing: VFS";

impl Accelerator {
    /// The quickest accelerator that boots `kernel` on this host. The verdict is kept until the host reboots.
    ///
    /// # Errors
    /// When the verdict cannot be kept.
    pub fn probe(tools: &Tools, workspace: &Workspace, kernel: &Path) -> Result<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("reading the host's boot id")?;
        let folder = workspace.own("accelerator");
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let kept = folder.join(boot.trim());
        if let Some(verdict) = std::fs::read_to_string(&kept).ok().and_then(|text| Self::parse(&text)) {
            return Ok(verdict);
        }
        let verdict = if boots_under_kvm(tools, kernel, &folder) { Self::Kvm } else { Self::Tcg };
        std::fs::write(&kept, verdict.name()).context("keeping the accelerator's verdict")?;
        Ok(verdict)
    }
}

/// Any failure on the way means no: it is the question, not a fault.
fn boots_under_kvm(tools: &Tools, kernel: &Path, logs: &Path) -> bool {
    let opens = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    if !opens {
        return false;
    }
    let firmware = Firmware::Direct {
        kernel: kernel.to_owned(),
        initramfs: None,
        cmdline: "console=ttyS0 earlyprintk=serial panic=-1".into(),
    };
    let try_it = || -> Result<()> {
        let (mut process, _) = Process::start(tools, &Machine::new(Accelerator::Kvm, firmware), logs)?;
        let stdout = process.take_stdout().context("taking the console")?;
        let console = Console::follow(stdout, &logs.join("console.log"), false, Instant::now())?;
        console.wait_for(CAME_THROUGH, Deadline::after(TRIAL))?;
        Ok(())
    };
    try_it().is_ok()
}
