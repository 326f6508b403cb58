//! The key pairs that releases are signed with: sigstore's, made by skopeo.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::tools::{self, Tools};

/// A key pair. Its private half has an empty pass phrase.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The private half
    pub private: PathBuf,
    /// The file with the pass phrase
    pub passphrase: PathBuf,
    /// The public half, as PEM
    pub public: String,
}

impl SigningKey {
    /// Makes the pair `name` in `folder`.
    ///
    /// # Errors
    /// When skopeo is missing or fails.
    pub fn make(tools: &Tools, folder: &Path, name: &str) -> Result<Self> {
        let passphrase = folder.join(format!("{name}.passphrase"));
        std::fs::write(&passphrase, "").context("writing a pass phrase")?;
        let prefix = folder.join(name);
        let mut command = tools.command("skopeo");
        command.arg("generate-sigstore-key").arg("--output-prefix").arg(&prefix);
        command.arg("--passphrase-file").arg(&passphrase);
        tools::output("skopeo", &mut command).with_context(|| format!("making the key pair {name}"))?;
        let public = prefix.with_extension("pub");
        let public = std::fs::read_to_string(&public).with_context(|| format!("reading {}", public.display()))?;
        Ok(Self { private: prefix.with_extension("private"), passphrase, public })
    }
}
