//! The machine's identity: made once on VAR, shown in /etc on each boot.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::mounts::{NEW, folder};

/// A machine-id file's content: 32 hexadecimal digits.
const LENGTH: usize = 32;

/// Reads the machine identity, or makes it on the first boot, and puts it into /etc. Returns whether it was made.
///
/// # Errors
/// If VAR cannot be written, or holds something else in its place.
pub fn establish() -> Result<bool> {
    let new = Path::new(NEW);
    let home = new.join("var/lib/ballast");
    let (machine_id, first_boot) = load_or_make(&home)?;
    write(&new.join("etc/machine-id"), &machine_id)?;
    Ok(first_boot)
}

fn load_or_make(home: &Path) -> Result<(String, bool)> {
    let path = home.join("machine-id");
    match fs::read_to_string(&path) {
        Ok(text) if is_machine_id(text.trim_end()) => Ok((text.trim_end().to_owned(), false)),
        Ok(text) => bail!("{} holds no machine-id: {text:?}", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let machine_id = make()?;
            folder(home.parent().unwrap_or(home), 0o755)?;
            folder(home, 0o755)?;
            keep(home, &machine_id).with_context(|| format!("keeping the machine-id in {}", home.display()))?;
            Ok((machine_id, true))
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn is_machine_id(text: &str) -> bool {
    text.len() == LENGTH
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|b| b != b'0')
}

/// The kernel's random UUIDs are what machine-id(5) asks for, without the dashes.
fn make() -> Result<String> {
    let path = "/proc/sys/kernel/random/uuid";
    Ok(fs::read_to_string(path).with_context(|| format!("reading {path}"))?.trim_end().replace('-', ""))
}

/// It is there whole or not at all, whenever the power fails.
fn keep(home: &Path, machine_id: &str) -> Result<()> {
    let new = home.join("machine-id.new");
    write(&new, machine_id)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, home.join("machine-id"))?;
    File::open(home)?.sync_all()?;
    Ok(())
}

fn write(path: &Path, machine_id: &str) -> Result<()> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o444).open(path);
    file.and_then(|mut file| writeln!(file, "{machine_id}")).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once() {
        let home =
            std::env::temp_dir().join(format!("ballast-initramfs-identity-{}", std::process::id())).join("lib/ballast");
        fs::create_dir_all(home.parent().unwrap().parent().unwrap()).unwrap();
        let (made, first) = load_or_make(&home).unwrap();
        assert!(first && is_machine_id(&made), "{made}");
        assert_eq!(load_or_make(&home).unwrap(), (made, false));

        fs::remove_file(home.join("machine-id")).unwrap();
        fs::write(home.join("machine-id"), "uninitialized\n").unwrap();
        assert!(load_or_make(&home).is_err());
        fs::remove_dir_all(home.parent().unwrap().parent().unwrap()).unwrap();
    }

    #[test]
    fn what_is_one() {
        for (text, expected) in [
            ("0123456789abcdef0123456789abcdef", true),
            ("0123456789ABCDEF0123456789abcdef", false),
            ("00000000000000000000000000000000", false),
            ("0123456789abcdef", false),
            ("", false),
        ] {
            assert_eq!(is_machine_id(text), expected, "{text}");
        }
    }
}
