//! A shell with all rights on the node: a privileged container of a toolbox, in the host's namespaces, with the host at /host. Its image is signed as
//! a release is. It ends with its client or its time, whichever comes first; its own process ends with its time even if the agent does not.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use ballast_types::split_reference;
use serde::Deserialize;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{Inputs, pipes::Session, session, wanted_shell::Shell};
use crate::{
    clients::{
        cri::{self, ContainerSpec, Cri, MountPropagation, MountSpec, Namespaces, PidNamespace, SandboxSpec, Seccomp},
        host::Host,
        worker::{self, ARTIFACTS, Registry},
    },
    pods::preloaded,
    report::socket::{Answers, HEARTBEAT, Reply},
};

/// A file for each that is open, so that the status knows of it, and the agent that comes after this one.
pub const FOLDER: &str = "/run/ballast/shell";

/// Is there once the settings said that there is to be no shell, and gone with the boot: who may change settings cannot give himself one.
pub const NEVER: &str = "/run/ballast/shell-never";

/// Sandboxes of shells have it. They have no mark of the agent's pods, which would end them.
const LABEL: &str = "os.ballast.dev/shell";

/// The loop looks at the settings and writes a policy; a disk may be slow.
const PERMIT: Duration = Duration::from_secs(60);

/// A manifest and its signatures.
const RESOLVE: Duration = Duration::from_secs(300);

/// How often, and how long after each other, it is tried to remove a shell's container.
const CLOSE_TRIES: u32 = 10;
const CLOSE_AGAIN: Duration = Duration::from_secs(1);

/// What may be fetched, and how.
#[derive(Debug)]
pub struct Permit {
    /// The toolbox.
    pub image: String,
    /// By which policy, through which proxy.
    pub registry: Registry,
}

/// Somebody asks for a shell, and waits for the loop's word.
#[derive(Debug)]
pub struct AskedShell {
    /// The image that was named.
    pub image: Option<String>,
    /// Where to say yes, or why not.
    pub reply: oneshot::Sender<Result<Permit, String>>,
}

#[derive(Deserialize)]
struct Resolved {
    digest: String,
}

/// Opens the shell that is `wanted` and tells `client` of it until its end, or until nobody listens any more.
pub async fn run(answers: Answers, wanted: Shell, inputs: Inputs, client: mpsc::Sender<Reply>) {
    let end = attend(&answers, &wanted, inputs, &client).await;
    if let Err(error) = &end {
        log::warn!("shell: {error:#}");
    }
    let end = end.map_or_else(|error| Reply::Error(format!("{error:#}")), Reply::Exited);
    // Nobody may listen any more.
    let _ = client.send(end).await;
}

async fn attend(answers: &Answers, wanted: &Shell, inputs: Inputs, client: &mpsc::Sender<Reply>) -> Result<u32> {
    let only = answers.shells.try_acquire();
    let _only = only
        .map_err(|_| anyhow!("another shell is open or on its way, and there is one at a time; see ballast status"))?;
    let host = &answers.host;
    let doing = "asking the container runtime";
    let cri = Cri::connect(&host.path(cri::SOCKET)).await.context(doing)?;
    let fetching = fetch(answers, wanted, &cri);
    let image = tokio::select! {
        image = beating(client, fetching) => image?,
        () = client.closed() => bail!("who asked has gone away"),
    };
    let mark = Mark::make(host, &image, wanted)?;
    // From here on there is something to be removed, whatever comes.
    let opened = beating(client, open(&cri, &mark.id, &image, wanted)).await;
    let ended = match opened {
        Ok(container) => {
            log::warn!("shell: {} is open with all rights, for {} s", image, wanted.secs);
            stay(host, &cri, &container, wanted, inputs, client).await
        }
        Err(error) => Err(error),
    };
    let closed = close(&cri, &mark.id).await.context("removing the shell's container");
    match &closed {
        Ok(()) => {
            log::warn!("shell: {image} is closed");
            drop(mark);
        }
        // The status goes on to say so, and the next agent tries again.
        Err(_) => mark.stays(),
    }
    ended.and_then(|status| closed.map(|()| status))
}

