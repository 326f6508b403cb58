//! systemd credentials over SMBIOS: the only way into the guest, and it leaves the image as it is.
//!
//! systemd reads OEM strings (SMBIOS type 11) `io.systemd.credential.binary:NAME=BASE64` early in PID 1
//! (systemd.system-credentials(7)); its debug generator turns `systemd.extra-unit.NAME` and
//! `systemd.unit-dropin.UNIT` into unit files. systemd 257 takes one drop-in per unit only, named 50-credential.conf.

use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One credential: a name and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    name: String,
    value: Vec<u8>,
}

/// systemd's limit for a credential's name is that of a file name.
const NAME_MAX: usize = 255;

impl Credential {
    /// A credential; its name is a file name of letters, digits and `._-@~`.
    ///
    /// # Errors
    /// When the name is empty, too long, or has other characters.
    pub fn new(name: &str, value: impl Into<Vec<u8>>) -> Result<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@~".contains(c);
        if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.chars().all(fits) {
            bail!("{name:?} is no credential name: use letters, digits and ._-@~");
        }
        Ok(Self { name: name.to_owned(), value: value.into() })
    }

    /// Reads a `NAME=FILE` argument of the command line: the value is the file's content.
    ///
    /// # Errors
    /// When it has no `=`, the name is not valid, or the file cannot be read.
    pub fn from_argument(argument: &str) -> Result<Self> {
        let (name, file) = argument.split_once('=').with_context(|| format!("{argument:?} is not NAME=FILE"))?;
        let value = std::fs::read(Path::new(file)).with_context(|| format!("reading credential {name} from {file}"))?;
        Self::new(name, value)
    }

    /// A unit of its own, started by `multi-user.target` if it is named in [`wanted_by_boot`].
    ///
    /// # Errors
    /// When `unit` is not a valid name.
    pub fn extra_unit(unit: &str, text: &str) -> Result<Self> {
        Self::new(&format!("systemd.extra-unit.{unit}"), text)
    }

    /// The value of QEMU's `-smbios` for this credential.
    pub fn smbios(&self) -> String {
        format!("type=11,value=io.systemd.credential.binary:{}={}", self.name, STANDARD.encode(&self.value))
    }
}

/// The drop-in that makes the boot start `units`.
///
/// # Errors
/// Never in practice: the name is fixed and valid.
pub fn wanted_by_boot(units: &[&str]) -> Result<Credential> {
    Credential::new("systemd.unit-dropin.multi-user.target", format!("[Unit]\nWants={}\n", units.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smbios_strings_are_what_systemd_reads() {
        let unit = Credential::extra_unit("hello.service", "[Service]\n").unwrap();
        assert_eq!(
            unit.smbios(),
            "type=11,value=io.systemd.credential.binary:systemd.extra-unit.hello.service=W1NlcnZpY2VdCg=="
        );
    }

    #[test]
    fn names_that_would_break_the_argument_are_refused() {
        for name in ["", "a,b", "a=b", "../x", ".hidden", "a b"] {
            assert!(Credential::new(name, "").is_err(), "{name}");
        }
    }

    #[test]
    fn an_argument_names_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "seven").unwrap();
        let argument = format!("a.b={}", file.path().display());
        assert_eq!(Credential::from_argument(&argument).unwrap(), Credential::new("a.b", "seven").unwrap());
        assert!(Credential::from_argument("just-a-name").unwrap_err().to_string().contains("NAME=FILE"));
    }
}
