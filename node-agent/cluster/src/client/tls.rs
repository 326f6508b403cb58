//! Which certificates are accepted as the cluster's API server, and the client's own certificate.

use std::sync::Arc;

use ballast_client::tls::{NoCertVerification, system_authorities};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::model::Secret;

/// One server at a time: its last sessions.
const KEPT_SESSIONS: usize = 2;

/// By whom the API server's certificate must be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// By an authority that the image, or the settings for the whole node, believe.
    Image,
    /// By one of these, in PEM.
    Pem(String),
    /// Of any server: only for what is checked in another way (`credentials::discovery`).
    NoCertVerification,
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Says nothing of itself.
    Nobody,
    /// A bearer token.
    Token(Secret),
    /// A client certificate.
    Certificate {
        /// With its chain, in PEM.
        chain: String,
        /// In PEM.
        key: Secret,
    },
}

/// The error is a sentence about what was given.
pub(super) fn configuration(trust: &Trust, identity: &Identity) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match trust {
        Trust::Image => builder.with_root_certificates(system_authorities()),
        Trust::Pem(pem) => builder.with_root_certificates(authorities(pem)?),
        Trust::NoCertVerification => {
            builder.dangerous().with_custom_certificate_verifier(NoCertVerification::new(provider))
        }
    };
    let mut configuration = match identity {
        Identity::Nobody | Identity::Token(_) => builder.with_no_client_auth(),
        Identity::Certificate { chain, key } => {
            let wrong = |what: &dyn std::fmt::Display| format!("the client certificate cannot be used: {what}");
            let chain = certificates(chain).map_err(|error| wrong(&error))?;
            // The key itself is in no error.
            let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                .map_err(|_| wrong(&"its key is not one in PEM, expected PKCS#8, PKCS#1 or SEC1"))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&error))?
        }
    };
    configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    configuration.resumption = Resumption::in_memory_sessions(KEPT_SESSIONS);
    Ok(configuration)
}

fn authorities(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|error| format!("the cluster's CA cannot be used: {error}"))? {
        roots.add(certificate).map_err(|error| format!("the cluster's CA cannot be used: {error}"))?;
    }
    Ok(roots)
}

/// At least one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|error| error.to_string())?;
    if all.is_empty() { Err("there is no certificate in it, expected PEM".to_owned()) } else { Ok(all) }
}
