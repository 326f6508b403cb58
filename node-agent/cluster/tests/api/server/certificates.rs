//! Whose a certificate is, and the signer.

use std::time::Duration;

use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

/// Whose certificate it is: the text that begins so, with its length before it.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> String {
    let begin = b"system:node:";
    let at = certificate.windows(begin.len()).position(|window| window == begin);
    let name = at.map(|at| &certificate[at..at + usize::from(certificate[at - 1])]);
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

/// Signs what is asked for. In base64, as bytes are in JSON.
pub(super) fn sign(request: &Value, issuer: &Issuer<'static, KeyPair>, life: Duration) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pem = STANDARD.decode(request["spec"]["request"].as_str().unwrap()).unwrap();
    let mut asked = CertificateSigningRequestParams::from_pem(&String::from_utf8(pem).unwrap()).unwrap();
    let now = std::time::SystemTime::now();
    asked.params.not_before = (now - Duration::from_secs(1)).into();
    asked.params.not_after = (now + life).into();
    STANDARD.encode(asked.signed_by(issuer).unwrap().pem())
}
