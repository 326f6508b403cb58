//! The names of boot entries: a stem, and systemd-boot's try counter (Boot Loader Specification, "boot counting").

use std::fmt;

/// `STEM.conf`, `STEM+LEFT.conf` or `STEM+LEFT-DONE.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName {
    /// What the entry is, such as `ballast-20261121.1-0123456789ab`
    pub stem: String,
    /// The try counter; none once the entry is blessed
    pub tries: Option<Tries>,
}

/// A try counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// How often it may still be tried
    pub left: u32,
    /// How often it was tried
    pub done: u32,
}

impl EntryName {
    /// Reads a file name; `None` for what is no boot entry.
    pub fn parse(file_name: &str) -> Option<Self> {
        let name = file_name.strip_suffix(".conf")?;
        let Some((stem, counter)) = name.rsplit_once('+') else {
            return Some(Self { stem: name.to_owned(), tries: None });
        };
        let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
        match (left.parse(), done.parse()) {
            (Ok(left), Ok(done)) => Some(Self { stem: stem.to_owned(), tries: Some(Tries { left, done }) }),
            // A plus sign that is no counter belongs to the name.
            _ => Some(Self { stem: name.to_owned(), tries: None }),
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tries {
            None => write!(f, "{}.conf", self.stem),
            Some(Tries { left, done: 0 }) => write!(f, "{}+{left}.conf", self.stem),
            Some(Tries { left, done }) => write!(f, "{}+{left}-{done}.conf", self.stem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_and_written_alike() {
        let table = [
            ("ballast-1-ab+3.conf", "ballast-1-ab", Some(Tries { left: 3, done: 0 })),
            ("ballast-1-ab+2-1.conf", "ballast-1-ab", Some(Tries { left: 2, done: 1 })),
            ("ballast-1-ab+0-3.conf", "ballast-1-ab", Some(Tries { left: 0, done: 3 })),
            ("ballast-1-ab.conf", "ballast-1-ab", None),
            ("c++.conf", "c++", None),
        ];
        for (file, stem, tries) in table {
            let entry = EntryName::parse(file).unwrap();
            assert_eq!((entry.stem.as_str(), entry.tries), (stem, tries), "{file}");
            assert_eq!(entry.to_string(), file);
        }
    }

    #[test]
    fn other_files_are_no_entries() {
        assert_eq!(EntryName::parse("loader.txt"), None);
    }
}
