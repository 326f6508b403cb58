//! The agent's socket: one JSON line asks, JSON lines answer, the last of which is the end. Only root can open it.

use std::{fs, io::ErrorKind, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, fchmod};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixSocket, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, Semaphore, mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    answer::{is_cancelled_by_closing, replies},
    connections::Connections,
    doctor::Finding,
    exec::{Exec, Input, Piece, Shell, shell::AskedShell},
    images::ImageCommand,
    inspect::{Inspection, Subject},
    logs::Logs,
    releases::Releases,
    reset::Reset,
    status::Status,
};
use crate::{
    clients::host::Host,
    power::model::{self as power, Order},
    settings::model::{self as settings, Shown},
    update::model::{Command, Event, Failure, Outcome, Progress},
};

/// Where the agent listens.
pub const SOCKET: &str = "/run/ballast/agent.sock";

/// Who connects and says nothing, or takes no answer, is not waited for longer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Who reads what a command says may stop for a while (`ballast exec … | less`): the command waits as long.
const TAKE_WITHIN: Duration = Duration::from_secs(60);

/// So many may be connected without having asked for anything.
const SILENT: usize = 32;

/// While an operation has nothing new to report, its last word is said again this often: who waits sees that we live.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// As std's listeners have it.
const BACKLOG: u32 = 128;

/// A request is a line; more is not read. A settings document has at most 256 KiB, of which JSON makes twice as much.
const MAX_REQUEST_BYTES: u64 = 1 << 20;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The node's status.
    Status {},
    /// The releases on the node.
    Releases {},
    /// To do something about them. Closing the connection cancels it.
    Run {
        /// What.
        operation: Command,
    },
    /// The settings, and where they are from.
    Settings {},
    /// To change them. Closing the connection cancels nothing.
    Change {
        /// How.
        operation: settings::Command,
    },
    /// What was set on this node, as it was written, with its secrets.
    Document {},
    /// The metrics.
    Metrics {},
    /// The images that the container runtime has.
    Images {},
    /// To fetch or remove an image. Closing the connection ends it.
    Image {
        /// What to do.
        operation: ImageCommand,
    },
    /// To empty /var at the next boot.
    Reset {
        /// An order, or its end.
        operation: Reset,
    },
    /// To check the node.
    Doctor {},
    /// To inspect a part of the node.
    Inspect {
        /// Which.
        subject: Subject,
    },
    /// Logs, line by line. Closing the connection ends them.
    Logs(Logs),
    /// To run a command in a container. What the client says after this is [`Input`], a line each. Closing the connection ends the command.
    Exec(Exec),
    /// A shell on the node. What the client says after this is [`Input`]. Closing the connection ends it.
    Shell(Shell),
    /// What others need to see what is wrong with the node, packed. Closing the connection ends it.
    SupportBundle {},
    /// To go down, or not after all. Closing the connection takes it back, until the node's own pods end.
    Power(Order),
}

/// An image that the container runtime has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The digest of its configuration.
    pub id: String,
    /// What it is called, by tag and by digest.
    pub names: Vec<String>,
    /// What it takes on the disk, as far as the runtime knows.
    pub size_bytes: u64,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The node's status.
    Status(Box<Status>),
    /// The releases on the node.
    Releases(Releases),
    /// How far an operation is; more follows.
    Progress(Progress),
    /// An operation ended well.
    Done(Outcome),
    /// An operation did not.
    Failed(Failure),
    /// The settings, and where they are from.
    Settings(Box<Shown>),
    /// It goes on; more follows.
    Working {},
    /// What a change of settings will make different; more follows.
    Planned(settings::Planned),
    /// The settings are changed, or were so already.
    Changed(settings::Outcome),
    /// The settings are not changed.
    Unchanged(settings::Failure),
    /// A text: the metrics, the document.
    Text(String),
    /// The images that the container runtime has.
    Images(Vec<Image>),
    /// What was inspected.
    Inspected(Inspection),
    /// What was checked.
    Findings(Vec<Finding>),
    /// A line of a log, or how far something is; more follows.
    Line(String),
    /// What a command wrote, or a part of an archive; more follows.
    Stdout(Piece),
    /// What a command complained of; more follows.
    Stderr(Piece),
    /// A command ended with this status.
    Exited(u32),
    /// There is no more.
    End {},
    /// Why there is no answer.
    Error(String),
}

/// An operation that somebody asked for and waits for.
#[derive(Debug)]
pub struct Asked {
    /// What to do.
    pub command: Command,
    /// Where to report progress; closed when the client disconnects.
    pub client: mpsc::Sender<Event>,
}

/// A change of settings that somebody asked for and waits for.
#[derive(Debug)]
pub struct AskedSettings {
    /// What to do.
    pub command: settings::Command,
    /// Where to report it.
    pub client: mpsc::Sender<settings::Event>,
}

/// An order to go down that somebody waits for.
#[derive(Debug)]
pub struct AskedPower {
    /// What to do.
    pub order: Order,
    /// Where to report it.
    pub client: mpsc::Sender<power::Event>,
}

/// What the socket is given to answer with.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Where the node's files are.
    pub host: Host,
    /// The status as it was last.
    pub status: watch::Receiver<Status>,
    /// The releases as they were last.
    pub releases: watch::Receiver<Releases>,
    /// Where operations are asked for.
    pub asked: mpsc::Sender<Asked>,
    /// The settings as they were last.
    pub settings: watch::Receiver<Shown>,
    /// Where changes of them are asked for.
    pub asked_settings: mpsc::Sender<AskedSettings>,
    /// Where it is asked for going down.
    pub asked_power: mpsc::Sender<AskedPower>,
    /// Where shells are asked for.
    pub asked_shell: mpsc::Sender<AskedShell>,
    /// One shell is open at a time.
    pub shells: Arc<Semaphore>,
    /// Woken up when one is.
    pub changed: Arc<Notify>,
}

