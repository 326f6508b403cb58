//! Serial numbers of certificates.

use super::{Text, refusal, shown_as_text};

/// A certificate's serial number in hexadecimal digits, as `openssl x509 -serial` prints it: large letters, no zeros in front.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateSerial(String);

shown_as_text!(CertificateSerial);

/// The longest serial number has 20 bytes (RFC 5280, 4.1.2.2); some authorities add a zero byte.
const MAX_DIGITS: usize = 42;

impl CertificateSerial {
    /// The serial number whose bytes are `bytes`, the most significant first.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        Self::of(&digits)
    }

    fn of(digits: &str) -> Self {
        let significant = digits.trim_start_matches('0');
        Self(if significant.is_empty() { "0" } else { significant }.to_ascii_uppercase())
    }
}

impl Text for CertificateSerial {
    const EXPECTED: &'static str = "a certificate's serial number in hexadecimal digits, as \"0A:12\" or \"0A12\"";

    fn parse(text: &str) -> Result<Self, String> {
        let digits: String = text.strip_prefix("0x").unwrap_or(text).chars().filter(|one| *one != ':').collect();
        let is_serial = (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_serial { Ok(Self::of(&digits)) } else { Err(refusal(text, "a serial number")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_the_same_however_it_is_written() {
        for text in ["0a12", "0A12", "A12", "0a:12", "00:0A:12", "0x0a12"] {
            assert_eq!(CertificateSerial::parse(text).unwrap().as_str(), "A12", "{text}");
        }
        assert_eq!(CertificateSerial::from_bytes(&[0, 0x0a, 0x12]).as_str(), "A12");
        assert_eq!(CertificateSerial::from_bytes(&[]), CertificateSerial::parse("0").unwrap());
        for wrong in ["", ":", "g1", "0x", "12 34", &"1".repeat(43)] {
            assert!(CertificateSerial::parse(wrong).is_err(), "{wrong}");
        }
    }
}
