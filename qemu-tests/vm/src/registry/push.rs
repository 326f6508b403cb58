//! Releases go into the registry with skopeo, signed as `make release` does it, or as nobody should.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::keys::SigningKey;
use crate::tools::{self, Tools};

/// The registry is on this host; a busy one may take its time.
const TIMEOUT: Duration = Duration::from_secs(60);

/// By whom a release is signed.
#[derive(Clone, Copy, Debug)]
pub enum Signed<'a> {
    /// With this key
    By(&'a SigningKey),
    /// By nobody
    Not,
}

/// One image on its way into a registry.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// The OCI layout to read
    pub layout: &'a Path,
    /// The registry, over plain HTTP
    pub registry: SocketAddr,
    /// Repository and tag: `ballast:20261122.1`
    pub name: &'a str,
    /// Under which name nodes will ask for it: `10.0.2.2:PORT/ballast:20261122.1`. That name is signed.
    pub identity: &'a str,
    /// By whom it is signed
    pub signed: Signed<'a>,
}

impl Push<'_> {
    /// Pushes it, byte for byte, so that the digest stays; a signature goes beside it, as an attachment.
    ///
    /// # Errors
    /// When skopeo is missing or fails.
    pub fn run(&self, tools: &Tools, scratch: &Path) -> Result<()> {
        let settings = tempfile::tempdir_in(scratch).context("making a folder for skopeo's settings")?;
        let registries = settings.path().join("registries.d");
        std::fs::create_dir(&registries).context("making registries.d")?;
        let attachments = "default-docker:\n  use-sigstore-attachments: true\n";
        std::fs::write(registries.join("default.yaml"), attachments).context("writing registries.d")?;
        let mut command = tools.command("skopeo");
        // What this host trusts and keeps elsewhere is not asked for.
        command.args(["--insecure-policy", "--command-timeout", "300s", "--tmpdir"]).arg(settings.path());
        command.arg("--registries.d").arg(&registries).args(["copy", "--quiet", "--preserve-digests"]);
        command.args(["--dest-tls-verify=false", "--dest-no-creds"]);
        if let Signed::By(key) = self.signed {
            command.arg("--sign-by-sigstore-private-key").arg(&key.private);
            command.arg("--sign-passphrase-file").arg(&key.passphrase).args(["--sign-identity", self.identity]);
        }
        command.arg(format!("oci:{}", self.layout.display()));
        command.arg(format!("docker://{}/{}", self.registry, self.name));
        tools::output("skopeo", &mut command).map(drop).with_context(|| format!("pushing {}", self.name))
    }
}

/// Puts a manifest into a registry as it is, whatever it claims: skopeo would not.
///
/// # Errors
/// When the registry does not take it.
pub fn push_manifest(registry: SocketAddr, repository: &str, reference: &str, manifest: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(registry).context("calling the registry")?;
    stream.set_read_timeout(Some(TIMEOUT)).context("setting a time limit")?;
    let head = format!(
        "PUT /v2/{repository}/manifests/{reference} HTTP/1.1\r\nHost: {registry}\r\nConnection: close\r\n\
         Content-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: {}\r\n\r\n",
        manifest.len()
    );
    stream.write_all(&[head.as_bytes(), manifest].concat()).context("sending a manifest")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading the registry's answer")?;
    if !answer.starts_with("HTTP/1.1 201 ") {
        bail!("the registry does not take the manifest {reference}: {answer}");
    }
    Ok(())
}
