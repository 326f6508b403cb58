//! What systemd-boot reports through UEFI variables (systemd.io/BOOT_LOADER_INTERFACE).

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result, bail};

use super::host::Host;

/// The boot entry that was booted and counted, in its counted name; systemd-boot sets it for counted entries only.
pub(super) const COUNTED: &str = "/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// A file of efivarfs begins with the variable's attributes (kernel: Documentation/filesystems/efivarfs.rst).
const ATTRIBUTES: usize = 4;

/// The path on the ESP of the entry that this boot was counted on, as `/loader/entries/a+2-1.conf`; None if it was not
/// counted, or if there is no UEFI.
///
/// # Errors
/// If the variable is there and cannot be read.
pub fn counted_entry(host: &Host) -> Result<Option<String>> {
    let doing = || format!("reading {COUNTED}");
    match fs::read(host.path(COUNTED)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        bytes => parse_path(&bytes.with_context(doing)?).map(Some).with_context(doing),
    }
}

fn parse_path(bytes: &[u8]) -> Result<String> {
    let Some((_, text)) = bytes.split_at_checked(ATTRIBUTES) else { bail!("it is too short") };
    let units = text.chunks_exact(2).map(|pair| u16::from(pair[0]) | u16::from(pair[1]) << 8);
    let path: String = char::decode_utf16(units.take_while(|unit| *unit != 0)).collect::<Result<_, _>>()?;
    let path = path.replace('\\', "/");
    // It is looked for below /efi, and nowhere else.
    let is_plain = path.starts_with('/') && path.split('/').all(|part| part != "..");
    if is_plain { Ok(path) } else { bail!("{path:?} is no path on the ESP") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(path: &str) -> Vec<u8> {
        let units = path.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        [6, 0, 0, 0].into_iter().chain(units).collect()
    }

    #[test]
    fn a_path_is_utf16_behind_its_attributes() {
        let read = |path| parse_path(&variable(path));
        assert_eq!(read("\\loader\\entries\\ballast-1+2-1.conf").unwrap(), "/loader/entries/ballast-1+2-1.conf");
        for wrong in ["", "loader", "\\loader\\..\\..\\etc\\passwd"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(parse_path(&[6, 0]).is_err());
        assert!(parse_path(&[6, 0, 0, 0, 0, 0xd8]).is_err());
    }
}
