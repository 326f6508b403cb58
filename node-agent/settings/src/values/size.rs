//! Amounts of bytes.

use std::fmt;

use super::{Text, refusal};

/// The units in which sizes are shown.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What the units are called, in small letters: `512M` is 512 MiB as for systemd and Docker, `512MB` counts in thousands.
const SPELLINGS: [(&str, u64); 14] = [
    ("b", 1),
    ("k", 1 << 10),
    ("ki", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1000),
    ("m", 1 << 20),
    ("mi", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gi", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
];

/// The units, for messages.
pub(crate) const SIZE_UNITS: &str = "units: B, K, M, G; KiB, MiB, GiB; kB, MB, GB";

/// An amount of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// So many MiB.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// It in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Text for Size {
    const EXPECTED: &'static str = "a size, as \"512M\" or \"10MiB\" (units: B, K, M, G; KiB, MiB, GiB; kB, MB, GB)";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || refusal(text, "a size");
        let digits =
            text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(|| format!("{text:?} has no unit"))?;
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let (_, factor) = SPELLINGS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        // systemd and containerd count in signed numbers.
        bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    /// In the largest unit that it is a whole number of.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| self.0 >= factor && self.0.is_multiple_of(factor);
        let (unit, factor) = UNITS.into_iter().find(|(_, factor)| fits(*factor)).unwrap_or(("B", 1));
        write!(formatter, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for (text, bytes, shown) in [
            ("10MiB", 10 << 20, "10MiB"),
            ("1024 KiB", 1 << 20, "1MiB"),
            ("2GiB", 2 << 30, "2GiB"),
            ("1500B", 1500, "1500B"),
            ("0B", 0, "0B"),
            ("512M", 512 << 20, "512MiB"),
            ("512m", 512 << 20, "512MiB"),
            ("64Ki", 64 << 10, "64KiB"),
            ("2 G", 2 << 30, "2GiB"),
            ("10MB", 10_000_000, "10000000B"),
            ("1kB", 1000, "1000B"),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!((size.bytes(), size.to_string()), (bytes, shown.to_owned()), "{text}");
        }
        for wrong in ["", "10", "10X", "10 M B", "-1MiB", "1.5GiB", "MiB", "9999999999GiB", "99999999999999999999B"] {
            assert!(Size::parse(wrong).is_err(), "{wrong}");
        }
    }
}
