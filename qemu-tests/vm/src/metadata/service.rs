//! The service itself: one request a connection, what was asked for is counted, and it can be out of order for a while.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};

use super::cloud::{Cloud, Given};
use crate::fault_proxy::head::Head;
use crate::fault_proxy::lock;
use crate::qemu::machine::{Network, OnLink};

/// A node that says nothing for so long has gone away.
const SILENCE: Duration = Duration::from_secs(60);

/// Runs under bash for each connection: its stdin and stdout are the guest's end, the port of the loopback is ours. The guest
/// gives up its half when it has the answer, so what comes from us decides when it is over.
const BRIDGE: &str = "\
exec 3<>/dev/tcp/127.0.0.1/\"$1\" 4<&0 || exit 1
cat <&4 >&3 4<&- &
exec 4<&-
cat <&3
kill $! 2>/dev/null
";

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET` or `PUT`
    pub method: String,
    /// What was asked for
    pub path: String,
    /// What was answered
    pub status: u16,
}

struct Shared {
    cloud: Cloud,
    given: Mutex<Given>,
    /// How many requests are answered with which status before it works.
    failing: Mutex<(u32, u16)>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicU32,
    closed: AtomicBool,
}

/// A metadata service: open until it is dropped.
pub struct Service {
    port: u16,
    bridge: tempfile::TempPath,
    shared: Arc<Shared>,
}

impl Service {
    /// Opens that of `cloud`, which gives `given` to whoever asks rightly; its bridge goes to `scratch`.
    ///
    /// # Errors
    /// When there is no free port, or the bridge cannot be written.
    pub fn open(cloud: Cloud, given: Given, scratch: &Path) -> Result<Self> {
        let mut bridge =
            tempfile::Builder::new().prefix("bridge-").tempfile_in(scratch).context("making the bridge")?;
        bridge.write_all(BRIDGE.as_bytes()).context("writing the bridge")?;
        let listener = TcpListener::bind("127.0.0.1:0").context("taking a free port for a metadata service")?;
        let port = listener.local_addr().context("asking for the service's port")?.port();
        let shared = Arc::new(Shared {
            cloud,
            given: Mutex::new(given),
            failing: Mutex::default(),
            asked: Mutex::default(),
            connections: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        });
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if ours.closed.load(Ordering::Relaxed) {
                    return;
                }
                ours.connections.fetch_add(1, Ordering::Relaxed);
                let ours = Arc::clone(&ours);
                // A node may go away in the middle: it is switched off.
                std::thread::spawn(move || drop(serve(client, &ours)));
            }
        });
        Ok(Self { port, bridge: bridge.into_temp_path(), shared })
    }

    /// The network of a node that reaches it.
    pub fn network(&self) -> Network {
        let command = format!("bash {} {}", self.bridge.display(), self.port);
        Network::Service(OnLink { address: self.shared.cloud.address(), command })
    }

    /// Gives something else from now on.
    pub fn gives(&self, given: Given) {
        *lock(&self.shared.given) = given;
    }

    /// Answers the next `times` requests with `status`.
    pub fn fails(&self, times: u32, status: u16) {
        *lock(&self.shared.failing) = (times, status);
    }

    /// What it was asked from the `mark`th request on; [`Service::mark`] gives marks.
    pub fn asked_since(&self, mark: usize) -> Vec<Asked> {
        lock(&self.shared.asked).get(mark..).unwrap_or_default().to_vec()
    }

    /// How many connections came so far, with a request or without.
    pub fn connections(&self) -> u32 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many requests came so far.
    pub fn mark(&self) -> usize {
        lock(&self.shared.asked).len()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for the next node.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(mut client: TcpStream, shared: &Shared) -> Result<()> {
    client.set_read_timeout(Some(SILENCE)).context("setting a time limit")?;
    client.set_write_timeout(Some(SILENCE)).context("setting a time limit")?;
    let Some((request, _)) = Head::read(&mut client)? else { return Ok(()) };
    let (method, path) = request.request()?;
    let (status, body) = match &mut *lock(&shared.failing) {
        (0, _) => shared.cloud.answer(&request, &lock(&shared.given)),
        (times, status) => {
            *times -= 1;
            (*status, String::new())
        }
    };
    lock(&shared.asked).push(Asked { method: method.to_owned(), path: path.to_owned(), status });
    let mut head = Head::answer(status, &[("Connection", "close"), ("Content-Type", "text/plain")]);
    head.set("Content-Length", &body.len().to_string());
    client.write_all(&[&head.bytes(), body.as_bytes()].concat()).context("answering a node")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    /// As QEMU does it, with the bridge between: the request on its stdin, which stays open, the answer on its stdout.
    #[test]
    fn the_bridge_carries_a_request_and_ends_with_the_answer() {
        let scratch = tempfile::tempdir().unwrap();
        let given = Given { user_data: Some("hostname = \"a\"".into()), hostname: None };
        let service = Service::open(Cloud::OpenStack, given, scratch.path()).unwrap();
        service.fails(1, 503);
        let Network::Service(OnLink { command, .. }) = service.network() else { panic!("it has no network") };
        let ask = || {
            let words: Vec<_> = command.split(' ').collect();
            let mut bridge = Command::new(words[0]);
            bridge.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut bridge = bridge.spawn().unwrap();
            let mut stdin = bridge.stdin.take().unwrap();
            stdin.write_all(b"GET /openstack/latest/user_data HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut answer = String::new();
            bridge.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
            bridge.wait().unwrap();
            answer
        };
        assert!(ask().starts_with("HTTP/1.1 503 "));
        let answer = ask();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhostname = \"a\""), "{answer}");
        let statuses: Vec<_> = service.asked_since(0).iter().map(|one| one.status).collect();
        assert_eq!(statuses, [503, 200]);
    }
}
