//! The control plane itself: certificates, processes in their order, what a new cluster needs before nodes can join.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use super::daemon::Daemon;
use super::joining::Joining;
use super::kubeconfig::Kubeconfig;
use super::kubectl::Kubectl;
use super::ports;
use super::programs::Programs;
use crate::deadline::Deadline;
use crate::registry::{Authority, Pair};
use crate::release::PodImage;
use crate::release_server::HOST;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// A bootstrap token that the cluster knows (bootstrap.yaml).
pub const TOKEN: &str = "abcdef.0123456789abcdef";
/// What nodes join by.
const BOOTSTRAP: &str = include_str!("bootstrap.yaml");
/// Each is ready within 6 s on a quiet host; this is for a busy one.
const START: Duration = Duration::from_secs(180);

/// What a test wants to be otherwise than usual.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How long nodes' certificates are valid; the signer counts from five minutes ago, for clocks that are slow
    pub certificates_last: Duration,
}

impl Default for Wanted {
    fn default() -> Self {
        // As kube-controller-manager has it: a year.
        Self { certificates_last: Duration::from_secs(365 * 24 * 3600) }
    }
}

/// A running control plane, which ends with its handle.
pub struct ControlPlane {
    /// As cluster-admin
    pub kubectl: Kubectl,
    /// What its certificates are from
    pub authority: Authority,
    /// The API server; none while it is stopped
    api: Option<Daemon>,
    // In the order in which they end: those that ask before those that are asked.
    _helpers: Vec<Daemon>,
    _etcd: Daemon,
    programs: Programs,
    port: u16,
    etcd_port: u16,
    server: Pair,
    accounts: Pair,
    /// As whom it speaks to kubelets
    caller: Pair,
    logs: PathBuf,
    state: TempDir,
}

impl ControlPlane {
    /// Starts it; the logs go to the folder `logs`, all else to a folder that vanishes with it.
    ///
    /// # Errors
    /// When a program is missing or not ready in time.
    pub fn start(workspace: &Workspace, tools: &Tools, logs: &Path, wanted: Wanted) -> Result<Self> {
        let programs = Programs::find(workspace, tools)?;
        let state = workspace.scratch()?;
        std::fs::create_dir_all(logs).with_context(|| format!("making {}", logs.display()))?;
        let authority = Authority::make(tools, state.path(), "cluster")?;
        let (port, etcd_port) = (ports::free()?, ports::free()?);
        let names = format!("IP:127.0.0.1,IP:{HOST},DNS:localhost,DNS:kubernetes.default.svc");
        let server = authority.sign("server", "/CN=kube-apiserver", Some(&names))?;
        let accounts = authority.sign("accounts", "/CN=service-accounts", None)?;
        let caller = authority.sign("caller", "/O=system:masters/CN=kube-apiserver-kubelet-client", None)?;
        let etcd = start_etcd(&programs, etcd_port, state.path(), logs)?;
        let admin = Kubeconfig::new(&format!("https://127.0.0.1:{port}"), &authority)?
            .signed(&authority.sign("admin", "/O=system:masters/CN=admin", None)?)?
            .write(&state.path().join("admin.kubeconfig"))?;
        let mut plane = Self {
            kubectl: Kubectl::new(&programs, admin.clone()),
            authority,
            api: None,
            _helpers: Vec::new(),
            _etcd: etcd,
            programs,
            port,
            etcd_port,
            server,
            accounts,
            caller,
            logs: logs.to_owned(),
            state,
        };
        plane.start_api()?;
        plane._helpers = plane.start_helpers(&admin, wanted)?;
        plane.kubectl.apply(BOOTSTRAP).context("preparing the cluster for nodes that join")?;
        plane.report_anybody()?;
        Ok(plane)
    }

    /// What nodes in machines call it.
    pub fn url(&self) -> String {
        format!("https://{HOST}:{}", self.port)
    }

