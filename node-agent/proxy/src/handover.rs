//! The proxy as a service of its own: who starts it (`--service SOCKET`) hands over what it was given and waits for the end of the
//! service (`--handed-over`), which systemd starts for each connection, without privileges (image-proxy@.service).
//!
//! ```text
//!  ostree-worker ──spawns──> image-proxy --service ──one message──> image-proxy --handed-over ──executes──> image-proxy
//!        │                   root; opens the files                  nobody; no files of root's              as if spawned
//!        └────────────────────────────── the client's socket ───────────────────────────────────────────────────┘
//! ```
//!
//! Files that root alone may read go along as copies in memory. Whichever of the processes ends, the others see it and end too.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, ensure};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg, socket_with,
    },
};
use serde::{Deserialize, Serialize};

use crate::{in_root, policy::inline::with_keys};

/// The service's socket is there a few seconds after READY; an upgrade may be asked for before.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(15);
const SOCKET_INTERVAL: Duration = Duration::from_millis(100);

/// The largest message: arguments and variables.
const MAX_BYTES: usize = 64 << 10;

/// The client's socket, standard error, and as many files.
const MAX_FILES: usize = 8;

/// What of the environment the service needs: HTTP proxies, in both spellings, and authorities.
const VARIABLES: [&str; 10] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What the service is to do. The descriptors that go along are the client's socket, standard error, and those of `files`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Call {
    /// The command line.
    arguments: Vec<String>,
    /// Options whose value is one of the files, in the order of the descriptors.
    files: Vec<String>,
    environment: Vec<(String, String)>,
    #[serde(skip)]
    descriptors: Vec<OwnedFd>,
}

impl Call {
    pub(crate) fn new(arguments: impl IntoIterator<Item = String>) -> Self {
        let known = |name: &&str| env::var(name).ok().map(|value| ((*name).to_owned(), value));
        let environment = VARIABLES.iter().filter_map(known).collect();
        Self { arguments: arguments.into_iter().collect(), environment, ..Self::default() }
    }

    /// `option` names a file that is read: the service gets a copy of it, in which `change` made something else of the text.
    pub(crate) fn copy(&mut self, option: &str, file: &Path, change: impl Fn(&str) -> String) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("handing over {}", file.display()))?;
        self.give(option, &change(&text)).with_context(|| format!("handing over {}", file.display()))
    }

    /// `option` names a file that is read: the service gets `text`.
    pub(crate) fn give(&mut self, option: &str, text: &str) -> Result<()> {
        // Its mode lets everybody read it who has its descriptor, whoever that is.
        let copy = File::from(memfd_create("file", MemfdFlags::CLOEXEC).context("making a file in memory")?);
        (&copy).write_all(text.as_bytes()).context("writing a file in memory")?;
        self.files.push(option.to_owned());
        self.descriptors.push(copy.into());
        Ok(())
    }

    /// `option` names a file that the service writes to: one in memory, which whoever has its descriptor may open.
    pub(crate) fn append(&mut self, option: &str, file: &Path) -> Result<()> {
        let opened = OpenOptions::new().append(true).open(file);
        self.descriptors.push(opened.with_context(|| format!("handing over {}", file.display()))?.into());
        self.files.push(option.to_owned());
        Ok(())
    }

    /// Has the service at `socket` do it, and waits for its end.
    pub(crate) fn run(self, socket: &Path) -> Result<()> {
        let doing = || format!("asking the image proxy's service at {}", socket.display());
        let connection = reach(socket)
            .with_context(|| format!("{}: systemctl status image-proxy.socket says why it is not there", doing()))?;
        self.send(&connection).with_context(doing)?;
        drop(self);
        // It never says anything: what comes is its end.
        let mut byte = [0];
        File::from(connection).read(&mut byte).map(drop).with_context(doing)
    }

    fn send(&self, connection: &OwnedFd) -> Result<()> {
        let message = serde_json::to_vec(self).context("writing the message")?;
        ensure!(
            message.len() <= MAX_BYTES,
            "arguments and variables have {} bytes, at most {MAX_BYTES} fit",
            message.len()
        );
        let (stdin, stderr) = (io::stdin(), io::stderr());
        let mut all: Vec<BorrowedFd<'_>> = vec![stdin.as_fd(), stderr.as_fd()];
        all.extend(self.descriptors.iter().map(AsFd::as_fd));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        ensure!(control.push(SendAncillaryMessage::ScmRights(&all)), "{} files are too many", all.len());
        sendmsg(connection, &[IoSlice::new(&message)], &mut control, SendFlags::NOSIGNAL)
            .context("sending the message")?;
        Ok(())
    }

    fn receive(connection: BorrowedFd<'_>) -> Result<Self> {
        let mut bytes = vec![0; MAX_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        // Without CLOEXEC: the proxy that is executed inherits them.
        let received = recvmsg(connection, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty());
        let length = received.context("receiving what to do")?.bytes;
        let mut call: Self =
            serde_json::from_slice(bytes.get(..length).unwrap_or_default()).context("reading what to do")?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                call.descriptors.extend(descriptors);
            }
        }
        ensure!(
            call.descriptors.len() == call.files.len() + 2,
            "{} descriptors came, expected a socket, standard error and {} files",
            call.descriptors.len(),
            call.files.len()
        );
        Ok(call)
    }

    /// The command that the service becomes.
    fn command(self, program: PathBuf) -> Result<Command> {
        let mut descriptors = self.descriptors.into_iter();
        let mut next = || descriptors.next().context("a descriptor is missing");
        let (socket, stderr) = (next()?, next()?);
        let mut command = Command::new(program);
        command.args(&self.arguments).envs(self.environment);
        for option in &self.files {
            let file = next()?;
            command.arg(option).arg(format!("/proc/self/fd/{}", file.as_raw_fd()));
            // Kept open for whom this process becomes.
            std::mem::forget(file);
        }
        command.stdin(Stdio::from(socket)).stderr(Stdio::from(stderr));
        Ok(command)
    }
}

