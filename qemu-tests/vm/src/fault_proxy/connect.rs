//! An HTTP proxy that knows CONNECT only (RFC 9110, 9.3.6): what a node behind a company's proxy has to go through.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};

use super::head::Head;
use super::{SILENCE, lock};

#[derive(Default)]
struct Shared {
    targets: Mutex<Vec<String>>,
    bytes: AtomicU64,
    closed: AtomicBool,
}

/// The proxy: open until it is dropped.
pub struct ConnectProxy {
    /// Its port on 127.0.0.1, which a guest reaches as 10.0.2.2
    pub port: u16,
    shared: Arc<Shared>,
}

impl ConnectProxy {
    /// Opens it on a free port. All that is asked for is looked for on this host: `NAME:PORT` is 127.0.0.1:PORT.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("taking a free port for the proxy")?;
        let port = listener.local_addr().context("asking for the proxy's port")?.port();
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if ours.closed.load(Ordering::Relaxed) {
                    return;
                }
                let ours = Arc::clone(&ours);
                std::thread::spawn(move || drop(tunnel(client, &ours)));
            }
        });
        Ok(Self { port, shared })
    }

    /// Whom clients wanted to reach, in order.
    pub fn targets(&self) -> Vec<String> {
        lock(&self.shared.targets).clone()
    }

    /// Bytes that came back through it.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // As with the fault proxy: wakes the thread that waits for the next client.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn tunnel(mut client: TcpStream, shared: &Arc<Shared>) -> Result<()> {
    client.set_read_timeout(Some(SILENCE)).context("setting a time limit")?;
    let Some((request, early)) = Head::read(&mut client)? else { return Ok(()) };
    let ("CONNECT", target) = request.request()? else { bail!("this proxy knows only CONNECT: {}", request.first) };
    lock(&shared.targets).push(target.to_owned());
    let port: u16 = target.rsplit(':').next().and_then(|port| port.parse().ok()).context("CONNECT without a port")?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).context("calling the target")?;
    server.set_read_timeout(Some(SILENCE)).context("setting a time limit")?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").context("answering CONNECT")?;
    server.write_all(&early).context("passing on what came early")?;
    let (mut from, mut to) = (client.try_clone().context("sharing")?, server.try_clone().context("sharing")?);
    std::thread::spawn(move || {
        // Either side may go away at any time.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let copied = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    shared.bytes.fetch_add(copied.context("passing back")?, Ordering::Relaxed);
    Ok(())
}
