//! From the start of a command to its end: both directions at once.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::{Receiver, Sender},
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    super::socket::{HEARTBEAT, Reply},
    Input, Inputs, Piece,
    pipes::{Ends, Session},
};
use crate::clients::cri::Process;

/// So much is read at a time.
const PIECE_BYTES: usize = 16 << 10;

/// What a command wrote before its end is there at once; what it left running may keep the pipe open for ever.
const DRAIN: Duration = Duration::from_secs(2);

/// Starts `process` and stays with it; its exit status.
///
/// # Errors
/// If it cannot be started or waited for.
pub(super) async fn attend(
    process: &Process,
    session: &Session,
    inputs: Inputs,
    client: &mpsc::Sender<Reply>,
) -> Result<u32> {
    let Ends { stdin, stdout, stderr, kept } = session.open()?;
    process.start().await.context("starting the command")?;
    let reading = async {
        tokio::join!(pass_on(stdout, Reply::Stdout, client), pass_on(stderr, Reply::Stderr, client));
    };
    let feeding = feed(process, stdin, inputs);
    tokio::pin!(reading, feeding);
    let ended = async {
        let (mut is_read, mut is_fed) = (false, false);
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = process.wait();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                ended = &mut ended => return (ended, is_read),
                () = &mut reading, if !is_read => is_read = true,
                () = &mut feeding, if !is_fed => is_fed = true,
                // Whether anybody listens is seen elsewhere.
                _ = beat.tick() => drop(client.try_send(Reply::Working {})),
            }
        }
    };
    let (ended, is_read) = ended.await;
    drop(kept);
    if !is_read && timeout(DRAIN, reading).await.is_err() {
        log::debug!("exec: something that the command left running keeps its output open");
    }
    ended.context("waiting for the command's end")
}

/// What comes from `pipe`, until its end.
async fn pass_on(pipe: Option<Receiver>, reply: fn(Piece) -> Reply, client: &mpsc::Sender<Reply>) {
    let Some(mut pipe) = pipe else { return };
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        match pipe.read(&mut piece).await {
            Ok(0) => return,
            Ok(count) => {
                piece.truncate(count);
                // That nobody listens is seen elsewhere.
                let _ = client.send(reply(Piece(piece))).await;
            }
            Err(error) => return log::warn!("exec: reading what the command says: {error}"),
        }
    }
}

/// What the client says, until it says no more.
async fn feed(process: &Process, mut stdin: Option<Sender>, mut inputs: Inputs) {
    while let Some(input) = inputs.recv().await {
        let done = match input {
            Input::Data(Piece(bytes)) => match &mut stdin {
                Some(pipe) => pipe.write_all(&bytes).await.context("writing to the command"),
                None => Ok(()),
            },
            Input::End {} => close(process, &mut stdin).await,
            Input::Size { columns, rows } => process.resize(columns, rows).await.context("resizing its terminal"),
            Input::Signal(signal) => process.signal(signal.into()).await.context("sending a signal"),
        };
        if let Err(error) = done {
            log::debug!("exec: {error:#}");
        }
    }
    if let Err(error) = close(process, &mut stdin).await {
        log::debug!("exec: {error:#}");
    }
}

async fn close(process: &Process, stdin: &mut Option<Sender>) -> Result<()> {
    if stdin.take().is_none() {
        return Ok(());
    }
    process.close_stdin().await.context("closing the command's input")
}
