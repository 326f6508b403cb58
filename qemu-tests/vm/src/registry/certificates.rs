//! A certificate authority for one test, and what it issues: for registries good and expired ones, for clusters whatever they want;
//! with openssl of the tools tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::checksum::sha256;
use crate::tools::Tools;

/// From long before any release, so that a node whose clock was set to its release's date finds them valid (N08).
const SINCE: &str = "20200101000000Z";
const UNTIL: &str = "20400101000000Z";
const UNTIL_LONG_AGO: &str = "20210101000000Z";

/// Whether a certificate still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Until 2040
    Current,
    /// Since 2021 no more
    Expired,
}

/// A certificate and its key, both PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate
    pub certificate: PathBuf,
    /// The key
    pub key: PathBuf,
}

/// A certificate authority, its key and what it issued in one folder.
#[derive(Clone, Debug)]
pub struct Authority {
    tools: Tools,
    folder: PathBuf,
    name: String,
}

impl Authority {
    /// Makes one called `name` in `folder`.
    ///
    /// # Errors
    /// When openssl is missing or fails.
    pub fn make(tools: &Tools, folder: &Path, name: &str) -> Result<Self> {
        let authority = Self { tools: tools.clone(), folder: folder.to_owned(), name: name.to_owned() };
        let subject = format!("/CN={name}");
        let own = ["-subj", &subject, "-not_after", UNTIL, "-addext", "basicConstraints=critical,CA:TRUE"];
        authority.request(name, &own).with_context(|| format!("making the authority {name}"))?;
        Ok(authority)
    }

    /// Its certificate, as PEM.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn certificate(&self) -> Result<String> {
        let file = self.file(&self.name, "crt");
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
    }

    /// Its own certificate and key, for programs that sign in its name.
    pub fn own(&self) -> Pair {
        Pair { certificate: self.file(&self.name, "crt"), key: self.file(&self.name, "key") }
    }

    /// `sha256:HEX` of its public key, as kubeadm's `discovery-token-ca-cert-hash` has it (RFC 7469, 2.4).
    ///
    /// # Errors
    /// When openssl fails.
    pub fn hash(&self) -> Result<String> {
        let mut command = self.tools.openssl();
        command.args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(self.own().key);
        let key = crate::tools::output("openssl", &mut command).context("taking an authority's public key")?;
        Ok(format!("sha256:{}", sha256(key)))
    }

    /// A certificate of the file name `name` with this subject (`/O=system:nodes/CN=system:node:a`), and as a server for these
    /// alternative names (`IP:127.0.0.1,DNS:localhost`), if any.
    ///
    /// # Errors
    /// As [`Authority::make`].
    pub fn sign(&self, name: &str, subject: &str, alternatives: Option<&str>) -> Result<Pair> {
        let own = self.own();
        let (ca, key) = (own.certificate.display().to_string(), own.key.display().to_string());
        let by = ["-CA", &ca, "-CAkey", &key, "-subj", subject, "-not_after", UNTIL];
        let mut what = vec!["-addext".to_owned(), "basicConstraints=critical,CA:FALSE".to_owned()];
        if let Some(alternatives) = alternatives {
            what.extend(["-addext".to_owned(), format!("subjectAltName={alternatives}")]);
        }
        let what: Vec<&str> = what.iter().map(String::as_str).collect();
        self.request(name, &[&by[..], &what[..]].concat()).with_context(|| format!("signing {subject}"))?;
        Ok(Pair { certificate: self.file(name, "crt"), key: self.file(name, "key") })
    }

    /// A certificate for this host as the loopback and as guests see it (QEMU's user network), ready for serving.
    ///
    /// # Errors
    /// As [`Authority::make`].
    pub fn issue(&self, validity: Validity) -> Result<Arc<ServerConfig>> {
        let (name, until) = match validity {
            Validity::Current => (format!("{}-current", self.name), UNTIL),
            Validity::Expired => (format!("{}-expired", self.name), UNTIL_LONG_AGO),
        };
        let own = self.own();
        let (ca, key) = (own.certificate.display().to_string(), own.key.display().to_string());
        let by = ["-CA", &ca, "-CAkey", &key, "-subj", "/CN=registry", "-not_after", until];
        let what =
            ["-addext", "subjectAltName=IP:10.0.2.2,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
        self.request(&name, &[&by[..], &what[..]].concat()).with_context(|| format!("issuing {name}"))?;
        server_config(&self.file(&name, "crt"), &self.file(&name, "key"))
    }

    fn request(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.tools.openssl();
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-not_before", SINCE, "-keyout"]).arg(self.file(name, "key"));
        command.arg("-out").arg(self.file(name, "crt")).args(arguments);
        crate::tools::output("openssl", &mut command).map(drop)
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }
}

/// What a TLS server needs, from PEM files.
///
/// # Errors
/// When a file cannot be read or the key does not belong to the certificate.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let what = || format!("reading {}", certificate.display());
    let chain = CertificateDer::pem_file_iter(certificate).with_context(what)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().with_context(what)?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.context("preparing TLS")?.with_no_client_auth().with_single_cert(chain, key);
    Ok(Arc::new(config.context("preparing TLS")?))
}
