//! What the file of a boot entry is called: `STEM[+LEFT[-DONE]].conf`
//! (uapi-group.org/specifications/specs/boot_loader_specification, "Boot counting"; systemd.io/AUTOMATIC_BOOT_ASSESSMENT).

use std::{fmt, str::FromStr};

use crate::DeploymentId;

/// Other files in the folder are no entries.
const ENDING: &str = ".conf";

/// What the stem of our entries begins with: `ballast-NUMBER-VERSION-COMMIT`.
const OURS: &str = "ballast-";

/// Names on the ESP stay short of vfat's 255 letters by far.
const MAX_VERSION: usize = 64;

/// So many letters of the commit tell entries apart for people. The entry's text names its deployment in full.
const COMMIT: usize = 12;

/// The boot loader's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tries {
    /// How many tries are left.
    pub left: u32,
    /// How many there were.
    pub done: u32,
}

/// The name of an entry's file, as it is on the disk. It is in no other folder: it has no slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootEntryName {
    text: String,
    /// The length of the stem.
    stem: usize,
    tries: Option<Tries>,
}

/// A text that is the name of no boot entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the file of a boot entry, expected NAME.conf or, with a counter, NAME+LEFT-DONE.conf")]
pub struct NotABootEntry {
    text: String,
}

impl BootEntryName {
    /// Of an entry of ours that boots `deployment`. Those with a higher `number` boot first. Without `tries` it has proved itself.
    pub fn new(number: u32, version: &str, deployment: &DeploymentId, tries: Option<Tries>) -> Self {
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '~') { letter } else { '_' }
        };
        let version: String = version.chars().take(MAX_VERSION).map(plain).collect();
        let commit = deployment.commit().get(..COMMIT).unwrap_or_else(|| deployment.commit());
        let counter = match tries {
            None => String::new(),
            Some(Tries { left, done: 0 }) => format!("+{left}"),
            Some(Tries { left, done }) => format!("+{left}-{done}"),
        };
        Self::of(&format!("{OURS}{number}-{version}-{commit}{counter}"))
    }

    /// The entry whose file is called `name` before the ending.
    fn of(name: &str) -> Self {
        // What looks like a counter and is none belongs to the stem.
        let counted = name.rsplit_once('+').and_then(|(stem, counter)| {
            let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
            Some((stem.len(), Tries { left: left.parse().ok()?, done: done.parse().ok()? }))
        });
        let (stem, tries) = counted.map_or((name.len(), None), |(stem, tries)| (stem, Some(tries)));
        Self { text: format!("{name}{ENDING}"), stem, tries }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name without counter and ending: what stays while the boot loader counts.
    pub fn stem(&self) -> &str {
        self.text.get(..self.stem).unwrap_or(&self.text)
    }

    /// How often it may still be tried; None if it is not counted: it has proved itself.
    pub fn tries(&self) -> Option<Tries> {
        self.tries
    }

    /// The number by which our entries are ordered; None of an entry that is not ours.
    pub fn number(&self) -> Option<u32> {
        self.stem().strip_prefix(OURS)?.split_once('-')?.0.parse().ok()
    }

    /// The name that the same entry has once it has proved itself.
    #[must_use]
    pub fn without_counter(&self) -> Self {
        Self::of(self.stem())
    }
}

impl FromStr for BootEntryName {
    type Err = NotABootEntry;

    fn from_str(text: &str) -> Result<Self, NotABootEntry> {
        let name = text.strip_suffix(ENDING).filter(|name| !name.contains(['/', '\0']));
        name.map(Self::of).ok_or_else(|| NotABootEntry { text: text.to_owned() })
    }
}

impl fmt::Display for BootEntryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(left: u32, done: u32) -> Option<Tries> {
        Some(Tries { left, done })
    }

    #[test]
    fn a_name_is_a_stem_and_a_counter() {
        for (text, number, stem, counter) in [
            ("a.conf", None, "a", None),
            ("a+3.conf", None, "a", tries(3, 0)),
            ("a+2-1.conf", None, "a", tries(2, 1)),
            ("a+0-3.conf", None, "a", tries(0, 3)),
            ("a+b.conf", None, "a+b", None),
            ("a+1-x.conf", None, "a+1-x", None),
            ("a+99999999999.conf", None, "a+99999999999", None),
            ("a+1+2.conf", None, "a+1", tries(2, 0)),
            ("c++1.conf", None, "c+", tries(1, 0)),
            ("ballast-12-20261121.1-abc+2-1.conf", Some(12), "ballast-12-20261121.1-abc", tries(2, 1)),
            ("ballast-2-1+b.conf", Some(2), "ballast-2-1+b", None),
            ("ballast-x-1.conf", None, "ballast-x-1", None),
            ("ballast-5.conf", None, "ballast-5", None),
            ("debian.conf", None, "debian", None),
        ] {
            let name: BootEntryName = text.parse().unwrap();
            assert_eq!((name.number(), name.stem(), name.tries()), (number, stem, counter), "{text}");
            assert_eq!((name.to_string().as_str(), name.as_str()), (text, text));
            assert_eq!(name.without_counter().to_string(), format!("{stem}.conf"));
        }
        for text in ["", "a", "a+3", "a.conf+3", "a.CONF", "../a.conf", "a/b+1.conf", "a\0.conf"] {
            let error = text.parse::<BootEntryName>().unwrap_err().to_string();
            assert!(error.contains("is not the file of a boot entry, expected NAME.conf"), "{error}");
        }
    }

    #[test]
    fn a_version_cannot_leave_its_place_in_the_name() {
        let deployment: DeploymentId = format!("{}.0", "0123456789abcdef".repeat(4)).parse().unwrap();
        let name = |version: &str, tries| BootEntryName::new(4, version, &deployment, tries).to_string();
        assert_eq!(name("20261121.1", tries(3, 0)), "ballast-4-20261121.1-0123456789ab+3.conf");
        assert_eq!(name("1/../x y+1-2", None), "ballast-4-1_.._x_y_1_2-0123456789ab.conf");
        assert!(name(&"9".repeat(300), None).len() < 100);
    }
}
