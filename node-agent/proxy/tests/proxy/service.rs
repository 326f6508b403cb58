//! The proxy as a service without privileges, which is handed what root alone may read.

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, socket_with};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    image::{Image, Signer},
    node::Node,
    registry::Registry,
};

/// nobody
const NOBODY: u32 = 65534;

/// As systemd does it: one service for each connection, which is its standard input.
struct Service {
    folder: TempDir,
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(folder.path().join("socket")).unwrap()).unwrap();
        listen(&listener, 8).unwrap();
        let service = Self { folder, started: Arc::default(), ended: Arc::default() };
        let (started, ended) = (Arc::clone(&service.started), Arc::clone(&service.ended));
        thread::spawn(move || {
            while let Ok(connection) = accept(&listener) {
                let mut child = spawn(connection);
                started.fetch_add(1, Ordering::SeqCst);
                let ended = Arc::clone(&ended);
                thread::spawn(move || {
                    child.wait().unwrap();
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        service
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

fn spawn(connection: OwnedFd) -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-proxy"));
    command.arg("--handed-over").env_clear().stdin(Stdio::from(connection));
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.spawn().unwrap()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A node whose secrets and keys are for its owner alone, and that asks the service.
fn node(registry: &Registry, service: &Service, key: &str) -> Node {
    let mut node = Node::of(registry);
    mode(&node.path(""), 0o755);
    node.write("var/lib/ballast/keys/ours.pub", key);
    let policy = json!({"default": [{"type": "sigstoreSigned", "keyPath": "/var/lib/ballast/keys/ours.pub"}]});
    node.write("run/policy.json", &policy.to_string());
    node.write("failures", "");
    for secret in ["auth.json", "run/policy.json", "var/lib/ballast/keys/ours.pub"] {
        mode(&node.path(secret), 0o600);
    }
    // As a file in memory, which is what the worker gives, this one is for whoever has its descriptor.
    mode(&node.path("failures"), 0o666);
    for (option, path) in [
        ("--service", service.socket()),
        ("--policy", node.path("run/policy.json")),
        ("--failures", node.path("failures")),
    ] {
        node.options.extend([option, path.display().to_string().leak()]);
    }
    node
}

#[tokio::test]
async fn a_service_that_may_read_nothing_fetches_with_what_it_is_handed() {
    let registry = Registry::start();
    let (service, signer) = (Service::start(), Signer::new());
    let image = Image::new(1, 3_000_000);
    image.push(&registry, "os", "1");
    let name = format!("{}/os:1", registry.guarded);
    signer.sign(&registry, "os", &image.digest(), &name, &image.digest());
    let node = node(&registry, &service, &signer.public_key());
    node.fetch(&format!("docker://{name}"), &image).await;
    assert_eq!(service.started.load(Ordering::SeqCst), 1, "the service did not do it");

    let error = node.refusal(&format!("docker://{}/os:2", registry.guarded)).await;
    assert!(error.contains("404 Not Found"), "{error}");
    let failures = fs::read_to_string(node.path("failures")).unwrap();
    assert!(failures.contains("\"kind\":\"not-found\""), "{failures}");
    let unsigned = Image::new(2, 10);
    unsigned.push(&registry, "os", "unsigned");
    let error = node.refusal(&format!("docker://{}/os:unsigned", registry.guarded)).await;
    assert!(error.contains("there is no signature"), "{error}");
}

#[tokio::test]
async fn a_service_shows_a_certificate_whose_key_it_may_not_read() {
    let mut registry = Registry::start();
    let mutual = registry.mutual();
    let (service, signer) = (Service::start(), Signer::new());
    let image = Image::new(1, 10);
    image.push(&registry, "os", "1");
    let name = format!("{mutual}/os:1");
    signer.sign(&registry, "os", &image.digest(), &name, &image.digest());
    let node = node(&registry, &service, &signer.public_key());
    node.trust_at(&mutual, &registry);
    let error = node.refusal(&format!("docker://{name}")).await;
    assert!(error.contains("ertificate"), "{error}");
    for (ours, file) in [("node.cert", "tls.crt"), ("node.key", "tls.key")] {
        let text = fs::read_to_string(registry.folder.path().join(file)).unwrap();
        node.write(&format!("etc/containers/certs.d/{mutual}/{ours}"), &text);
    }
    mode(&node.path(&format!("etc/containers/certs.d/{mutual}/node.key")), 0o600);
    node.fetch(&format!("docker://{name}"), &image).await;
    assert_eq!(service.started.load(Ordering::SeqCst), 2, "the service did not do it");
}

#[tokio::test]
async fn a_service_ends_with_its_client() {
    let registry = Registry::start();
    let service = Service::start();
    let node = node(&registry, &service, &Signer::new().public_key());
    let proxy = node.proxy().await;
    assert_eq!((service.started.load(Ordering::SeqCst), service.ended.load(Ordering::SeqCst)), (1, 0));
    // It goes away without a word, as a worker that is killed.
    drop(proxy);
    for _ in 0..100 {
        if service.ended.load(Ordering::SeqCst) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it runs on");
}