    /// What programs on this host call it.
    pub fn local_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// kubectl as somebody else, called `name` in file names only: as in [`Kubeconfig`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kubectl_as(&self, name: &str, who: &Kubeconfig) -> Result<Kubectl> {
        let file = who.write(&self.state.path().join(format!("{name}.kubeconfig")))?;
        Ok(Kubectl::new(&self.programs, file))
    }

    /// A kubeconfig for this cluster, of nobody yet, for programs on this host.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn kubeconfig(&self) -> Result<Kubeconfig> {
        Kubeconfig::new(&self.local_url(), &self.authority)
    }

    /// What a node in a machine is given to join this cluster it under this name: where it is, its authority, a token.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn joining(&self, name: &str) -> Result<Joining> {
        Ok(Joining::new(name, &[&self.url()]).text("ca", &self.authority.certificate()?).word("token", TOKEN))
    }

    /// The same for nodes in machines.
    ///
    /// # Errors
    /// As [`ControlPlane::kubeconfig`].
    pub fn kubeconfig_for_guests(&self) -> Result<Kubeconfig> {
        Kubeconfig::new(&self.url(), &self.authority)
    }

    /// Takes the API server away at once, as a crash does; whoever calls is refused.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn stop_api(&mut self) -> Result<()> {
        self.api.take().map_or(Ok(()), |mut api| api.kill())
    }

    /// Starts the API server, with what it knew before, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn start_api(&mut self) -> Result<()> {
        let mut api = Daemon::start("kube-apiserver", self.api_command(), &self.logs)?;
        api.ready(Deadline::after(START), || self.kubectl.server_is_ready())?;
        self.api = Some(api);
        Ok(())
    }

    /// The CPU time that this API server has used so far.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn api_cpu(&self) -> Result<Duration> {
        self.api.as_ref().context("the API server is stopped")?.cpu()
    }

    /// The kubelet of this version of Kubernetes as an artifact, an OCI layout in the folder `into`; gives its version.
    ///
    /// # Errors
    /// When it was not built, or cannot be packed.
    pub fn kubelet(&self, into: &Path) -> Result<String> {
        let program = self.programs.file("kubelet")?;
        let output = Command::new(&program).arg("--version").output().context("asking the kubelet for its version")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.trim().strip_prefix("Kubernetes v").with_context(|| format!("the kubelet says {said:?}"))?;
        ballast_artifacts::pack::pack("kubelet", version, into, &[program])?;
        Ok(version.to_owned())
    }

    /// The same program as an artifact that is called `version`: what a node does between two versions goes by that alone.
    ///
    /// # Errors
    /// When it was not built, or cannot be packed.
    pub fn kubelet_called(&self, version: &str, into: &Path) -> Result<()> {
        let program = self.programs.file("kubelet")?;
        ballast_artifacts::pack::pack("kubelet", version, into, &[program]).map(drop)
    }

    /// An artifact that is called `version` and has no program in it.
    ///
    /// # Errors
    /// When it cannot be packed.
    pub fn broken_kubelet(&self, version: &str, into: &Path) -> Result<()> {
        let program = self.state.path().join("kubelet");
        std::fs::write(&program, "this is no program\n").context("writing a kubelet that is none")?;
        ballast_artifacts::pack::pack("kubelet", version, into, &[program]).map(drop)
    }

    /// An image for pods with Kubernetes' own test program, which it starts with a pod's arguments.
    ///
    /// # Errors
    /// When it was not built, or cannot be written.
    pub fn agnhost(&self, into: &Path) -> Result<PodImage> {
        PodImage::of(&self.programs.file("agnhost")?, into)
    }

    fn api_command(&self) -> Command {
        let Self { port, etcd_port, server, accounts, .. } = self;
        let mut command = self.programs.kubernetes("kube-apiserver");
        command.args(["--bind-address=127.0.0.1", &format!("--secure-port={port}")]);
        // Nobody asks the Service `kubernetes`; an address of the loopback would be refused as its endpoint.
        command.args(["--endpoint-reconciler-type=none", &format!("--advertise-address={HOST}")]);
        command.arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"));
        command.arg("--service-cluster-ip-range=10.96.0.0/16");
        command.args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]);
        command.args(["--enable-bootstrap-token-auth", "--service-account-issuer=https://kubernetes.default.svc"]);
        file(&mut command, "tls-cert-file", &server.certificate);
        file(&mut command, "tls-private-key-file", &server.key);
        file(&mut command, "client-ca-file", &self.authority.own().certificate);
        file(&mut command, "service-account-key-file", &accounts.certificate);
        file(&mut command, "service-account-signing-key-file", &accounts.key);
        // A kubelet is called by its node's name, which is an address of this host's loopback (Network::Kubelet).
        command.arg("--kubelet-preferred-address-types=Hostname");
        file(&mut command, "kubelet-client-certificate", &self.caller.certificate);
        file(&mut command, "kubelet-client-key", &self.caller.key);
        file(&mut command, "cert-dir", self.state.path());
        command
    }

    fn start_helpers(&self, kubeconfig: &Path, wanted: Wanted) -> Result<Vec<Daemon>> {
        let helper = |name| {
            let mut command = self.programs.kubernetes(name);
            // There is one of each, and nobody asks it anything.
            command.args(["--leader-elect=false", "--port=0", "--secure-port=0"]);
            file(&mut command, "kubeconfig", kubeconfig);
            command
        };
        let own = self.authority.own();
        let mut manager = helper("kube-controller-manager");
        file(&mut manager, "cluster-signing-cert-file", &own.certificate);
        file(&mut manager, "cluster-signing-key-file", &own.key);
        file(&mut manager, "root-ca-file", &own.certificate);
        file(&mut manager, "service-account-private-key-file", &self.accounts.key);
        // Its own 20 requests a second are for clusters whose nodes come one by one: a thousand would wait for minutes.
        manager.args(["--kube-api-qps=500", "--kube-api-burst=1000"]);
        manager.arg(format!("--cluster-signing-duration={}s", wanted.certificates_last.as_secs()));
        Ok(vec![
            Daemon::start("kube-controller-manager", manager, &self.logs)?,
            Daemon::start("kube-scheduler", helper("kube-scheduler"), &self.logs)?,
        ])
    }

    /// The ConfigMap that nodes find the authority in, if all that they have is its hash.
    fn report_anybody(&self) -> Result<()> {
        let info = self.kubeconfig_for_guests()?.to_string();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"kubeconfig": info},
            "metadata": {"name": "cluster-info", "namespace": "kube-public"}});
        self.kubectl.apply(&map.to_string()).context("publishing the cluster's authority")
    }
}

fn start_etcd(programs: &Programs, port: u16, state: &Path, logs: &Path) -> Result<Daemon> {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", ports::free()?));
    let mut command = programs.etcd();
    // What it holds is gone after the test: nothing needs to reach the disk.
    command.args(["--unsafe-no-fsync", "--log-level=warn"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]).arg("--data-dir").arg(state.join("etcd"));
    let mut etcd = Daemon::start("etcd", command, logs)?;
    etcd.ready(Deadline::after(START), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
    Ok(etcd)
}

/// `--NAME=PATH`.
fn file(command: &mut Command, name: &str, path: &Path) {
    command.arg(format!("--{name}={}", path.display()));
}
