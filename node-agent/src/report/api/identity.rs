//! The node's own key and certificate: made on first use, kept over reboots and upgrades. Clients know it by its fingerprint.

use anyhow::{Context, Result};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use crate::clients::{host::Host, identity::machine_id, store};

/// Certificate and key in one file, so that no power cut leaves one without the other.
const FILE: &str = "/var/lib/ballast/api/server.pem";

/// Nobody asks for its dates: clients know it by its fingerprint. Some programs want some all the same, whatever a node's clock says.
const FROM: (i32, u8, u8) = (2020, 1, 1);
const UNTIL: (i32, u8, u8) = (2120, 1, 1);

/// The node's key and certificate.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { certificate: self.certificate.clone(), key: self.key.clone_key() }
    }
}

impl Identity {
    /// The one that is kept on `host`; made now if there is none yet. What is there and cannot be read is kept under another name, since it
    /// was the node's only one. Waits for the disk.
    ///
    /// # Errors
    /// If it can neither be read nor made.
    pub(super) fn keep(host: &Host) -> Result<Self> {
        let file = host.path(FILE);
        if let Some(bytes) = store::read(&file)? {
            match Self::parse(&bytes) {
                Ok(identity) => return Ok(identity),
                Err(error) => {
                    let kept = store::set_aside(&file)?;
                    log::warn!(
                        "{FILE}: {error:#}; it is {} now, and the API shows another certificate",
                        kept.display()
                    );
                }
            }
        }
        let pem = make(&machine_id(host).unwrap_or_default())?;
        store::write(&file, pem.as_bytes())?;
        Self::parse(pem.as_bytes())
    }

    fn parse(pem: &[u8]) -> Result<Self> {
        let certificate = CertificateDer::from_pem_slice(pem).ok().context("there is no certificate in it")?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).ok().context("there is no key in it")?;
        Ok(Self { certificate, key: key.into() })
    }

    /// By what clients know it: `sha256:` and the SHA-256 of the certificate.
    pub(super) fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }
}

/// `sha256:` and the SHA-256 of the certificate `der` in small hexadecimal digits.
pub fn fingerprint(der: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(der)))
}

/// A new key and its certificate, as PEM.
fn make(machine_id: &str) -> Result<String> {
    let doing = "making the API's key and certificate";
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context(doing)?;
    let mut params = CertificateParams::new(Vec::new()).context(doing)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("ballast node {machine_id}"));
    params.not_before = date_time_ymd(FROM.0, FROM.1, FROM.2);
    params.not_after = date_time_ymd(UNTIL.0, UNTIL.1, UNTIL.2);
    let certificate = params.self_signed(&key).context(doing)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn it_is_made_once_and_kept() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let first = Identity::keep(&host).unwrap();
        assert_eq!(Identity::keep(&host).unwrap().fingerprint(), first.fingerprint());
        assert_eq!(fs::metadata(host.path(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(first.fingerprint().len() == 7 + 64 && first.fingerprint().starts_with("sha256:"));

        fs::write(host.path(FILE), "half a f").unwrap();
        let other = Identity::keep(&host).unwrap();
        assert_ne!(other.fingerprint(), first.fingerprint());
        assert_eq!(fs::read_to_string(format!("{}.damaged-1", host.path(FILE).display())).unwrap(), "half a f");
        assert_eq!(Identity::keep(&host).unwrap().fingerprint(), other.fingerprint());
    }
}
