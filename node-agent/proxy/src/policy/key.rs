//! Public keys that signatures are checked with: ECDSA on P-256, the kind that cosign and skopeo make.

use anyhow::{Result, bail};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use crate::content::digest::{self, Digest};

/// How such a key begins in DER: id-ecPublicKey, prime256v1, and a bit string of one uncompressed point (RFC 5480).
const PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The point: one byte for its form, two numbers of 32 bytes.
const POINT_BYTES: usize = 65;

#[derive(Debug)]
pub(crate) struct PublicKey {
    /// Where it stands, for errors.
    pub(super) origin: String,
    point: Vec<u8>,
}

impl PublicKey {
    pub(super) fn parse(origin: &str, pem: &[u8]) -> Result<Self> {
        let expected = "expected an ECDSA P-256 public key in PEM (BEGIN PUBLIC KEY)";
        let keys: Vec<_> = match SubjectPublicKeyInfoDer::pem_slice_iter(pem).collect() {
            Ok(keys) => keys,
            Err(error) => bail!("{origin}: {error}, {expected}"),
        };
        let [key] = &keys[..] else { bail!("{origin}: it has {} keys, {expected}", keys.len()) };
        match key.strip_prefix(&PREFIX) {
            Some(point) if point.len() == POINT_BYTES => Ok(Self { origin: origin.to_owned(), point: point.to_vec() }),
            Some(_) | None => bail!("{origin}: it has a key of another kind, {expected}"),
        }
    }

    /// The digest of the key in DER (SubjectPublicKeyInfo): what it is called where it is revoked.
    pub(super) fn fingerprint(&self) -> Digest {
        digest::of(&[&PREFIX[..], &self.point].concat())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.point == other.point
    }

    #[cfg(test)]
    pub(super) fn of_point(origin: &str, point: &[u8]) -> Self {
        Self { origin: origin.to_owned(), point: point.to_vec() }
    }

    /// Whether `signature` (ASN.1) is one of this key over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    // Made by `skopeo generate-sigstore-key`; so was the signature of the table in signature.rs.
    pub(in crate::policy) const PEM: &str = include_str!("../../tests/fixtures/skopeo/key.pub");

    #[test]
    fn other_keys_are_refused() {
        PublicKey::parse("k", PEM.as_bytes()).unwrap();
        // From RFC 8410, 10.1.
        let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let table = [
            ("", "k: it has 0 keys, expected an ECDSA P-256"),
            (&PEM.repeat(2), "k: it has 2 keys"),
            (ed25519, "k: it has a key of another kind"),
            ("-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----\n", "expected an ECDSA P-256"),
        ];
        for (text, expected) in table {
            let error = PublicKey::parse("k", text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
