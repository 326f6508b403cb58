//! A fault proxy before the registry: it ends TLS, passes requests on, counts what it gives out, and breaks what it is asked to break.
//!
//! ```text
//!  node ──TLS──> FaultProxy ──HTTP, one request a connection──> docker-registry
//!                 │ certificate: good | of a stranger | expired
//!                 │ faults by kind of request: drop, stall, cut, throttle, status, truncate, flip
//!                 └ Served: what was asked for, what was answered, how many bytes of it went out
//! ```

mod body;
mod connect;
mod fault;
pub(crate) mod head;
mod serve;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ServerConfig;

pub use connect::ConnectProxy;
pub use fault::{Fault, On, Times};

use self::fault::Rule;

/// A client that is silent for so long is gone; ours gives up after 30 s.
const SILENCE: Duration = Duration::from_secs(120);

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// `GET` or `HEAD`
    pub method: String,
    /// What was asked for
    pub path: String,
    /// What was answered; 0 for no answer at all
    pub status: u16,
    /// Bytes of the body that went out
    pub sent: u64,
}

impl Served {
    /// Whether it was a layer or a configuration.
    pub fn is_blob(&self) -> bool {
        self.path.contains("/blobs/") && self.method == "GET"
    }
}

/// What the threads of a fault proxy share with its handle.
struct Shared {
    backend: SocketAddr,
    rules: Mutex<Vec<Rule>>,
    tls: Mutex<Arc<ServerConfig>>,
    served: Mutex<Vec<Served>>,
    closed: AtomicBool,
}

/// The fault proxy: open until it is dropped.
pub struct FaultProxy {
    /// Its port on 127.0.0.1, which a guest reaches as 10.0.2.2
    pub port: u16,
    shared: Arc<Shared>,
}

impl FaultProxy {
    /// Opens a fault proxy before the registry at `backend`, on a free port of the loopback.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn open(backend: SocketAddr, tls: Arc<ServerConfig>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("taking a free port for the fault proxy")?;
        let port = listener.local_addr().context("asking for the fault proxy's port")?.port();
        let shared = Arc::new(Shared {
            backend,
            rules: Mutex::default(),
            tls: Mutex::new(tls),
            served: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &ours));
        Ok(Self { port, shared })
    }

    /// From now on `fault` strikes the requests that are `on`, so often; rules that are older come first.
    pub fn breaks(&self, on: On, fault: Fault, times: Times) {
        lock(&self.shared.rules).push(Rule { on, fault, times });
    }

    /// Nothing goes wrong any more.
    pub fn heals(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Shows another certificate from now on.
    pub fn shows(&self, tls: Arc<ServerConfig>) {
        *lock(&self.shared.tls) = tls;
    }

    /// What was served from the `mark`th request on; [`FaultProxy::mark`] gives marks.
    pub fn served_since(&self, mark: usize) -> Vec<Served> {
        lock(&self.shared.served).get(mark..).unwrap_or_default().to_vec()
    }

    /// How many requests came so far.
    pub fn mark(&self) -> usize {
        lock(&self.shared.served).len()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for the next client; if it is gone already there is nobody to wake.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        // A client that goes away in the middle is what these tests are about: nobody needs to know.
        std::thread::spawn(move || drop(serve::serve(client, &shared)));
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
