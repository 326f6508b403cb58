//! The authority: its key, and the certificates that it signs.

use anyhow::{Context, Result, bail};
use ballast_settings::{model::ApiRole, values::CertificateSerial};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use time::{Duration, OffsetDateTime};

use crate::cli::remote::Folder;

/// Where it is kept, in the user's folder.
pub(super) const CERTIFICATE: &str = "ca/ca.pem";
pub(super) const KEY: &str = "ca/ca-key.pem";

/// What was issued, a line each: what to revoke when somebody loses a key.
const ISSUED: &str = "ca/issued.txt";

/// Certificates.
const CERTIFICATES: &str = "certificates";

/// Its name is the same each time: nodes know an authority by its key.
const NAME: &str = "Ballast operators";

/// An authority that ends takes all nodes with it.
const YEARS: i64 = 20;

/// The clocks of nodes and workstations differ by less.
const CLOCKS: Duration = Duration::minutes(10);

/// What was issued.
pub(super) struct Issued {
    /// The files, in the user's folder.
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) serial: CertificateSerial,
    pub(super) until: String,
}

/// Makes the authority; returns its certificate.
///
/// # Errors
/// If there is one already.
pub(super) fn init(folder: &Folder) -> Result<String> {
    let doing = "making the authority";
    if let Some(there) = [KEY, CERTIFICATE].into_iter().find(|name| folder.path(name).exists()) {
        bail!("{} is there already", folder.path(there).display());
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context(doing)?;
    let mut params = params()?;
    params.not_before = OffsetDateTime::now_utc() - CLOCKS;
    params.not_after = params.not_before + Duration::days(365 * YEARS);
    let certificate = params.self_signed(&key).context(doing)?.pem();
    folder.create(KEY, &key.serialize_pem())?;
    folder.create(CERTIFICATE, &certificate)?;
    Ok(certificate)
}

fn params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).context("making the authority")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Issues a certificate for `name`.
///
/// # Errors
/// If there is no authority, or `name` has one already.
pub(super) fn issue(folder: &Folder, name: &str, role: ApiRole, days: u16) -> Result<Issued> {
    let doing = || format!("issuing a certificate for {name}");
    let Some(pem) = folder.read(KEY)? else {
        bail!("there is no authority in {}; ballast ca init makes one", folder.path(KEY).display())
    };
    let authority = KeyPair::from_pem(&pem).with_context(|| format!("reading {}", folder.path(KEY).display()))?;
    let authority = Issuer::new(params()?, authority);
    let (certificate, key) = (format!("{CERTIFICATES}/{name}.pem"), format!("{CERTIFICATES}/{name}.key"));
    if let Some(there) = [&certificate, &key].into_iter().find(|name| folder.path(name).exists()) {
        bail!("{} is there already", folder.path(there).display());
    }
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).ok().context("asking the kernel for a random number").with_context(doing)?;
    // Positive, and not shorter than the others.
    serial[0] = serial[0] & 0x3f | 0x40;

    let own = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).with_context(doing)?;
    let mut params = CertificateParams::new(Vec::new()).with_context(doing)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, role.organisation());
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCKS;
    params.not_after = now + Duration::days(days.into());
    let until = params.not_after.date().to_string();
    let signed = params.signed_by(&own, &authority).with_context(doing)?;

    let serial = CertificateSerial::from_bytes(&serial);
    folder.append(ISSUED, &format!("{serial} {} until {until} {name}\n", role.name()))?;
    folder.create(&key, &own.serialize_pem())?;
    folder.create(&certificate, &signed.pem())?;
    Ok(Issued { certificate, key, serial, until })
}
