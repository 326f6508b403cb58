//! Boot entries: files on the EFI system partition, named `ballast-NUMBER-VERSION-COMMIT[+LEFT[-DONE]].conf`.
//! (uapi-group.org/specifications/specs/boot_loader_specification, systemd.io/AUTOMATIC_BOOT_ASSESSMENT)

use super::DeploymentId;

/// A boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The file's name.
    pub file: String,
    /// Which deployment it boots.
    pub deployment: DeploymentId,
    /// Its version.
    pub version: String,
    /// The kernel, as a path on the partition.
    pub linux: String,
    /// The initramfs, as a path on the partition.
    pub initrd: String,
    /// The kernel's command line.
    pub options: String,
    /// How often it may still be tried; None if it is not counted: it has proved itself.
    pub tries: Option<Tries>,
}

/// The boot loader's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many tries are left.
    pub left: u32,
    /// How many there were.
    pub done: u32,
}

impl BootEntry {
    /// The number in its name, by which the entries are ordered; 0 for an entry that is not named by us.
    pub fn number(&self) -> u32 {
        let number = self.file.strip_prefix("ballast-").and_then(|rest| rest.split_once('-'));
        number.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
    }

    /// The file's name without the counter: what stays while the boot loader counts.
    pub fn stem(&self) -> &str {
        let name = self.file.strip_suffix(".conf").unwrap_or(&self.file);
        if self.tries.is_some() { name.rsplit_once('+').map_or(name, |(stem, _)| stem) } else { name }
    }

    /// Whether its tries are used up: the boot loader takes it only if there is nothing else.
    pub fn is_exhausted(&self) -> bool {
        self.tries.is_some_and(|tries| tries.left == 0)
    }

    /// Whether it has proved itself.
    pub fn is_blessed(&self) -> bool {
        self.tries.is_none()
    }
}

impl Tries {
    /// The counter in the name of an entry's file: `name+LEFT-DONE.conf` or `name+LEFT.conf`.
    pub fn of(file: &str) -> Option<Self> {
        let (_, counter) = file.strip_suffix(".conf")?.rsplit_once('+')?;
        let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
        Some(Self { left: left.parse().ok()?, done: done.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_in_the_name() {
        let tries = |left, done| Some(Tries { left, done });
        for (file, expected) in [
            ("a.conf", None),
            ("a+3.conf", tries(3, 0)),
            ("a+2-1.conf", tries(2, 1)),
            ("a+0-3.conf", tries(0, 3)),
            ("a+b.conf", None),
            ("a+1-x.conf", None),
            ("a+1+2.conf", tries(2, 0)),
        ] {
            assert_eq!(Tries::of(file), expected, "{file}");
        }
    }

    #[test]
    fn the_number_and_the_stem_are_parts_of_the_name() {
        let deployment: DeploymentId = format!("{}.0", "a".repeat(64)).parse().unwrap();
        let entry = |file: &str| BootEntry {
            file: file.to_owned(),
            deployment: deployment.clone(),
            version: String::new(),
            linux: String::new(),
            initrd: String::new(),
            options: String::new(),
            tries: Tries::of(file),
        };
        for (file, number, stem) in [
            ("ballast-12-20261121.1-abc+2-1.conf", 12, "ballast-12-20261121.1-abc"),
            ("ballast-2-1+b.conf", 2, "ballast-2-1+b"),
            ("ballast-x-1.conf", 0, "ballast-x-1"),
            ("debian.conf", 0, "debian"),
        ] {
            let entry = entry(file);
            assert_eq!((entry.number(), entry.stem()), (number, stem), "{file}");
        }
    }
}
