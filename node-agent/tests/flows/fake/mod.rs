//! A node of files and sockets for the agent to run on: a tree of files in place of the host's, a container runtime that
//! remembers, and a systemd that does what it is asked to.

pub(crate) mod bus;
pub(crate) mod cri;
mod grpc;
pub(crate) mod tasks;
pub(crate) mod transfer;
pub(crate) mod wire;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use ballast::{
    clients::host::Host,
    report::{
        releases::Releases,
        socket::{Reply, Request, SOCKET},
        status::Status,
    },
    settings::model::{Command as Change, Failure as Unchanged, Outcome as Changed, Planned, Shown},
    update::model::{Command, Failure, Outcome},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// No wait in these flows is longer than this, however busy the machine is.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Where resolved lists name servers.
pub(crate) const RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// The node, and the agent on it.
pub(crate) struct Node {
    tree: tempfile::TempDir,
    pub(crate) host: Host,
    agent: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Node {
    /// A node with what the kernel, the image and /init leave for the agent. It has no runtime and no systemd yet.
    pub(crate) fn new() -> Self {
        // In memory: the agent looks how full /var is, and the disk of whoever builds may be.
        let tree = tempfile::tempdir_in("/dev/shm").unwrap();
        let host = Host::new(tree.path());
        let node = Self { tree, host, agent: None };
        for folder in ["dev", "run/containerd", "run/dbus", "run/ballast", "usr/lib/ballast/pods"] {
            fs::create_dir_all(node.tree.path().join(folder)).unwrap();
        }
        node.write("/dev/console", "");
        node.write("/etc/os-release", "ID=ballast\nVERSION_ID=20261121.1\n");
        node.write("/etc/hosts", "127.0.0.1 localhost\n");
        node.write(RESOLV_CONF, "nameserver 192.0.2.53\nsearch example.org\n");
        node.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        node.write("/proc/uptime", "4.31 0.20\n");
        node.write("/proc/stat", "cpu 400 0 16 10 5 0 0\ncpu0 400 0 16 10 5 0 0\nintr 1\n");
        node.write("/proc/cmdline", &format!("ballast.deployment={}.0 quiet\n", "ab".repeat(32)));
        node.write("/proc/sys/kernel/hostname", "node-1\n");
        node.write("/proc/sys/kernel/osrelease", "6.12.0-ballast\n");
        node.write("/proc/sys/kernel/pid_max", "32768\n");
        node.write("/proc/sys/kernel/random/boot_id", "01234567-89ab-cdef-0123-456789abcdef\n");
        node.write("/proc/loadavg", "0.20 0.18 0.12 1/80 11206\n");
        node.write("/proc/meminfo", "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n");
        node
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.host.path(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // As an editor does it: the agent never sees half a file.
        let draft = path.with_extension("draft");
        fs::write(&draft, bytes).unwrap();
        fs::rename(&draft, &path).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    pub(crate) fn start_agent(&mut self) {
        self.agent = Some(tokio::spawn(ballast::agent::run(self.host.clone())));
    }

    /// The agent dies, as by SIGKILL.
    pub(crate) async fn kill_agent(&mut self) {
        let agent = self.agent.take().unwrap();
        agent.abort();
        assert!(agent.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn status(&self) -> Option<Status> {
        let reply = self.ask(&Request::Status {}).await?.pop()?;
        let Reply::Status(status) = reply else { panic!("{reply:?}") };
        Some(*status)
    }

    pub(crate) async fn releases(&self) -> Option<Releases> {
        let reply = self.ask(&Request::Releases {}).await?.pop()?;
        let Reply::Releases(releases) = reply else { panic!("{reply:?}") };
        Some(releases)
    }

    /// Asks for an operation and says how it ended.
    pub(crate) async fn operate(&self, operation: Command) -> Result<Outcome, Failure> {
        let replies = timeout(TIMEOUT, self.ask(&Request::Run { operation })).await.unwrap().unwrap();
        match replies.last() {
            Some(Reply::Done(outcome)) => Ok(outcome.clone()),
            Some(Reply::Failed(failure)) => Err(failure.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// The settings, as they are shown.
    pub(crate) async fn settings(&self) -> Shown {
        let reply = self.ask(&Request::Settings {}).await.unwrap().pop().unwrap();
        let Reply::Settings(shown) = reply else { panic!("{reply:?}") };
        *shown
    }

    /// Asks for a change of settings and says what was planned, and how it ended.
    pub(crate) async fn change(&self, operation: Change) -> (Option<Planned>, Result<Changed, Unchanged>) {
        let replies = timeout(TIMEOUT, self.ask(&Request::Change { operation })).await.unwrap().unwrap();
        let planned = replies
            .iter()
            .find_map(|reply| if let Reply::Planned(planned) = reply { Some(planned.clone()) } else { None });
        match replies.last() {
            Some(Reply::Changed(outcome)) => (planned, Ok(outcome.clone())),
            Some(Reply::Unchanged(failure)) => (planned, Err(failure.clone())),
            other => panic!("{other:?}"),
        }
    }

    /// All that the agent answers, until it closes the connection.
    pub(crate) async fn ask(&self, request: &Request) -> Option<Vec<Reply>> {
        let mut stream = UnixStream::connect(self.path(SOCKET)).await.ok()?;
        stream.write_all((serde_json::to_string(request).unwrap() + "\n").as_bytes()).await.ok()?;
        let mut lines = BufReader::new(stream).lines();
        let mut replies = Vec::new();
        while let Some(line) = lines.next_line().await.ok()? {
            replies.push(serde_json::from_str(&line).unwrap());
        }
        Some(replies)
    }

    /// Waits until the status is as `wanted`.
    pub(crate) async fn wait_for(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let last = std::cell::RefCell::new(None);
        let poll = async {
            loop {
                if let Some(status) = self.status().await {
                    if wanted(&status) {
                        return status;
                    }
                    *last.borrow_mut() = Some(status);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        match timeout(TIMEOUT, poll).await {
            Ok(status) => status,
            Err(_) => panic!("waited in vain for: {what}\n{:#?}", last.borrow()),
        }
    }

    /// Waits until `done`.
    pub(crate) async fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < TIMEOUT, "waited in vain for: {what}\n{:#?}", self.status().await);
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// `web Running c running 0`
pub(crate) fn shown(status: &Status) -> Vec<String> {
    let pod = |pod: &ballast::report::status::Pod| {
        let containers = pod.containers.iter().map(|one| format!(" {} {} {}", one.name, one.state, one.restarts));
        format!("{} {}{}", pod.name, pod.phase, containers.collect::<String>())
    };
    status.pods.iter().map(pod).collect()
}
