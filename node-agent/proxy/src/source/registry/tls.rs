//! Whom we believe to be a registry: the system's certificate authorities, and those given for one registry.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use ballast_client::tls::{NoCertVerification, system_authorities};
use rustls::{
    ClientConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::http::Tls;
use crate::config::ClientKeys;

/// The settings for one registry. `folder` may hold certificate authorities (`*.crt`), and a certificate of our own
/// (`*.cert` with `*.key`), as containers-certs.d(5) says; it need not be there. `keys` are those that we may not read. What cannot be used is left out: that
/// makes nobody believed who was not.
///
/// Authorities hold for where the registry sends us too, a certificate of our own for the registry alone.
pub(super) fn config(folder: &Path, keys: &ClientKeys, is_unchecked: bool) -> Result<Tls> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if is_unchecked {
        builder.dangerous().with_custom_certificate_verifier(NoCertVerification::new(provider))
    } else {
        let mut authorities = system_authorities();
        for file in files(folder, "crt") {
            let added = certificates(&file).and_then(|all| {
                all.into_iter().try_for_each(|certificate| authorities.add(certificate)).context("an authority in it")
            });
            if let Err(error) = added {
                log::warn!("{}: left out, nobody is believed for it: {error:#}", file.display());
            }
        }
        builder.with_root_certificates(authorities)
    };
    let elsewhere = builder.clone().with_no_client_auth();
    let at_home = match files(folder, "cert").into_iter().next().map(|file| (pair(&file, keys), file)) {
        None => elsewhere.clone(),
        Some((Ok((certificates, key)), file)) => {
            let doing = || format!("using {} as our certificate", file.display());
            builder.with_client_auth_cert(certificates, key).with_context(doing)?
        }
        Some((Err(error), _)) => {
            log::warn!("no certificate of ours is shown: {error:#}");
            elsewhere.clone()
        }
    };
    Ok(Tls { at_home, elsewhere })
}

fn pair(file: &Path, keys: &ClientKeys) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let key_file = file.with_extension("key");
    let handed_over = keys.get(&key_file).map(|pem| PrivateKeyDer::from_pem_slice(pem.as_bytes()));
    let key = handed_over
        .unwrap_or_else(|| PrivateKeyDer::from_pem_file(&key_file))
        .with_context(|| format!("reading {}, the key of {}", key_file.display(), file.display()))?;
    Ok((certificates(file)?, key))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    all.with_context(|| format!("reading {}, expected certificates in PEM", file.display()))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if folder.exists() {
                log::warn!("{}: it cannot be read: {error}", folder.display());
            }
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}
