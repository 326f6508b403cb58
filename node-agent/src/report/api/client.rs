//! Who a client is: what its certificate says. The handshake has shown that an authority of ours signed it, and that it is its own.

use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use ballast_settings::{
    model::{ApiListen, ApiRole},
    values::CertificateSerial,
};
use x509_cert::{
    Certificate,
    attr::AttributeTypeAndValue,
    der::{Decode, asn1::ObjectIdentifier},
};

/// commonName and organizationName (RFC 5280, A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// A longer name fills the journal's lines.
const MAX_NAME: usize = 64;

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// Its certificate's common name.
    pub(super) name: String,
    /// Its certificate's serial number.
    pub(super) serial: CertificateSerial,
    /// The roles that its organisations give it.
    pub(super) roles: Vec<ApiRole>,
    /// Until when its certificate is valid.
    pub(super) until: SystemTime,
}

impl Client {
    /// The one whose certificate is `der`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of(der: &[u8]) -> Result<Self> {
        let certificate = Certificate::from_der(der)
            .map_err(|error| anyhow!("{error}"))
            .context("reading the client's certificate")?;
        let body = certificate.tbs_certificate();
        let texts = |wanted: ObjectIdentifier| {
            let text = move |part: &AttributeTypeAndValue| {
                (part.oid == wanted).then(|| String::from_utf8_lossy(part.value.value()).into_owned())
            };
            body.subject().iter().filter_map(text).collect::<Vec<_>>()
        };
        let organisations = texts(ORGANISATION);
        let has = |role: &ApiRole| organisations.iter().any(|one| one == role.organisation());
        Ok(Self {
            name: shown(&texts(COMMON_NAME).join(" ")),
            serial: CertificateSerial::from_bytes(body.serial_number().as_bytes()),
            roles: ApiRole::ALL.into_iter().filter(has).collect(),
            until: body.validity().not_after.to_system_time(),
        })
    }

    /// What it may do, by what the settings say now.
    ///
    /// # Errors
    /// In a sentence, if it may do nothing.
    pub(super) fn role(&self, settings: &ApiListen) -> Result<ApiRole, String> {
        if settings.revoked_serials.contains(&self.serial) {
            return Err(format!("certificate {} is revoked (api.revoked_serials)", self.serial));
        }
        let is_revoked = |role: &&ApiRole| settings.revoked_roles.contains(role);
        match (self.roles.iter().rfind(|role| !is_revoked(role)), self.roles.last()) {
            (Some(role), _) => Ok(*role),
            (None, Some(role)) => Err(format!("the role {} is revoked (api.revoked_roles)", role.name())),
            (None, None) => Err(format!(
                "the certificate names no role; its organisation has to be one of {}",
                ApiRole::ALL.map(ApiRole::organisation).join(", ")
            )),
        }
    }
}

/// A name as it may stand in the journal: one line, not too long.
fn shown(name: &str) -> String {
    let clean = |one: char| if one.is_control() { '?' } else { one };
    name.chars().map(clean).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use ballast_settings::values::{Certificates, Text};
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};

    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

    fn client(name: &str, organisations: &[&str]) -> Client {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        // rcgen keeps one value of each kind.
        if let Some(organisation) = organisations.first() {
            params.distinguished_name.push(DnType::OrganizationName, *organisation);
        }
        params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0x12]));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Client::of(certificate.der()).unwrap()
    }

    fn settings(serials: &[&str], roles: &[ApiRole]) -> ApiListen {
        ApiListen {
            address: "127.0.0.1:1".parse().unwrap(),
            client_ca: Certificates::parse(PEM).unwrap(),
            revoked_serials: serials.iter().map(|serial| CertificateSerial::parse(serial).unwrap()).collect(),
            revoked_roles: roles.to_vec(),
        }
    }

    #[test]
    fn the_organisation_says_the_role() {
        for (organisations, expected) in [
            (&["ballast:reader"][..], Some(ApiRole::Reader)),
            (&["ballast:operator"], Some(ApiRole::Operator)),
            (&["ballast:admin"], Some(ApiRole::Admin)),
            (&["ballast:root"], None),
            (&["Ballast:admin"], None),
            (&[], None),
        ] {
            assert_eq!(client("me", organisations).role(&settings(&[], &[])).ok(), expected, "{organisations:?}");
        }
    }

    #[test]
    fn what_is_revoked_is_refused() {
        let admin = client("me", &["ballast:admin"]);
        assert_eq!(admin.serial.as_str(), "A12");
        let refused = admin.role(&settings(&["0a:12"], &[])).unwrap_err();
        assert_eq!(refused, "certificate A12 is revoked (api.revoked_serials)");
        let refused = admin.role(&settings(&[], &[ApiRole::Admin])).unwrap_err();
        assert_eq!(refused, "the role admin is revoked (api.revoked_roles)");
        assert_eq!(admin.role(&settings(&["0a:13"], &[ApiRole::Reader])), Ok(ApiRole::Admin));
        // The role below is left to who has both.
        let both = Client { roles: vec![ApiRole::Reader, ApiRole::Admin], ..admin };
        assert_eq!(both.role(&settings(&[], &[ApiRole::Admin])), Ok(ApiRole::Reader));
    }

    #[test]
    fn a_name_stays_in_its_line() {
        assert_eq!(client("me\nroot: all is well", &[]).name, "me?root: all is well");
        assert_eq!(client(&"x".repeat(100), &[]).name.len(), MAX_NAME);
        assert!(Client::of(b"0\x03\x02\x01\x01").is_err());
    }
}
