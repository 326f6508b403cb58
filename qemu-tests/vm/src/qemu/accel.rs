//! How fast QEMU can be, and its words for that.

use super::arguments::words;

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

/// All that an emulated processor has, but for what costs an emulated machine time and says nothing of ours:
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
        words(&text)
    }

    /// `kvm`, `tcg` or `icount`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
            Self::Icount => "icount",
        }
    }

    /// A verdict that was kept.
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Kvm, Self::Tcg].into_iter().find(|one| one.name() == text.trim())
    }
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