/// Starts to answer on the socket.
///
/// # Errors
/// If the socket cannot be made.
pub fn serve(host: &Host, answers: Answers) -> Result<()> {
    let listener = bind(host, SOCKET)?;
    tokio::spawn(async move {
        let mut silent = Connections::new(SILENT);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => silent.serve(None, listen(stream, answers.clone())),
                Err(error) => {
                    log::warn!("accepting on {SOCKET}: {error}");
                    sleep(DEADLINE).await;
                }
            }
        }
    });
    Ok(())
}

/// A socket at `place` that only root can open.
///
/// # Errors
/// If it cannot be made.
pub(super) fn bind(host: &Host, place: &str) -> Result<UnixListener> {
    let path = host.path(place);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing the old {place}"));
        }
        Ok(()) | Err(_) => {}
    }
    listen_at(&path).with_context(|| format!("listening on {place}"))
}

/// Closed to others from its first moment on: what is bound has the mode of the socket (unix(7)). The umask is the whole process', and other
/// threads make files.
fn listen_at(path: &Path) -> std::io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(path)?;
    socket.listen(BACKLOG)
}

/// Waits for the request. A client that has sent one no longer counts as silent, and is answered whoever else connects.
async fn listen(stream: UnixStream, answers: Answers) {
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    match request(&mut reader).await {
        Ok(line) => drop(tokio::spawn(async move {
            if let Err(error) = answer(reader, writer, &line, &answers).await {
                log::debug!("answering on {SOCKET}: {error:#}");
            }
        })),
        Err(error) => log::debug!("answering on {SOCKET}: {error:#}"),
    }
}

async fn request(reader: &mut BufReader<OwnedReadHalf>) -> Result<String> {
    let mut line = String::new();
    let mut limited = reader.take(MAX_REQUEST_BYTES);
    let request = limited.read_line(&mut line);
    timeout(DEADLINE, request).await.context("no request came")?.context("reading the request")?;
    if line.is_empty() {
        bail!("closed without a request");
    }
    Ok(line)
}

async fn answer(
    mut reader: BufReader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    line: &str,
    answers: &Answers,
) -> Result<()> {
    let request: Request = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => return say(&mut writer, &Reply::Error(format!("unknown request: {error}")), DEADLINE).await,
    };
    let is_cancelled = is_cancelled_by_closing(&request);
    let within = if matches!(request, Request::Exec(_) | Request::Shell(_)) { TAKE_WITHIN } else { DEADLINE };
    let (said, inputs) = mpsc::channel(1);
    let mut replies = replies(request, answers, inputs).await?;
    // It goes on while a reply is written: whoever says much and listens to nothing must not stop both.
    let listening = async {
        match is_cancelled {
            true => hear(&mut reader, said).await,
            false => std::future::pending().await,
        }
    };
    let sending = async {
        while let Some(reply) = replies.recv().await {
            say(&mut writer, &reply, within).await?;
        }
        Ok(())
    };
    tokio::select! {
        biased;
        sent = sending => sent,
        heard = listening => heard,
    }
}

/// Passes on what the client says, until it goes away.
async fn hear(reader: &mut BufReader<OwnedReadHalf>, said: mpsc::Sender<Input>) -> Result<()> {
    let gone = "who asked has gone away";
    loop {
        if said.is_closed() {
            // Most requests say all in their first line; what comes after it says nothing.
            let mut more = [0; 256];
            if reader.read(&mut more).await.context("reading from who asked")? == 0 {
                bail!(gone);
            }
            continue;
        }
        let input = Input::next(reader).await?.context(gone)?;
        // The command may have ended meanwhile.
        let _ = said.send(input).await;
    }
}

/// `reply` as a line.
///
/// # Errors
/// If it cannot be encoded.
pub(super) fn line(reply: &Reply) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(reply).context("encoding the reply")?;
    text.push(b'\n');
    Ok(text)
}

async fn say(stream: &mut OwnedWriteHalf, reply: &Reply, within: Duration) -> Result<()> {
    let text = line(reply)?;
    timeout(within, stream.write_all(&text)).await.context("nobody takes the reply")?.context("writing the reply")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{power::model::Action, report::exec::wanted};

    #[test]
    fn the_request_is_one_line_of_json() {
        let rollback = Request::Run { operation: Command::Rollback { reboot: true } };
        for (request, text) in [
            (Request::Status {}, r#"{"command":"status"}"#),
            (Request::Releases {}, r#"{"command":"releases"}"#),
            (rollback, r#"{"command":"run","operation":{"rollback":{"reboot":true}}}"#),
            (Request::Settings {}, r#"{"command":"settings"}"#),
            (
                Request::Logs(crate::report::logs::of_query("kernel=true&lines=5").unwrap()),
                r#"{"command":"logs","of":"kernel","follow":false,"since_secs":null,"lines":5,"previous":false,"grep":null}"#,
            ),
            (
                Request::Exec(wanted::of_query("pod=web&tty=true&command=sh").unwrap()),
                r#"{"command":"exec","namespace":null,"pod":"web","container":null,"stdin":false,"tty":true,"words":["sh"]}"#,
            ),
            (
                Request::Power(Order::now(Action::Off, false)),
                r#"{"command":"power","action":"off","force":false,"drain":false}"#,
            ),
            (
                Request::Change { operation: settings::Command::Confirm },
                r#"{"command":"change","operation":"confirm"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
        }
        assert!(serde_json::from_str::<Request>(r#"{"command":"reboot"}"#).is_err());
    }
}
