//! Certificates and public keys in PEM (RFC 7468).

use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};

use super::{Text, shown_as_text};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const BEGIN_KEY: &str = "-----BEGIN PUBLIC KEY-----";
const END_KEY: &str = "-----END PUBLIC KEY-----";

/// The first byte of every certificate: an ASN.1 sequence.
const SEQUENCE: u8 = 0x30;

/// One public key, as PEM, each line ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(String);

/// One certificate or more, as PEM: nothing stands between them, and each line ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates(String);

shown_as_text!(Certificates, PublicKey);

impl Text for Certificates {
    const EXPECTED: &'static str = "certificates in PEM (-----BEGIN CERTIFICATE-----…)";

    fn parse(text: &str) -> Result<Self, String> {
        // Errors quote nothing: a key may have been given by mistake.
        if text.contains("PRIVATE KEY-----") {
            return Err("has a private key in it".to_owned());
        }
        let pem = blocks(text, BEGIN, END);
        let count = pem.matches(BEGIN).count();
        if count == 0 {
            return Err("has no certificate in it".to_owned());
        }
        if pem.matches(END).count() != count {
            return Err("has a certificate in it that does not end".to_owned());
        }
        let mut sound = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| "has a certificate in it that is not PEM".to_owned())?;
            if certificate.first() != Some(&SEQUENCE) {
                return Err("has something in it that is not a certificate".to_owned());
            }
            sound += 1;
        }
        if sound != count {
            return Err("has a certificate in it that is not PEM".to_owned());
        }
        Ok(Self(pem))
    }
}

impl Text for PublicKey {
    const EXPECTED: &'static str =
        "a public key in PEM (-----BEGIN PUBLIC KEY-----…), as cosign writes it to a .pub file";

    fn parse(text: &str) -> Result<Self, String> {
        // Errors quote nothing: a private key may have been given by mistake.
        if text.contains("PRIVATE KEY-----") {
            return Err("is a private key".to_owned());
        }
        let pem = blocks(text, BEGIN_KEY, END_KEY);
        let mut keys = SubjectPublicKeyInfoDer::pem_slice_iter(pem.as_bytes());
        let is_sound = matches!(keys.next(), Some(Ok(key)) if key.first() == Some(&SEQUENCE));
        match keys.next() {
            None if is_sound => Ok(Self(pem)),
            None => Err("has no public key in it".to_owned()),
            Some(_) => Err("has more than one key in it".to_owned()),
        }
    }
}

/// The lines from each `begin` to its `end`, without what tools write between them for people.
fn blocks(text: &str, begin: &str, end: &str) -> String {
    let mut pem = String::new();
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        is_inside |= line == begin;
        if is_inside && !line.is_empty() {
            pem.push_str(line);
            pem.push('\n');
        }
        is_inside &= line != end;
    }
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

    #[test]
    fn what_stands_between_certificates_goes() {
        let text = format!("# ours\r\n  {}\nSubject: CN=two\n{ONE}", ONE.replace('\n', "\r\n  "));
        assert_eq!(Certificates::parse(&text).unwrap().as_str(), format!("{ONE}{ONE}"));
        assert_eq!(Certificates::parse(ONE.trim_end()).unwrap().as_str(), ONE);
    }

    #[test]
    fn a_public_key_stands_alone() {
        let key = "-----BEGIN PUBLIC KEY-----\nMAMCAQE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(PublicKey::parse(&format!("\r\n{}", key.replace('\n', "\r\n  "))).unwrap().as_str(), key);
        for (text, expected) in [
            ("s3cret", "has no public key in it"),
            (ONE, "has no public key in it"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "has no public key in it"),
            (&format!("{key}{key}"), "has more than one key in it"),
            ("-----BEGIN EC PRIVATE KEY-----\nMAMCAQE=\n-----END EC PRIVATE KEY-----", "is a private key"),
        ] {
            assert_eq!(PublicKey::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_reported_without_quoting_it() {
        let key = format!("{ONE}-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
        let table = [
            ("", "has no certificate in it"),
            ("s3cret", "has no certificate in it"),
            ("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n", "does not end"),
            ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", "is not PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "is not a certificate"),
            (&key, "has a private key in it"),
        ];
        for (text, expected) in table {
            let error = Certificates::parse(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("cret"), "{text:?}: {error}");
        }
    }
}
