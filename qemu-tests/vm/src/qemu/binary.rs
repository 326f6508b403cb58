//! Which QEMU: found, and new enough.

use anyhow::{Context, Result, bail};

use crate::tools::{self, Tools};

/// The program.
pub const QEMU: &str = "qemu-system-x86_64";

/// 7.2 crashes the 6.12 kernel with `-cpu max`; 10 is what Debian 13 has and what is tested.
const OLDEST: (u32, u32) = (10, 0);

/// Makes sure that there is a QEMU and that it is new enough; gives its version.
///
/// # Errors
/// One sentence that says which version there is and which is wanted.
pub fn check(tools: &Tools) -> Result<(u32, u32)> {
    if !tools.has(QEMU) {
        bail!("there is no {QEMU} in target/tools or on PATH; `make setup` brings one");
    }
    let version = parse_version(&banner(tools)?)?;
    demand(version)?;
    Ok(version)
}

/// What it says of itself, to the last digit.
///
/// # Errors
/// When it cannot be run.
pub(crate) fn banner(tools: &Tools) -> Result<String> {
    let mut command = tools.qemu(QEMU);
    command.arg("--version");
    let text = tools::output(QEMU, &mut command)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn demand(version: (u32, u32)) -> Result<()> {
    if version < OLDEST {
        let ((major, minor), (want, _)) = (version, OLDEST);
        bail!("QEMU {major}.{minor} is too old, {want} or newer is needed; `make setup` brings one");
    }
    Ok(())
}

/// Reads `QEMU emulator version 10.0.2 (Debian …)`.
fn parse_version(text: &str) -> Result<(u32, u32)> {
    let first = text.lines().next().unwrap_or_default();
    let version = || {
        let number = first.split(' ').skip_while(|word| *word != "version").nth(1)?;
        let mut parts = number.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??))
    };
    version().with_context(|| format!("reading QEMU's version from {first:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let debian = "QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\nCopyright";
        assert_eq!(parse_version(debian).unwrap(), (10, 0));
        assert_eq!(parse_version("QEMU emulator version 7.2.17").unwrap(), (7, 2));
        assert!(parse_version("something else").is_err());
    }

    #[test]
    fn an_old_one_is_refused_in_a_sentence() {
        let error = demand((7, 2)).unwrap_err().to_string();
        assert_eq!(error, "QEMU 7.2 is too old, 10 or newer is needed; `make setup` brings one");
        assert!(demand((10, 0)).is_ok());
        assert!(demand((11, 1)).is_ok());
    }
}
