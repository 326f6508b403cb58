//! What systemd-boot reports of this boot through UEFI variables (systemd.io/BOOT_LOADER_INTERFACE).

use std::fs;
use std::path::Path;

use crate::mounts;

/// Where the kernel shows the firmware's variables; systemd keeps the mount that it finds.
const FOLDER: &str = "/sys/firmware/efi/efivars";
/// The vendor of systemd-boot's variables.
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// A file of efivarfs begins with the variable's attributes (kernel: Documentation/filesystems/efivarfs.rst).
const ATTRIBUTES: usize = 4;

/// What is known of this boot.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Loader {
    /// The PARTUUID of the EFI system partition that the firmware booted from, in lower case. None without UEFI, or if another boot
    /// loader started the kernel.
    pub partition: Option<String>,
    /// Whether the boot is counted: another entry boots if this one fails too often.
    pub is_counted: bool,
}

/// Asks the firmware. A machine without UEFI, and one whose variables cannot be read, says nothing.
pub fn load() -> Loader {
    if !Path::new(FOLDER).is_dir() || mounts::efi_variables(FOLDER).is_err() {
        return Loader::default();
    }
    let variable = |name: &str| fs::read(format!("{FOLDER}/{name}-{LOADER}")).ok();
    Loader {
        partition: variable("LoaderDevicePartUUID").and_then(|bytes| parse_partition(&bytes)),
        is_counted: variable("LoaderBootCountPath").is_some(),
    }
}

/// The UUID in `LoaderDevicePartUUID`: UTF-16 behind the attributes.
fn parse_partition(variable: &[u8]) -> Option<String> {
    let (units, _) = variable.get(ATTRIBUTES..)?.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    let is_uuid = text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uuid.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_in_utf16_behind_the_attributes() {
        let variable = |text: &str| {
            let units = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
            [6, 0, 0, 0].into_iter().chain(units).collect::<Vec<u8>>()
        };
        let uuid = "0BA11A57-F81F-11D2-BA4B-00A0C93EC93B";
        assert_eq!(parse_partition(&variable(uuid)), Some(uuid.to_ascii_lowercase()));
        for wrong in ["", "0ba11a57", "../../../../../../../../etc/passwd.."] {
            assert_eq!(parse_partition(&variable(wrong)), None, "{wrong}");
        }
        assert_eq!(parse_partition(&[6, 0]), None);
        assert_eq!(parse_partition(&[6, 0, 0, 0, 0, 0xd8]), None);
    }
}
