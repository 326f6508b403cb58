//! A client that does what the real one never would: other certificates, other versions of TLS, broken HTTP.

use std::{fs, path::Path, sync::Arc};

use ballast_client::tls::NoCertVerification;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

pub(crate) type Authority = Issuer<'static, KeyPair>;

/// The authority whose key is in `file`, as `ballast ca init` makes it; another one of its name if there is no such file.
pub(crate) fn authority(file: &Path) -> Authority {
    let key = fs::read_to_string(file).map_or_else(|_| KeyPair::generate(), |pem| KeyPair::from_pem(&pem)).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Ballast operators");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Issuer::new(params, key)
}

/// A certificate and its key.
pub(crate) struct Certificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// One that is valid in the years `validity`.
    pub(crate) fn new(name: &str, organisation: &str, validity: (i32, i32), authority: &Authority) -> Self {
        let mut params = params(name, organisation);
        params.not_before = date_time_ymd(validity.0, 1, 1);
        params.not_after = date_time_ymd(validity.1, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Self::signed(&params, Some(authority))
    }

    /// One that is valid for `seconds` from now on.
    pub(crate) fn for_seconds(name: &str, organisation: &str, seconds: i64, authority: &Authority) -> Self {
        let mut params = params(name, organisation);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Self::signed(&params, Some(authority))
    }

    /// One that is meant for servers.
    pub(crate) fn for_servers(name: &str, organisation: &str, authority: &Authority) -> Self {
        let mut params = params(name, organisation);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Self::signed(&params, Some(authority))
    }

    /// One that nobody else signed.
    pub(crate) fn by_itself(name: &str, organisation: &str) -> Self {
        Self::signed(&params(name, organisation), None)
    }

    fn signed(params: &CertificateParams, authority: Option<&Authority>) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = match authority {
            Some(authority) => params.signed_by(&key, authority).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        Self { certificate: certificate.der().clone(), key }
    }
}

fn params(name: &str, organisation: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params
}

/// A connection to `address` as who has `certificate`; None if the handshake fails. With TLS 1.3 it may fail later, too.
pub(crate) async fn handshake(
    address: &str,
    certificate: Option<&Certificate>,
    is_old: bool,
) -> Option<TlsStream<TcpStream>> {
    let versions = if is_old { &[&TLS12][..] } else { &[&TLS13][..] };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(NoCertVerification::new(Arc::new(ring::default_provider())));
    let config = match certificate {
        None => config.with_no_client_auth(),
        Some(Certificate { certificate, key }) => {
            config.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("node.invalid").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

/// What is answered to a request; None if nothing is.
pub(crate) async fn exchange(
    address: &str,
    certificate: Option<&Certificate>,
    method: &str,
    path: &str,
    body: &str,
) -> Option<String> {
    let mut stream = handshake(address, certificate, false).await?;
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).ok().filter(|answer| !answer.is_empty())
}
