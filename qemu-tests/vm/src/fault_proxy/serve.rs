//! One connection of a client: one request, passed on to the registry, and its answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ServerConnection, StreamOwned};

use super::body::{self, End};
use super::fault::{Fault, strike};
use super::head::Head;
use super::{SILENCE, Served, Shared, lock};

type Client = StreamOwned<ServerConnection, TcpStream>;

/// How often a stalled connection is looked at, whether the client or the fault proxy is gone.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub(super) fn serve(client: TcpStream, shared: &Arc<Shared>) -> Result<()> {
    client.set_read_timeout(Some(SILENCE)).context("setting a time limit")?;
    client.set_write_timeout(Some(SILENCE)).context("setting a time limit")?;
    let tls = Arc::clone(&lock(&shared.tls));
    let session = ServerConnection::new(tls).context("preparing TLS")?;
    let mut client = StreamOwned::new(session, client);
    let Some((request, _)) = Head::read(&mut client)? else { return Ok(()) };
    let (method, path) = request.request()?;
    let fault = strike(&mut lock(&shared.rules), path);
    let log = Log::new(shared, method, path);
    match &fault {
        Some(Fault::Drop) => return Ok(()),
        Some(Fault::Status(status)) => {
            log.status(*status);
            let basic = [("WWW-Authenticate", "Basic realm=\"test\"")];
            send(&mut client, &Head::answer(*status, if *status == 401 { &basic } else { &[] }))?;
        }
        _ => pass_on(&mut client, &request, fault.as_ref(), &log, shared)?,
    }
    client.conn.send_close_notify();
    client.flush().context("ending the connection")
}

fn pass_on(client: &mut Client, request: &Head, fault: Option<&Fault>, log: &Log<'_>, shared: &Shared) -> Result<()> {
    let mut backend = TcpStream::connect(shared.backend).context("calling the registry")?;
    backend.set_read_timeout(Some(SILENCE)).context("setting a time limit")?;
    let mut request = request.clone();
    request.set("Connection", "close");
    backend.write_all(&request.bytes()).context("asking the registry")?;
    let (mut answer, rest) = Head::read(&mut backend)?.context("the registry said nothing")?;
    answer.set("Connection", "close");
    let start = answer.starts_at();
    let mut length = answer.get("content-length").and_then(|text| text.parse::<u64>().ok());
    if let (Some(Fault::Truncate { at }), Some(whole)) = (fault, length) {
        let left = at.saturating_sub(start).min(whole);
        if start >= *at {
            log.status(416);
            return send(client, &Head::answer(416, &[("Content-Range", &format!("bytes */{at}"))]));
        }
        length = Some(left);
        answer.set("Content-Length", &left.to_string());
        if answer.get("content-range").is_some() {
            answer.set("Content-Range", &format!("bytes {start}-{}/{at}", start + left - 1));
        }
    }
    log.status(answer.status()?);
    send(client, &answer)?;
    if request.request()?.0 == "HEAD" {
        return Ok(());
    }
    let mut source = rest.as_slice().chain(backend);
    match body::pass(&mut source, client, length, start, fault, |bytes| log.sent(bytes))? {
        End::Whole => Ok(()),
        End::Stalled => wait_for_the_end(client, shared),
        // Without TLS' own goodbye, as when a cable is cut.
        End::Cut => client.sock.shutdown(std::net::Shutdown::Both).context("cutting the connection"),
    }
}

fn send(client: &mut Client, head: &Head) -> Result<()> {
    client.write_all(&head.bytes()).and_then(|()| client.flush()).context("answering the client")
}

/// Says nothing more until the client hangs up or the fault proxy closes.
fn wait_for_the_end(client: &mut Client, shared: &Shared) -> Result<()> {
    client.sock.set_read_timeout(Some(POLL_INTERVAL)).context("setting a time limit")?;
    let mut byte = [0];
    loop {
        match client.sock.peek(&mut byte) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            // What a client may still say, it says to nobody.
            Ok(1..) => std::thread::sleep(POLL_INTERVAL),
            Ok(0) | Err(_) => return Ok(()),
        }
        if shared.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
}

/// The line of this request in what was served; it grows while the answer goes out.
struct Log<'a> {
    shared: &'a Shared,
    index: usize,
}

impl<'a> Log<'a> {
    fn new(shared: &'a Shared, method: &str, path: &str) -> Self {
        let mut served = lock(&shared.served);
        served.push(Served { method: method.into(), path: path.into(), status: 0, sent: 0 });
        Self { shared, index: served.len() - 1 }
    }

    fn status(&self, status: u16) {
        self.change(|served| served.status = status);
    }

    fn sent(&self, bytes: u64) {
        self.change(|served| served.sent += bytes);
    }

    fn change(&self, change: impl FnOnce(&mut Served)) {
        if let Some(line) = lock(&self.shared.served).get_mut(self.index) {
            change(line);
        }
    }
}
