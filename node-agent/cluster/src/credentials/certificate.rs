//! The fields of a certificate that matter here.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{
    Certificate as X509,
    der::{Decode, Encode, asn1::ObjectIdentifier},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// commonName (RFC 5280, A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Not before.
    pub from: SystemTime,
    /// Not after.
    pub until: SystemTime,
    /// Whose it is: the common name; empty if it has none.
    pub name: String,
    /// The names and addresses that it is for besides.
    pub names: Vec<String>,
    /// SHA-256 of its SubjectPublicKeyInfo, in lower-case hexadecimal digits: what kubeadm calls discovery-token-ca-cert-hash.
    pub key_hash: String,
}

impl Certificate {
    /// The first certificate of `pem`.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let all = Self::parse_all(pem)?;
        all.into_iter().next().ok_or_else(|| "there is no certificate in it, expected PEM".to_owned())
    }

    /// All certificates of `pem`, in order.
    pub fn parse_all(pem: &str) -> Result<Vec<Self>, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("it is no certificate in PEM: {what}");
        let read = |der: Result<CertificateDer<'_>, _>| match der {
            Ok(der) => Self::of(&X509::from_der(&der).map_err(|error| wrong(&error))?).map_err(|error| wrong(&error)),
            Err(error) => Err(wrong(&error)),
        };
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(read).collect()
    }

    fn of(certificate: &X509) -> Result<Self, x509_cert::der::Error> {
        let body = certificate.tbs_certificate();
        let key = body.subject_public_key_info().to_der()?;
        let common_name = |part: &x509_cert::attr::AttributeTypeAndValue| {
            let is_name = part.oid == COMMON_NAME;
            is_name.then(|| String::from_utf8_lossy(part.value.value()).into_owned())
        };
        let names = body.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
        let time = |time: x509_cert::time::Time| UNIX_EPOCH + time.to_unix_duration();
        Ok(Self {
            from: time(body.validity().not_before),
            until: time(body.validity().not_after),
            name: body.subject().iter().find_map(common_name).unwrap_or_default(),
            names: names.iter().filter_map(alternative).collect(),
            key_hash: hex::encode(digest(&SHA256, &key).as_ref()),
        })
    }

    /// Whether it holds at `now`.
    pub fn holds(&self, now: SystemTime) -> bool {
        self.from <= now && now < self.until
    }

    /// Its begin in seconds since 1970.
    pub fn from_secs(&self) -> u64 {
        self.from.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }

    /// Its end in seconds since 1970.
    pub fn until_secs(&self) -> u64 {
        self.until.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }
}

/// A name or an address as people write it; other kinds mean nothing here.
fn alternative(name: &GeneralName) -> Option<String> {
    if let GeneralName::DnsName(name) = name {
        return Some(name.as_str().to_owned());
    }
    let GeneralName::IpAddress(address) = name else { return None };
    let bytes = address.as_bytes();
    let four = <[u8; 4]>::try_from(bytes).map(|four| IpAddr::from(four).to_string()).ok();
    four.or_else(|| <[u8; 16]>::try_from(bytes).map(|all| IpAddr::from(all).to_string()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_says_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::new(["n1", "192.0.2.7", "2001:db8::1"].map(str::to_owned)).unwrap();
        wanted.distinguished_name.push(rcgen::DnType::OrganizationName, "system:nodes");
        wanted.distinguished_name.push(rcgen::DnType::CommonName, "system:node:n1");
        wanted.not_before = rcgen::date_time_ymd(2026, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let pem = wanted.self_signed(&key).unwrap().pem();
        let read = Certificate::parse(&pem).unwrap();
        assert_eq!(read.names, ["n1", "192.0.2.7", "2001:db8::1"]);
        assert_eq!((read.name.as_str(), read.until_secs()), ("system:node:n1", 1_798_761_600));
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        assert_eq!(read.key_hash, hex::encode(digest(&SHA256, &spki).as_ref()));
        let second = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        assert!(read.holds(second(1_798_761_599)) && !read.holds(second(1_798_761_600)) && !read.holds(second(0)));
        assert!(Certificate::parse("nothing").is_err());
    }
}
