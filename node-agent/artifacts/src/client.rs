//! The image proxy as a client sees it: its protocol (skopeo-experimental-image-proxy(1)) over a socket, content through pipes. Which image may
//! be used, and whether what comes is what its digest says, the proxy knows.

use std::{
    fs::File,
    io::{IoSliceMut, Read},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Stdio},
    sync::Mutex,
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use ballast_proxy_client::{CREDENTIALS, Options, Reports};
use ballast_types::Digest;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType, recvmsg,
    send, socketpair,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Longer messages are sent by neither side.
const MAX_MESSAGE: usize = 32 * 1024;

/// As the proxy holds manifests.
const MAX_MANIFEST: u64 = 4 << 20;

/// A proxy that runs.
#[derive(Debug)]
pub struct Proxy {
    socket: Mutex<OwnedFd>,
    reports: Reports,
    child: Child,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It ends with its socket; it is not waited for, since nobody would want to know how.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An image that the policy allows.
#[derive(Debug)]
pub struct Image {
    id: u32,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its manifest, as it was signed.
    pub manifest: Vec<u8>,
}

#[derive(Deserialize)]
struct Reply {
    success: bool,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    pipeid: u32,
    #[serde(default)]
    error: String,
}

impl Proxy {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started, or does not understand us.
    pub fn start(options: &Options<'_>) -> Result<Self> {
        let doing = || format!("starting {}", options.program.display());
        let (mut command, reports) = options.command().with_context(doing)?;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).with_context(doing)?;
        if !Path::new(CREDENTIALS).exists() {
            command.arg("--no-creds");
        }
        let child = command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).spawn().with_context(doing)?;
        // It holds the other end of the socket, without which there is no end of the connection.
        drop(command);
        let proxy = Self { socket: Mutex::new(ours), reports, child };
        proxy.ask::<String>("Initialize", &json!([])).with_context(doing)?;
        Ok(proxy)
    }

    /// Opens the image called `name`, as `docker://HOST/PATH:TAG`, if the policy allows it, and gets its manifest.
    ///
    /// # Errors
    /// With the proxy's own words, and its kind of failure.
    pub fn open(&self, name: &str) -> Result<Image> {
        let (id, _) = self.ask::<u32>("OpenImage", &json!([name]))?;
        let (digest, pipe) = self.ask::<String>("GetManifest", &json!([id]))?;
        let mut manifest = Vec::new();
        self.piped(pipe, |content| {
            content.take(MAX_MANIFEST).read_to_end(&mut manifest).map(drop).context("reading the manifest")
        })?;
        Ok(Image { id, digest: digest.parse().context("reading the image's digest")?, manifest })
    }

    /// Has `read` read a blob of `image` to its end. What was read is only then known to be right when this returns without an error.
    ///
    /// # Errors
    /// If it cannot be had, is not what its digest says, or `read` fails.
    pub fn blob(
        &self,
        image: &Image,
        digest: &Digest,
        bytes: u64,
        read: impl FnOnce(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let (_, pipe) = self.ask::<u64>("GetBlob", &json!([image.id, digest.as_str(), bytes]))?;
        self.piped(pipe, read)
    }

    /// The proxy keeps a pipe open until it is asked whether all went well, and then waits for who reads: both go on at once.
    fn piped(&self, pipe: Option<(u32, File)>, read: impl FnOnce(&mut dyn Read) -> Result<()>) -> Result<()> {
        let (id, mut content) = pipe.context("the image proxy sent no pipe")?;
        thread::scope(|scope| {
            let finishing = scope.spawn(move || self.ask::<Value>("FinishPipe", &json!([id])));
            let read = read(&mut content);
            // If it was not read to its end, this ends the proxy's writing.
            drop(content);
            let finished = finishing.join().map_err(|_| anyhow!("waiting for the image proxy"))?;
            match (read, finished) {
                // What was wrong with the content says more than what came of it.
                (_, Err(error)) if error.downcast_ref::<Failure>().is_some() => Err(error),
                (Err(error), _) | (Ok(()), Err(error)) => Err(error),
                (Ok(()), Ok(_)) => Ok(()),
            }
        })
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, arguments: &Value) -> Result<(T, Option<(u32, File)>)> {
        let reply = self.exchange(method, arguments).with_context(|| format!("asking the image proxy ({method})"))?;
        let (Reply { success, value, pipeid, error }, pipe) = reply;
        if !success {
            return Err(self.reports.explain(anyhow!(error)));
        }
        let value =
            serde_json::from_value(value).with_context(|| format!("reading the image proxy's answer ({method})"))?;
        Ok((value, pipe.map(|pipe| (pipeid, File::from(pipe)))))
    }

    fn exchange(&self, method: &str, arguments: &Value) -> Result<(Reply, Option<OwnedFd>)> {
        let message = serde_json::to_vec(&json!({ "method": method, "args": arguments }))?;
        let socket = self.socket.lock().map_err(|_| anyhow!("an earlier request failed"))?;
        send(&*socket, &message, SendFlags::NOSIGNAL)?;
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&*socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let mut pipe = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                pipe = pipe.or_else(|| descriptors.next());
            }
        }
        if received == 0 {
            bail!("it ended without an answer");
        }
        Ok((serde_json::from_slice(&buffer[..received]).context("reading its answer")?, pipe))
    }
}