/// `work`, with a sign of life every few seconds.
async fn beating<T>(client: &mpsc::Sender<Reply>, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            // Whether anybody listens is seen elsewhere.
            () = sleep(HEARTBEAT) => drop(client.try_send(Reply::Working {})),
        }
    }
}

/// Has the image checked and fetched; by what it is known then. What was signed is a digest, and that is what is fetched.
async fn fetch(answers: &Answers, wanted: &Shell, cri: &Cri) -> Result<String> {
    let Permit { image, registry } = permit(answers, wanted).await?;
    let resolve = ["resolve", image.as_str()];
    let resolved = worker::run::<Resolved>(&answers.host, ARTIFACTS, &resolve, Some(&registry), RESOLVE, |_| {});
    let Resolved { digest } = resolved.await.with_context(|| format!("checking the toolbox {image}"))?;
    let (name, _, _) = split_reference(&image);
    let exact = format!("{name}@{digest}");
    cri.pull_image(&exact, None).await.with_context(|| format!("fetching {exact}"))?;
    // On a node that runs no pods nobody has imported what sandboxes need.
    if let Err(error) = preloaded::provide_all(&answers.host, cri).await {
        log::warn!("shell: importing the images of the OS: {error:#}");
    }
    // A fetch may take long, and the settings may have changed.
    permit(answers, wanted).await?;
    Ok(exact)
}

/// Asks the loop, which knows the settings.
async fn permit(answers: &Answers, wanted: &Shell) -> Result<Permit> {
    let (reply, permit) = oneshot::channel();
    let asked = AskedShell { image: wanted.image.clone(), reply };
    answers.asked_shell.send(asked).await.context("the agent is ending")?;
    answers.changed.notify_one();
    let late = || format!("the agent gave no answer within {} s", PERMIT.as_secs());
    let permit = timeout(PERMIT, permit).await.with_context(late)?.context("the agent is ending")?;
    permit.map_err(anyhow::Error::msg)
}

/// Until the settings forbid shells.
async fn forbidden(host: &Host) {
    while !host.path(NEVER).exists() {
        sleep(HEARTBEAT).await;
    }
}

/// Makes and starts the container; its id.
async fn open(cri: &Cri, id: &str, image: &str, wanted: &Shell) -> Result<String> {
    let namespaces = Namespaces { host_network: true, host_ipc: true, pid: PidNamespace::Host };
    let labels = [
        (LABEL, id),
        ("io.kubernetes.pod.name", "ballast-shell"),
        ("io.kubernetes.pod.namespace", "ballast"),
        ("io.kubernetes.pod.uid", id),
    ];
    let labels: BTreeMap<String, String> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let sandbox = SandboxSpec {
        name: "ballast-shell".to_owned(),
        namespace: "ballast".to_owned(),
        uid: id.to_owned(),
        labels: labels.clone(),
        namespaces,
        privileged: true,
        ..SandboxSpec::default()
    };
    let container = ContainerSpec {
        name: "shell".to_owned(),
        image: image.to_owned(),
        // Commands run beside it. It ends with the time, and they with it.
        command: vec!["sleep".to_owned(), wanted.secs.to_string()],
        mounts: vec![MountSpec {
            container_path: "/host".to_owned(),
            host_path: "/".to_owned(),
            read_only: false,
            propagation: Some(MountPropagation::HostToContainer),
        }],
        labels,
        privileged: true,
        run_as_user: Some(0),
        seccomp: Seccomp::Unconfined,
        namespaces,
        ..ContainerSpec::default()
    };
    let sandbox_id = cri.run_sandbox(&sandbox).await.context("starting the shell's sandbox")?;
    let id = cri.create_container(&sandbox_id, &sandbox, &container).await.context("making the shell's container")?;
    cri.start_container(&id).await.context("starting the shell's container")?;
    Ok(id)
}

