//! The image proxy as a client sees it: its protocol (skopeo-experimental-image-proxy(1)) over a socket, content through pipes. Which image may
//! be used, and whether what comes is what its digest says, the proxy knows.

use std::{
    fs::File,
    io::{IoSliceMut, Read, Seek, SeekFrom},
    mem::MaybeUninit,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
};

use anyhow::{Context, Error, Result, anyhow, bail};
use ballast_types::Digest;
use rustix::{
    fs::{MemfdFlags, memfd_create},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
        recvmsg, send, socketpair,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};

/// The program.
pub const PROGRAM: &str = "/usr/lib/ballast/image-proxy";

/// Its service (image-proxy.socket), which has no privileges.
const SERVICE: &str = "/run/image-proxy.sock";

/// Where the containers tools of root keep what `login` wrote.
const USUAL_CREDENTIALS: &str = "/run/containers/0/auth.json";

/// Longer messages are sent by neither side.
const MAX_MESSAGE: usize = 32 * 1024;

/// As the proxy holds manifests.
const MAX_MANIFEST: u64 = 4 << 20;

/// How the proxy is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program.
    pub program: PathBuf,
    /// Whether its service does the work: on a node.
    pub is_service: bool,
    /// The signature policy, in place of /etc/containers/policy.json.
    pub policy: Option<PathBuf>,
    /// How long a registry may send nothing, in seconds.
    pub idle_timeout: Option<f64>,
    /// How often a registry may fail in a row.
    pub attempts: Option<u32>,
}

/// A proxy that runs.
#[derive(Debug)]
pub struct Proxy {
    socket: Mutex<OwnedFd>,
    failures: File,
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

#[derive(Deserialize)]
struct Said {
    kind: Kind,
    message: String,
}

impl Proxy {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started, or does not understand us.
    pub fn start(options: &Options) -> Result<Self> {
        let doing = || format!("starting {}", options.program.display());
        // In memory, and gone with the last process that has it; without CLOEXEC, since the proxy shall inherit it.
        let failures = memfd_create("failures", MemfdFlags::empty()).with_context(doing)?;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).with_context(doing)?;
        let mut command = Command::new(&options.program);
        command.arg("--failures").arg(format!("/proc/self/fd/{}", failures.as_raw_fd()));
        if options.is_service {
            command.args(["--service", SERVICE]);
        }
        if let Some(policy) = &options.policy {
            command.arg("--policy").arg(policy);
        }
        if let Some(secs) = options.idle_timeout {
            command.arg("--idle-timeout").arg(secs.to_string());
        }
        if let Some(attempts) = options.attempts {
            command.arg("--attempts").arg(attempts.to_string());
        }
        if !Path::new(USUAL_CREDENTIALS).exists() {
            command.arg("--no-creds");
        }
        let child = command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).spawn().with_context(doing)?;
        // It holds the other end of the socket, without which there is no end of the connection.
        drop(command);
        let proxy = Self { socket: Mutex::new(ours), failures: failures.into(), child };
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
            return Err(self.explain(error));
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

    /// The error as the proxy knew it: its protocol has only words.
    fn explain(&self, error: String) -> Error {
        let mut text = String::new();
        let mut failures = &self.failures;
        let read = failures.seek(SeekFrom::Start(0)).and_then(|_| failures.read_to_string(&mut text));
        let said = text.lines().filter_map(|line| serde_json::from_str::<Said>(line).ok()).next_back();
        match (read, said) {
            (Ok(_), Some(Said { kind, message })) => Failure::new(kind, message).into(),
            (Ok(_) | Err(_), _) => anyhow!(error),
        }
    }
}
