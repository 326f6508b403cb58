//! `ballast exec`: a command in a container.

use std::{
    io::{ErrorKind, IsTerminal, Read, Write},
    process::ExitCode,
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use super::{
    ask::{Conversation, unexpected},
    node::Node,
    terminal::{self, Raw},
};
use crate::report::{
    exec::{Exec, Input, Piece, wanted},
    logs::Name,
    socket::{Reply, Request},
};

/// So much is read at a time; a line of JSON with it is shorter than what the agent takes.
const PIECE_BYTES: usize = 16 << 10;

/// Exit status of who was interrupted (128 and SIGINT's number).
const INTERRUPTED: i32 = 130;

/// Runs a command in a container of a pod, also of a cluster's
///
/// The command ends when this one is ended. Ctrl-C is passed on to it; without a terminal a second one ends the wait.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ballast exec -it web -- sh\n\nExit status: the command's; 1 also if it could not be run; 2 wrong usage."
)]
pub(super) struct Arguments {
    /// POD or NAMESPACE/POD
    pod: String,

    /// The container; needed if the pod has several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,

    /// The command reads what is typed here
    #[arg(short = 'i', long)]
    stdin: bool,

    /// The command has a terminal
    #[arg(short, long)]
    tty: bool,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(arguments: Arguments, node: &Node) -> Result<ExitCode> {
    let Arguments { pod, container, stdin, tty, command } = arguments;
    let (namespace, pod) = wanted::pod_of(&pod).map_err(|why| anyhow!(why))?;
    let container = container.map(Name::try_from).transpose().map_err(|why| anyhow!(why))?;
    if tty && !std::io::stdin().is_terminal() {
        bail!("-t needs a terminal here, too; leave it out");
    }
    attend(node, "exec", &Request::Exec(Exec { namespace, pod, container, stdin, tty, command }), stdin, tty)
}

/// Has what is `wanted` run for the command `name` and stays with it until its end; `stdin` and `tty` say what it gets from here.
///
/// # Errors
/// If it cannot be run.
pub(super) fn attend(node: &Node, name: &str, wanted: &Request, stdin: bool, tty: bool) -> Result<ExitCode> {
    let (say, inputs) = mpsc::channel(4);
    if tty && let Some((columns, rows)) = terminal::size() {
        say.try_send(Input::Size { columns, rows }).context("telling the terminal's size")?;
    }
    let mut talk = Conversation::with_inputs(node, name, wanted, Some(inputs), true)?;
    let raw = tty.then(Raw::begin).transpose()?;
    let listener = say.clone();
    let (caught, is_caught) = std::sync::mpsc::sync_channel(1);
    thread::spawn(move || pass_on_signals(&listener, tty, &caught));
    // Before the command says its first word: who waits for that may end it. An error closes the channel.
    let _ = is_caught.recv();
    if stdin {
        thread::spawn(move || pass_on_stdin(&say));
    }
    let end = print(&mut talk);
    drop(raw);
    end
}

fn print(talk: &mut Conversation) -> Result<ExitCode> {
    loop {
        let reply = talk.next()?;
        if let Reply::Stdout(Piece(bytes)) = reply {
            write(std::io::stdout().lock(), &bytes)?;
        } else if let Reply::Stderr(Piece(bytes)) = reply {
            write(std::io::stderr().lock(), &bytes)?;
        } else if let Reply::Exited(status) = reply {
            // What is more than a byte is no exit status.
            return Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)));
        } else if !matches!(reply, Reply::Working {}) {
            bail!(unexpected(&reply));
        }
    }
}

/// That nobody reads on ends the command: the connection is closed.
fn write(mut out: impl Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).and_then(|()| out.flush()).context("passing on what the command says")
}

fn pass_on_stdin(say: &mpsc::Sender<Input>) {
    let mut stdin = std::io::stdin().lock();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let input = match stdin.read(&mut piece) {
            Ok(0) => Input::End {},
            Ok(count) => Input::Data(Piece(piece.get(..count).unwrap_or_default().to_vec())),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                eprintln!("ballast: reading from standard input: {error}");
                Input::End {}
            }
        };
        let is_over = matches!(input, Input::End {});
        if say.blocking_send(input).is_err() || is_over {
            return;
        }
    }
}

/// Signals that come for us are for the command; with a terminal Ctrl-C is a character like others.
fn pass_on_signals(say: &mpsc::Sender<Input>, tty: bool, caught: &std::sync::mpsc::SyncSender<()>) {
    let waited = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        runtime.block_on(async {
            let resized = signal(SignalKind::window_change())?;
            let interrupt = signal(SignalKind::interrupt())?;
            let terminate = signal(SignalKind::terminate())?;
            let _ = caught.send(());
            wait_for_signals(say, tty, resized, interrupt, terminate).await;
            Ok(())
        })
    });
    if let Err(error) = waited {
        eprintln!("ballast: waiting for signals: {error}");
    }
}

async fn wait_for_signals(
    say: &mpsc::Sender<Input>,
    tty: bool,
    mut resized: Signal,
    mut interrupt: Signal,
    mut terminate: Signal,
) {
    let mut is_interrupted = false;
    loop {
        let kind = tokio::select! {
            _ = resized.recv() => None,
            _ = interrupt.recv() => Some(SignalKind::interrupt()),
            _ = terminate.recv() => Some(SignalKind::terminate()),
        };
        let input = match kind {
            None => match terminal::size().filter(|_| tty) {
                Some((columns, rows)) => Input::Size { columns, rows },
                None => continue,
            },
            Some(_) if is_interrupted => std::process::exit(INTERRUPTED),
            Some(kind) => {
                is_interrupted = true;
                Input::Signal(u8::try_from(kind.as_raw_value()).unwrap_or_default())
            }
        };
        if say.send(input).await.is_err() {
            return;
        }
    }
}