/// The command, until its end, that of its time, or that of its client.
async fn stay(
    host: &Host,
    cri: &Cri,
    container: &str,
    wanted: &Shell,
    inputs: Inputs,
    client: &mpsc::Sender<Reply>,
) -> Result<u32> {
    let (kept, with_stdin, with_terminal) = (container.to_owned(), wanted.stdin, wanted.tty);
    let making = move |host: &Host| Session::make(host, &kept, with_stdin, with_terminal);
    let session = host.read("making pipes for the shell", making).await?;
    let made = cri.make_process(container, session.id(), &wanted.command, session.pipes()).await;
    let process = made.context("making the shell's process")?;
    let ended = tokio::select! {
        ended = session::attend(&process, &session, inputs, client) => ended,
        () = client.closed() => Err(anyhow!("who asked has gone away")),
        () = forbidden(host) => Err(anyhow!("debug.shell is \"never\" now, so it ends")),
        () = sleep(Duration::from_secs(wanted.secs)) => Err(anyhow!("the shell's {} s are over", wanted.secs)),
    };
    if let Err(error) = process.remove().await {
        log::warn!("shell: removing its process: {error:#}");
    }
    ended
}

/// Ends what was made for the shell `id`. containerd fails once if the shell's own process ends in that very moment.
async fn close(cri: &Cri, id: &str) -> Result<()> {
    for _ in 1..CLOSE_TRIES {
        match remove(cri, id).await {
            Ok(()) => return Ok(()),
            Err(error) => log::info!("shell: {error:#}; it is tried again"),
        }
        sleep(CLOSE_AGAIN).await;
    }
    remove(cri, id).await
}

async fn remove(cri: &Cri, id: &str) -> Result<()> {
    for sandbox in cri.sandboxes(BTreeMap::from([(LABEL.to_owned(), id.to_owned())])).await? {
        cri.stop_sandbox(&sandbox.id).await?;
        cri.remove_sandbox(&sandbox.id).await?;
    }
    Ok(())
}

/// That a shell is open. The file goes when this is dropped.
struct Mark {
    id: String,
    file: PathBuf,
}

impl Mark {
    fn make(host: &Host, image: &str, wanted: &Shell) -> Result<Self> {
        let id = format!("shell-{:016x}", fastrand::u64(..));
        let folder = host.path(FOLDER);
        let file = folder.join(&id);
        let doing = || format!("writing {}", file.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(doing)?;
        let minutes = wanted.secs.div_ceil(60);
        let text = format!("a shell with all rights on the node is open, in {image}, for at most {minutes} min");
        fs::write(&file, text).with_context(doing)?;
        Ok(Self { id, file })
    }
}

impl Mark {
    /// What it stands for could not be removed.
    fn stays(self) {
        std::mem::forget(self);
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.file) {
            log::warn!("shell: removing {}: {error}", self.file.display());
        }
    }
}

/// What the status says of those that are open.
pub fn open_ones(host: &Host) -> Vec<String> {
    marks(host).into_iter().filter_map(|mark| fs::read_to_string(mark.path()).ok()).collect()
}

fn marks(host: &Host) -> Vec<fs::DirEntry> {
    match fs::read_dir(host.path(FOLDER)) {
        Ok(entries) => entries.flatten().collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            log::warn!("reading {FOLDER}: {error}");
            Vec::new()
        }
    }
}

/// Ends the shells that an agent before this one left: nobody is at their other end.
pub async fn end_those_left(host: Host) {
    for mark in marks(&host) {
        let id = mark.file_name().to_string_lossy().into_owned();
        let closed = async {
            let cri = Cri::connect(&host.path(cri::SOCKET)).await?;
            close(&cri, &id).await
        };
        match closed.await {
            Ok(()) => {
                log::warn!("shell: one that was left open is closed");
                drop(Mark { id, file: mark.path() });
            }
            Err(error) => log::warn!("shell: closing one that was left open: {error:#}"),
        }
    }
}
