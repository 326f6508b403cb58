//! Amounts of bytes.

use std::fmt;

use super::{Text, is_not};

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

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
    const EXPECTED: &'static str = "a size, as \"10MiB\" (B, KiB, MiB, GiB)";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || is_not(text, "a size");
        let digits =
            text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(|| format!("{text:?} has no unit"))?;
        let (number, unit) = text.split_at(digits);
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        // systemd and containerd count in signed numbers.
        bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    /// In the largest unit that it is a whole number of.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| self.0 >= factor && self.0 % factor == 0;
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
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!((size.bytes(), size.to_string()), (bytes, shown.to_owned()), "{text}");
        }
        for wrong in ["", "10", "10M", "10MB", "-1MiB", "1.5GiB", "MiB", "9999999999GiB", "99999999999999999999B"] {
            assert!(Size::parse(wrong).is_err(), "{wrong}");
        }
    }
}
