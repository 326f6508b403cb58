//! A real registry (Debian's docker-registry, from the tools tree) on loopback: one fault proxy with TLS and a password, and one
//! with neither, over the same storage.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use tempfile::TempDir;

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "pass word";
/// bcrypt, at the lowest cost.
const HTPASSWD: &str = "user:$2b$04$abcdefghijklmnopqrstuuFcV8WPKEefLKdOWfX8pW1yTVya21P7a\n";

/// It starts in a moment, but the machine may be busy.
const START: Duration = Duration::from_secs(60);

pub(crate) struct Registry {
    pub(crate) folder: TempDir,
    /// As `127.0.0.1:PORT`: anyone may come in, over plain HTTP.
    pub(crate) open: String,
    /// Wants TLS and a password.
    pub(crate) guarded: String,
    listeners: Vec<Child>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_certificate(folder.path());
        fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
        let path = folder.path().display();
        let storage = format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: {path}/data}}}}\n");
        let open = format!("{storage}http: {{addr: \"127.0.0.1:0\"}}\n");
        let guarded = format!(
            "{storage}http: {{addr: \"127.0.0.1:0\", tls: {{certificate: {path}/tls.crt, key: {path}/tls.key}}}}\n\
             auth: {{htpasswd: {{realm: test, path: {path}/htpasswd}}}}\n"
        );
        let ((one, open), (two, guarded)) =
            (listener(folder.path(), "open", &open), listener(folder.path(), "guarded", &guarded));
        Self { folder, open, guarded, listeners: vec![one, two] }
    }

    /// Where only who shows the registry's own certificate comes in, over TLS.
    pub(crate) fn mutual(&mut self) -> String {
        let path = self.folder.path().display();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {path}/data}}}}\n\
             http: {{addr: \"127.0.0.1:0\", tls: {{certificate: {path}/tls.crt, key: {path}/tls.key, clientcas: [{path}/tls.crt]}}}}\n"
        );
        let (child, address) = listener(self.folder.path(), "mutual", &config);
        self.listeners.push(child);
        address
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    pub(crate) fn push_blob(&self, repository: &str, digest: &str, content: &[u8]) {
        let (status, head) = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
        assert_eq!(status, 202, "{head}");
        let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let path = &location[location.find("/v2/").unwrap()..];
        let (status, head) = self.send("PUT", &format!("{path}&digest={digest}"), "application/octet-stream", content);
        assert_eq!(status, 201, "{head}");
    }

    pub(crate) fn push_manifest(&self, repository: &str, version: &str, media_type: &str, content: &[u8]) {
        let (status, head) = self.send("PUT", &format!("/v2/{repository}/manifests/{version}"), media_type, content);
        assert_eq!(status, 201, "{head}");
    }

    fn send(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.open).unwrap();
        stream.set_read_timeout(Some(START)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            self.open,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.replace('\r', ""))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for listener in &mut self.listeners {
            listener.kill().unwrap();
            listener.wait().unwrap();
        }
    }
}

fn listener(folder: &Path, name: &str, config: &str) -> (Child, String) {
    let file = folder.join(format!("{name}.yml"));
    fs::write(&file, config).unwrap();
    let mut command = tool("docker-registry");
    command.arg("serve").arg(file).env("OTEL_TRACES_EXPORTER", "none").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (send, receive) = mpsc::channel();
    // Reads on to the end, so that the registry never waits for someone to read.
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let address: String = rest.chars().take_while(|letter| !matches!(letter, '"' | ',' | ' ')).collect();
                let _ = send.send(address);
            }
        }
    });
    match receive.recv_timeout(START) {
        Ok(address) => (child, address),
        Err(error) => {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("docker-registry did not start: {error}");
        }
    }
}

/// For 127.0.0.1, signed by itself.
fn make_certificate(folder: &Path) {
    let mut command = tool("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "tls.key", "-out", "tls.crt"]);
    let made = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A program of the tools tree, run through the tree's own loader and libraries.
fn tool(name: &str) -> Command {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").canonicalize();
    let tree = tree.expect("there is no target/tools; `make setup` builds it");
    let mut command = Command::new(tree.join("lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tree.join("usr/lib/x86_64-linux-gnu")).arg(tree.join("usr/bin").join(name));
    command.env("OPENSSL_CONF", tree.join("etc/ssl/openssl.cnf"));
    command
}
