//! A certificate authority for one test, and what it issues: good certificates, expired ones, with openssl of the tools tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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

    /// A certificate for this host as the loopback and as guests see it (QEMU's user network), ready for serving.
    ///
    /// # Errors
    /// As [`Authority::make`].
    pub fn issue(&self, validity: Validity) -> Result<Arc<ServerConfig>> {
        let (name, until) = match validity {
            Validity::Current => (format!("{}-current", self.name), UNTIL),
            Validity::Expired => (format!("{}-expired", self.name), UNTIL_LONG_AGO),
        };
        let (ca, key) = (self.file(&self.name, "crt"), self.file(&self.name, "key"));
        let (ca, key) = (ca.display().to_string(), key.display().to_string());
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