/// Becomes the proxy that whoever is at the other end of standard input asks for. Comes back only with what went wrong.
pub(crate) fn become_proxy() -> Error {
    let prepare = || {
        let stdin = io::stdin();
        let call = Call::receive(stdin.as_fd())?;
        // The connection stays open until the proxy's end, which is how the other end sees it.
        std::mem::forget(rustix::io::dup(stdin.as_fd()).context("keeping the connection")?);
        call.command(env::current_exe().context("finding this program")?)
    };
    match prepare() {
        Ok(mut command) => Error::new(command.exec()).context("executing the proxy"),
        Err(error) => error,
    }
}

/// A connection to the service.
#[expect(clippy::disallowed_methods, reason = "there is nothing else to do meanwhile")]
fn reach(socket: &Path) -> Result<OwnedFd> {
    let address = SocketAddrUnix::new(socket).context("its name")?;
    let deadline = Instant::now() + SOCKET_TIMEOUT;
    loop {
        let connection = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let connection = connection.context("making a socket")?;
        match connect(&connection, &address) {
            Ok(()) => return Ok(connection),
            Err(Errno::NOENT | Errno::CONNREFUSED) if Instant::now() < deadline => thread::sleep(SOCKET_INTERVAL),
            Err(error) => return Err(error).context("connecting"),
        }
    }
}

/// Folders of which the service sees everything.
const OPEN: [&str; 2] = ["/usr", "/etc"];

/// What a policy is to the service: with the keys in it that it does not see. One that cannot be read is an empty one to it.
pub(crate) fn whole_policy(root: &Path, text: &str) -> String {
    let is_open = |file: &str| OPEN.iter().any(|folder| Path::new(file).starts_with(folder));
    with_keys(text, |files| {
        let key = |file: &&str| {
            fs::read(in_root(root, file)).unwrap_or_else(|error| {
                log::warn!("{file}, a key that the policy names, cannot be read: {error}");
                Vec::new()
            })
        };
        (!files.iter().all(|file| is_open(file))).then(|| files.iter().map(key).collect())
    })
}

#[cfg(test)]
mod tests {
    use rustix::net::socketpair;

    use super::*;

    #[test]
    fn what_is_handed_over_arrives() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, failures) = (folder.path().join("auth.json"), folder.path().join("failures"));
        fs::write(&secret, "one").unwrap();
        fs::write(&failures, "").unwrap();
        let (here, there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let mut call = Call::new(["--attempts".to_owned(), "3".to_owned()]);
        call.copy("--authfile", &secret, |text| format!("{text} and two")).unwrap();
        call.append("--failures", &failures).unwrap();
        call.send(&here).unwrap();
        let call = Call::receive(there.as_fd()).unwrap();
        let command = call.command("sh".into()).unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words[..3], ["--attempts", "3", "--authfile"]);
        assert_eq!(fs::read_to_string(&words[3]).unwrap(), "one and two");
        OpenOptions::new().append(true).open(&words[5]).unwrap().write_all(b"x").unwrap();
        assert_eq!(fs::read_to_string(&failures).unwrap(), "x");
    }

    #[test]
    fn a_key_that_cannot_be_used_costs_only_itself() {
        const PEM: &str = include_str!("../tests/fixtures/skopeo/key.pub");
        // As `openssl pkey -pubin -in key.pub -outform DER | sha256sum` says it.
        const FINGERPRINT: &str = "sha256:846d8d04784168862123d3fe8df071f22e3eb3772b011290fbe17d89edea0d22";
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        // The last letters of the key are those of its point.
        let at = PEM.rfind("-----END").unwrap() - 8;
        let other = format!("{}{}{}", &PEM[..at], if &PEM[at..=at] == "A" { "B" } else { "A" }, &PEM[at + 1..]);
        write("usr/lib/ballast/keys/revoked.pub", PEM);
        write("usr/lib/ballast/keys/empty.pub", "");
        write("var/lib/ballast/keys/good.pub", &other);
        let whole = |names: &[&str]| {
            let policy = serde_json::json!({"default": [{"type": "sigstoreSigned", "keyPaths": names, "revokedKeys": [FINGERPRINT]}]});
            let text = whole_policy(folder.path(), &policy.to_string());
            assert!(!text.contains("keyPaths"), "{text}");
            let read = |file: &str| anyhow::bail!("{file} is for root alone");
            crate::policy::model::Policy::parse(&text).and_then(|mut policy| policy.load_keys(read))
        };
        let (revoked, good) = ("/usr/lib/ballast/keys/revoked.pub", "/var/lib/ballast/keys/good.pub");
        whole(&[revoked, good]).unwrap();
        whole(&[good, "/usr/lib/ballast/keys/empty.pub", "/var/lib/ballast/keys/missing.pub"]).unwrap();
        let error = format!("{:#}", whole(&[revoked, "/var/lib/ballast/keys/missing.pub"]).unwrap_err());
        assert!(error.contains("none of the keys can be used: key 1 of keyData: this key was revoked"), "{error}");
    }

    #[test]
    fn a_message_that_is_none_is_refused() {
        let (here, there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        rustix::io::write(&here, b"{\"arguments\":[],\"files\":[\"--policy\"],\"environment\":[]}").unwrap();
        let error = Call::receive(there.as_fd()).unwrap_err().to_string();
        assert!(error.starts_with("0 descriptors came"), "{error}");
    }
}
