//! TLS to who shows any certificate: a probe asks whether a program answers, not who it is (so does the kubelet).

use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::ring,
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

/// Made with the first probe over TLS: most nodes have none.
static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();

pub(super) async fn over(stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>> {
    let config = match CONFIG.get() {
        Some(config) => config,
        None => {
            let made = config()?;
            CONFIG.get_or_init(|| made)
        }
    };
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host} is no name for TLS"))?;
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await.context("TLS")
}

fn config() -> Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("choosing the versions of TLS")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Believes everybody, and reads no certificate: `NoCertVerification` of `ballast-client` refuses one of X.509's version 1, which a
/// program may well have.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
