//! How the machine finds its kernel: UEFI firmware and the ESP, or the kernel handed over directly.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::tools::Tools;
use crate::workspace::Image;

/// The name of a machine's own UEFI variables, in its scratch folder.
pub(crate) const VARIABLES: &str = "efivars.fd";

/// What the person or test asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FirmwareKind {
    /// OVMF, systemd-boot and the boot entry on the disk: as on a real machine.
    Uefi,
    /// The image's kernel and initramfs straight into memory: quicker, for what is not about booting.
    #[default]
    Direct,
}

/// The same, with the files that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// Two flash chips: the code, read-only, and a copy of the variables that this machine may write.
    Uefi {
        /// OVMF_CODE
        code: PathBuf,
        /// A private copy of OVMF_VARS
        variables: PathBuf,
    },
    /// QEMU's `-kernel`, `-initrd`, `-append`.
    Direct {
        /// The kernel
        kernel: PathBuf,
        /// The initramfs; none only to see whether a kernel starts at all
        initramfs: Option<PathBuf>,
        /// The kernel command line
        cmdline: String,
    },
}

impl Firmware {
    /// OVMF from the tools, with variables of its own under `scratch`.
    ///
    /// # Errors
    /// When there is no OVMF, or its variables cannot be copied.
    pub fn uefi(tools: &Tools, scratch: &Path) -> Result<Self> {
        let code = Self::code(tools)?;
        let pristine = tools.shared_file("OVMF/OVMF_VARS_4M.fd")?;
        let variables = scratch.join(VARIABLES);
        if !variables.exists() {
            let bytes = std::fs::read(&pristine).with_context(|| format!("reading {}", pristine.display()))?;
            std::fs::write(&variables, bytes).context("copying the UEFI variables")?;
        }
        Ok(Self::Uefi { code, variables })
    }

    /// OVMF without its variables.
    pub(crate) fn code(tools: &Tools) -> Result<PathBuf> {
        tools.shared_file("OVMF/OVMF_CODE_4M.fd")
    }

    /// The image's own kernel, initramfs and command line.
    pub fn direct(image: &Image) -> Self {
        Self::Direct {
            kernel: image.kernel.clone(),
            initramfs: Some(image.initramfs.clone()),
            cmdline: image.cmdline.clone(),
        }
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Uefi { code, variables } => vec![
                "-drive".into(),
                format!("if=pflash,unit=0,format=raw,readonly=on,file={}", code.display()),
                "-drive".into(),
                format!("if=pflash,unit=1,format=raw,file={}", variables.display()),
            ],
            Self::Direct { kernel, initramfs, cmdline } => {
                let mut arguments = vec!["-kernel".into(), kernel.display().to_string()];
                if let Some(initramfs) = initramfs {
                    arguments.extend(["-initrd".into(), initramfs.display().to_string()]);
                }
                arguments.extend(["-append".into(), cmdline.clone()]);
                arguments
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_boot_passes_the_command_line_as_one_argument() {
        let firmware = Firmware::Direct {
            kernel: "/k".into(),
            initramfs: Some("/i".into()),
            cmdline: "console=ttyS0 a=\"b c\"".into(),
        };
        let want = ["-kernel", "/k", "-initrd", "/i", "-append", "console=ttyS0 a=\"b c\""];
        assert_eq!(firmware.arguments(), want);
    }

    #[test]
    fn the_firmware_code_is_read_only_and_the_variables_are_not() {
        let arguments = Firmware::Uefi { code: "/c".into(), variables: "/v".into() }.arguments();
        assert!(arguments[1].contains("readonly=on") && arguments[1].ends_with("file=/c"));
        assert!(!arguments[3].contains("readonly") && arguments[3].ends_with("file=/v"));
    }
}
