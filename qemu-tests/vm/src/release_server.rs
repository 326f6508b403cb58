//! Where a node under test gets its releases: registry, fault proxy, certificates and keys in one, and what the node must know of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::credentials::Credential;
use crate::fault_proxy::FaultProxy;
use crate::registry::{Authority, Push, Registry, Signed, SigningKey, User, Validity, push_manifest};
use crate::release::{PodImage, Written};
use crate::tools::Tools;

/// The host's loopback as guests see it (QEMU's user network).
pub const HOST: &str = "10.0.2.2";
/// The repository that all releases are in.
const REPOSITORY: &str = "ballast";
/// That of images for pods.
const PODS: &str = "pods/hello";

/// A registry with releases, ready to be used by a node.
pub struct ReleaseServer {
    /// What the node talks to
    pub fault_proxy: FaultProxy,
    /// What releases are signed with, and what the node trusts
    pub key: SigningKey,
    /// What the fault proxy's certificate is from
    pub authority: Authority,
    user: User,
    registry: Registry,
    tools: Tools,
    folder: PathBuf,
}

impl ReleaseServer {
    /// Opens one in a folder of its own under `scratch`.
    ///
    /// # Errors
    /// When a program of the tools tree is missing or fails.
    pub fn open(tools: &Tools, scratch: &Path) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("release-server-").tempdir_in(scratch).context("making a folder")?.keep();
        let key = SigningKey::make(tools, &folder, "key")?;
        Self::at(tools, folder, User::Node, key)
    }

    /// Another one with the same key and users of its own: a mirror.
    ///
    /// # Errors
    /// As [`ReleaseServer::open`].
    pub fn mirror(&self) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("mirror-").tempdir_in(&self.folder).context("making a folder")?;
        Self::at(&self.tools, folder.keep(), User::Mirrored, self.key.clone())
    }

    fn at(tools: &Tools, folder: PathBuf, user: User, key: SigningKey) -> Result<Self> {
        let authority = Authority::make(tools, &folder, "authority")?;
        let registry = Registry::start(tools, &folder, user)?;
        let fault_proxy = FaultProxy::open(registry.guarded, authority.issue(Validity::Current)?)?;
        Ok(Self { fault_proxy, key, authority, user, registry, tools: tools.clone(), folder })
    }

    /// Where anybody may push, over plain HTTP.
    pub fn open_address(&self) -> SocketAddr {
        self.registry.open
    }

    /// A folder for whatever a test makes beside it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `10.0.2.2:PORT`.
    pub fn host(&self) -> String {
        format!("{HOST}:{}", self.fault_proxy.port)
    }

    /// What the node calls the release `tag`.
    pub fn name(&self, tag: &str) -> String {
        format!("{}/{REPOSITORY}:{tag}", self.host())
    }

    /// Publishes a release under its version, signed with the key that the node trusts; gives the name to ask for.
    ///
    /// # Errors
    /// When it cannot be pushed.
    pub fn publish(&self, release: &Written) -> Result<String> {
        self.publish_as(release, &release.version, Signed::By(&self.key))
    }

    /// Publishes a release under `tag`, signed by whomever.
    ///
    /// # Errors
    /// When it cannot be pushed.
    pub fn publish_as(&self, release: &Written, tag: &str, signed: Signed<'_>) -> Result<String> {
        self.push(&release.folder, tag, &self.name(tag), signed)
    }

    /// Publishes what a mirror shall have: signed for `whose` it is a mirror of.
    ///
    /// # Errors
    /// When it cannot be pushed.
    pub fn publish_for(&self, whose: &Self, release: &Written) -> Result<String> {
        self.push(&release.folder, &release.version, &whose.name(&release.version), Signed::By(&self.key))
    }

    /// Publishes the OCI layout in `layout` under `tag`, signed with the key that the node trusts.
    ///
    /// # Errors
    /// When it cannot be pushed.
    pub fn publish_layout(&self, layout: &Path, tag: &str) -> Result<String> {
        self.push(layout, tag, &self.name(tag), Signed::By(&self.key))
    }

    /// Publishes a manifest as it is, whatever it claims; its blobs have to be there. Nobody signs it.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub fn publish_claim(&self, release: &Written) -> Result<String> {
        push_manifest(self.registry.open, REPOSITORY, &release.version, &release.manifest)?;
        Ok(self.name(&release.version))
    }

    /// Publishes an image for pods, which nobody signs; gives its name.
    ///
    /// # Errors
    /// When it cannot be pushed.
    pub fn publish_pod(&self, image: &PodImage, tag: &str) -> Result<String> {
        let name = format!("{PODS}:{tag}");
        let (registry, signed) = (self.registry.open, Signed::Not);
        Push { layout: &image.folder, registry, name: &name, identity: &name, signed }
            .run(&self.tools, &self.folder)?;
        Ok(self.pod_name(tag))
    }

    /// What a node calls the image for pods `tag`, whoever it gets it from.
    pub fn pod_name(&self, tag: &str) -> String {
        format!("{}/{PODS}:{tag}", self.host())
    }

    fn push(&self, layout: &Path, tag: &str, identity: &str, signed: Signed<'_>) -> Result<String> {
        let name = format!("{REPOSITORY}:{tag}");
        Push { layout, registry: self.registry.open, name: &name, identity, signed }.run(&self.tools, &self.folder)?;
        Ok(self.name(tag))
    }

    /// auth.json(5) with the credentials for each of `release_servers`.
    pub fn authfile(release_servers: &[&Self]) -> String {
        let auths = release_servers.iter().map(|release_server| {
            let auth = STANDARD.encode(release_server.user.credentials());
            (release_server.host(), serde_json::json!({"auth": auth}))
        });
        serde_json::json!({"auths": auths.collect::<serde_json::Map<_, _>>()}).to_string()
    }

    /// As an operator's settings have it: its user, its authority, and what is asked before it.
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn setting(&self, mirrors: &[&Self]) -> Result<String> {
        let mirrors = mirrors.iter().map(|mirror| Ok(format!("[[registry.mirrors]]\n{}", mirror.keys()?)));
        Ok(format!("[[registry]]\n{}{}", self.keys()?, mirrors.collect::<Result<String>>()?))
    }

    /// Lines of TOML.
    fn keys(&self) -> Result<String> {
        let (username, password) = self.user.name_and_password();
        Ok(format!(
            "host = \"{}\"\nusername = \"{username}\"\npassword = \"{password}\"\nca = \"\"\"\n{}\"\"\"\n",
            self.host(),
            self.authority.certificate()?
        ))
    }

    /// Only what a node's own settings have no key for: what releases are signed with.
    ///
    /// # Errors
    /// Never in practice: the name is fixed and valid.
    pub fn reported_key(&self) -> Result<Vec<Credential>> {
        Ok(vec![Credential::new("tmpfiles.extra", self.key_line())?])
    }

    fn key_line(&self) -> String {
        line("/var/lib/ballast/keys/test.pub", 0o644, &self.key.public)
    }

    /// What lays certificate, credentials and public key down on each boot of a node: lines for systemd-tmpfiles.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn reported(&self) -> Result<Vec<Credential>> {
        self.reported_with(&[])
    }

    /// The same, with mirrors that the node shall know, too.
    ///
    /// # Errors
    /// As [`ReleaseServer::reported`].
    pub fn reported_with(&self, mirrors: &[&Self]) -> Result<Vec<Credential>> {
        Ok(vec![Credential::new("tmpfiles.extra", self.lines_with(mirrors)?)?])
    }

    /// What [`ReleaseServer::reported`] says, for a node that runs already.
    ///
    /// # Errors
    /// As [`ReleaseServer::reported`].
    pub fn lines(&self) -> Result<String> {
        self.lines_with(&[])
    }

    fn lines_with(&self, mirrors: &[&Self]) -> Result<String> {
        let all = [&[self], mirrors].concat();
        let mut lines = vec![line("/run/containers/0/auth.json", 0o600, &Self::authfile(&all)), self.key_line()];
        for release_server in all {
            let place = format!("/etc/containers/certs.d/{}/ca.crt", release_server.host());
            lines.push(line(&place, 0o644, &release_server.authority.certificate()?));
        }
        Ok(lines.concat())
    }
}

/// A line of tmpfiles.d(5): the file `path` with this content, whatever was there.
pub fn line(path: &str, mode: u32, content: &str) -> String {
    format!("f+~ {path} {mode:04o} root root - {}\n", STANDARD.encode(content))
}
