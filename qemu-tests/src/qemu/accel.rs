//! How fast QEMU can be here: KVM where it really boots a kernel, else emulation. Found by trying.
//!
//! A `/dev/kvm` that opens proves nothing: on some hosts a stock kernel hangs under it at its first instructions.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

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

/// How the guest's instructions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// By the host's processor.
    Kvm,
    /// Translated, one thread per CPU.
    Tcg,
    /// Translated and counted: the guest's clock goes one nanosecond per instruction, on any host, and with the host's
    /// clock while it idles. One CPU only.
    Icount,
}

/// All that an emulated processor has, but for what costs an emulated machine time and tells nothing of ours:
/// - the two features by which kernels clear and copy memory byte by byte (`rep stosb`, `rep movsb`): real processors move 32 bytes and
///   more at once then; emulated, each byte is an instruction of its own, and a slow one where the firmware's code lay. Without them
///   kernels take eight bytes at a time;
/// - virtual machines within it: udev would load KVM's megabyte of modules at each boot, a fifth of all that a boot does until it idles.
const EMULATED: &str = "max,-erms,-fsrm,-svm";

impl Accelerator {
    pub(crate) fn arguments(self) -> Vec<String> {
        let text = match self {
            Self::Kvm => "-accel kvm -cpu host".to_owned(),
            Self::Tcg => format!("-accel tcg,thread=multi -cpu {EMULATED}"),
            // sleep=off would let an idle guest's clock leap to its next timer while the host reads the disk: minutes in
            // one boot on a busy host, enough for the guest's own deadlines to pass. The work counted is the same.
            Self::Icount => format!("-accel tcg,thread=single -icount shift=0,sleep=on -cpu {EMULATED}"),
        };
        text.split(' ').map(str::to_owned).collect()
    }

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

    /// `kvm`, `tcg` or `icount`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
            Self::Icount => "icount",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Kvm, Self::Tcg].into_iter().find(|one| one.name() == text.trim())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_survives_being_kept() {
        for one in [Accelerator::Kvm, Accelerator::Tcg] {
            assert_eq!(Accelerator::parse(one.name()), Some(one));
        }
        assert_eq!(Accelerator::parse("icount"), None, "counting is asked for, never found");
    }

    #[test]
    fn counting_is_single_threaded_at_one_nanosecond() {
        let arguments = Accelerator::Icount.arguments().join(" ");
        assert!(arguments.contains("thread=single") && arguments.contains("-icount shift=0,"), "{arguments}");
    }
}
