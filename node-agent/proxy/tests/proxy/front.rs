//! A fault proxy before a registry that does wrong on purpose: answers in its place, cuts connections, falls silent, and writes
//! down what it was asked. Also plays the HTTP proxy.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// How a TLS connection begins. This fault proxy has no such thing.
const TLS: [u8; 1] = [0x16];

/// What happens to the next request whose path contains the text beside it.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Status line and headers, and a body.
    Answer(String, &'static str),
    /// The connection breaks after so many bytes of the answer.
    Cut(usize),
    /// Nothing more comes after so many bytes of the answer, but the connection stays.
    Stall(usize),
}

#[derive(Default)]
struct Script {
    faults: VecDeque<(&'static str, Fault)>,
    heads: Vec<String>,
}

pub(crate) struct Front {
    /// As `127.0.0.1:PORT`.
    pub(crate) address: String,
    script: Arc<Mutex<Script>>,
}

impl Front {
    /// Stands before `upstream`.
    pub(crate) fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::<Mutex<Script>>::default();
        let (upstream, its_script) = (upstream.to_owned(), Arc::clone(&script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (upstream, script) = (upstream.clone(), Arc::clone(&its_script));
                thread::spawn(move || serve(stream.unwrap(), &upstream, &script));
            }
        });
        Self { address, script }
    }

    pub(crate) fn expect(&self, path: &'static str, fault: Fault) {
        self.script.lock().unwrap().faults.push_back((path, fault));
    }

    /// The heads of all questions with that text in their first line.
    pub(crate) fn asked(&self, text: &str) -> Vec<String> {
        let script = self.script.lock().unwrap();
        script.heads.iter().filter(|head| head.lines().next().unwrap().contains(text)).cloned().collect()
    }

    /// Faults that did not come to pass.
    pub(crate) fn left(&self) -> usize {
        self.script.lock().unwrap().faults.len()
    }
}

fn serve(mut client: TcpStream, upstream: &str, script: &Mutex<Script>) {
    // Errors of a connection are the other side's to see; each request has a connection of its own.
    let _ = answer(&mut client, upstream, script);
    let _ = client.shutdown(Shutdown::Both);
}

fn answer(client: &mut TcpStream, upstream: &str, script: &Mutex<Script>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        if byte == TLS {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let fault = {
        let mut script = script.lock().unwrap();
        script.heads.push(head.clone());
        let is_next = script.faults.front().is_some_and(|(path, _)| line.contains(path));
        if is_next { script.faults.pop_front().map(|(_, fault)| fault) } else { None }
    };
    let limit = match &fault {
        Some(Fault::Answer(head, body)) => {
            let length = body.len();
            return write!(client, "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        }
        Some(Fault::Cut(bytes) | Fault::Stall(bytes)) => *bytes,
        None => usize::MAX,
    };
    let tunnel = line.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let mut server = TcpStream::connect(tunnel.unwrap_or(upstream))?;
    if tunnel.is_some() {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let (mut to, mut from) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || io::copy(&mut from, &mut to));
    } else {
        server.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    }
    let mut sent = 0;
    let mut piece = [0; 16 * 1024];
    while sent < limit {
        let bytes = server.read(&mut piece)?.min(limit - sent);
        if bytes == 0 {
            return Ok(());
        }
        client.write_all(&piece[..bytes])?;
        sent += bytes;
    }
    if matches!(fault, Some(Fault::Stall(_))) {
        // Longer than the client's timeout; it hangs up, and then this ends.
        client.set_read_timeout(Some(Duration::from_secs(30)))?;
        let _ = client.read(&mut piece)?;
    }
    Ok(())
}
