//! TLS to a node: it is who it is by its certificate's fingerprint, and we are who we are by ours.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    version::TLS13,
};

use crate::report::api::fingerprint;

/// Believes the certificate with one fingerprint, and keeps what was shown.
#[derive(Debug)]
pub(crate) struct Pinned {
    wanted: Option<String>,
    shown: Mutex<Option<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    /// Believes the certificate with the fingerprint `wanted`; without one none, only to see it.
    pub(crate) fn new(wanted: Option<String>) -> Arc<Self> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Arc::new(Self { wanted, shown: Mutex::default(), algorithms })
    }

    /// The fingerprint that was shown, if a certificate was.
    pub(crate) fn shown(&self) -> Option<String> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = fingerprint(end_entity);
        let is_wanted = self.wanted.as_ref() == Some(&shown);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        match is_wanted {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // It is never spoken.
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// Who we are: certificate and key.
#[derive(Debug)]
pub(crate) struct ClientIdentity {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Clone for ClientIdentity {
    fn clone(&self) -> Self {
        Self { certificates: self.certificates.clone(), key: self.key.clone_key() }
    }
}

impl ClientIdentity {
    /// From PEM files.
    ///
    /// # Errors
    /// If they cannot be read, or have something else in them.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self> {
        let doing = |path: &Path| format!("reading {}", path.display());
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(certificate).and_then(|all| all.collect::<Result<Vec<_>, _>>());
        let certificates = certificates.with_context(|| doing(certificate))?;
        Ok(Self { certificates, key: PrivateKeyDer::from_pem_file(key).with_context(|| doing(key))? })
    }

    /// How TLS is spoken to a node that `pinned` believes.
    ///
    /// # Errors
    /// If certificate and key do not belong together.
    pub(crate) fn config(&self, pinned: Arc<Pinned>) -> Result<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .context("choosing the version of TLS")?
            .dangerous()
            .with_custom_certificate_verifier(pinned)
            .with_client_auth_cert(self.certificates.clone(), self.key.clone_key());
        let mut config = config.context("taking the certificate and its key together")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.enable_sni = false;
        Ok(config)
    }
}

/// What it means that the node ended the handshake.
pub(crate) fn explain(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let alert = error.downcast_ref::<Error>().or_else(|| inner.and_then(|inner| inner.downcast_ref::<Error>()));
        if let Some(Error::AlertReceived(alert)) = alert {
            return Some(meaning(*alert));
        }
        cause = error.source();
    }
    None
}

fn meaning(alert: AlertDescription) -> &'static str {
    #[expect(clippy::wildcard_enum_match_arm, reason = "it is not ours and has a hundred")]
    match alert {
        AlertDescription::CertificateExpired => {
            "your certificate is not valid at this time by the node's clock; issue another (ballast ca issue), or see the clocks"
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "the node does not know who issued your certificate (api.client_ca in its settings)"
        }
        AlertDescription::CertificateRequired => "the node wants a certificate",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => "the node does not take your certificate",
        _ => "the node ended the handshake; its journal says why",
    }
}
