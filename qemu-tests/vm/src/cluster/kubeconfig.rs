//! A kubeconfig: one server, its authority, one user.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::registry::{Authority, Pair};

/// What it says; printed as JSON, which is YAML.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    cluster: Value,
    user: Value,
}

impl Kubeconfig {
    /// For the server at `url`, of nobody.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn new(url: &str, authority: &Authority) -> Result<Self> {
        let ca = STANDARD.encode(authority.certificate()?);
        Ok(Self { cluster: json!({"server": url, "certificate-authority-data": ca}), user: json!({}) })
    }

    /// Of whoever this token belongs to.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.user = json!({"token": token});
        self
    }

    /// Of whoever this certificate is about.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn signed(mut self, pair: &Pair) -> Result<Self> {
        let read = |file: &Path| {
            std::fs::read(file).map(|pem| STANDARD.encode(pem)).with_context(|| format!("reading {}", file.display()))
        };
        self.user = json!({"client-certificate-data": read(&pair.certificate)?, "client-key-data": read(&pair.key)?});
        Ok(self)
    }

    /// Puts it into a file; gives that.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<PathBuf> {
        std::fs::write(file, self.to_string()).with_context(|| format!("writing {}", file.display()))?;
        Ok(file.to_owned())
    }
}

impl fmt::Display for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, user } = self;
        let whole = json!({"apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}], "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]});
        write!(f, "{whole:#}")
    }
}
