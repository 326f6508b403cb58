//! All the machines, on one thread: what is measured of them is the cost of the code that an agent runs on one thread, too.

use std::path::Path;
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};
use ballast_cluster::model::{Authority, Config, Credentials, DEFAULT_POOL, Report, Role, Secret, State};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};

use super::figures::Traffic;
use super::host::Host;
use crate::cluster::{ControlPlane, TOKEN};
use crate::workspace::Workspace;

/// Files of this process beside connections.
const OTHERS: u64 = 200;

/// The machines, which end with their handle.
pub(super) struct Hosts {
    reports: Vec<watch::Receiver<Report>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folders: TempDir,
}

impl Hosts {
    /// Starts them all at once.
    ///
    /// # Errors
    /// When a folder cannot be made, or tokio does not start.
    pub(super) fn start(workspace: &Workspace, nodes: usize, plane: &ControlPlane) -> Result<Self> {
        let folders = workspace.scratch()?;
        let (mut hosts, mut reports) = (Vec::new(), Vec::new());
        for number in 1..=nodes {
            let name = name(number);
            let folder = folders.path().join(&name);
            make_private(&folder)?;
            let (reported, report) = watch::channel(Report::default());
            hosts.push((Host::new(&name, number, config(plane)?, folder), reported));
            reports.push(report);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                for (host, reported) in hosts {
                    tokio::spawn(host.live(reported));
                }
                // The handle's end is the answer.
                let _ = ended.await;
            });
        });
        Ok(Self { reports, end: Some(end), thread: Some(thread), _folders: folders })
    }

    /// How many memberships say that their cluster answers: it costs the cluster nothing.
    pub(super) fn connected(&self) -> usize {
        self.reports.iter().filter(|report| report.borrow().state == State::Connected).count()
    }

    /// What all memberships sent and received so far.
    pub(super) fn traffic(&self) -> Traffic {
        self.reports.iter().map(|report| Traffic::of(&report.borrow())).sum()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was printed when it happened.
            let _ = thread.join();
        }
    }
}

/// What the `number`th machine is called.
pub(super) fn name(number: usize) -> String {
    format!("fleet-{number:04}")
}

fn config(plane: &ControlPlane) -> Result<Config> {
    Ok(Config {
        name: "fleet".into(),
        servers: vec![plane.local_url()],
        authority: Authority::Pem(plane.authority.certificate()?),
        credentials: Credentials::Token(Secret::new(TOKEN)),
        role: Role::Node,
        pool: DEFAULT_POOL.into(),
        node_name: None,
        node_labels: Default::default(),
        node_taints: Vec::new(),
    })
}

/// For root alone, as the agent makes it.
fn make_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
    made.with_context(|| format!("making {}", folder.display()))
}

/// Lets this process have a connection for each of `nodes`, and the API server that it starts as well.
///
/// # Errors
/// When the administrator of this host does not allow so many.
pub(super) fn allow_connections(nodes: usize) -> Result<()> {
    let wanted = 2 * nodes as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= wanted),
        "{nodes} nodes need {wanted} open files, this host allows {:?} (ulimit -H -n)",
        limit.maximum
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("asking for more open files")
}
