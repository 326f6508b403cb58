//! From the start of a command to its end: both directions at once.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::{Receiver, Sender},
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    super::socket::{HEARTBEAT, Reply},
    Input, Inputs, Piece,
    pipes::{Ends, Session},
};
use crate::clients::cri::Process;

/// So much is read at a time.
const PIECE_BYTES: usize = 16 << 10;

/// What is read once a command has ended: what it wrote before is there at once, and what it left running may keep the pipe open for ever.
#[derive(Debug, Clone, Copy)]
struct Drain {
    /// With nothing to read for so long, all is read. While a client takes its time nobody reads, and it does not count.
    silence: Duration,
    /// So long is waited in all for something to read,
    waiting: Duration,
    /// and so much is read. What comes then is not the command's: pipes hold less.
    bytes: usize,
}

const DRAIN: Drain = Drain { silence: Duration::from_secs(2), waiting: Duration::from_secs(60), bytes: 4 << 20 };

/// Starts `process` and stays with it; its exit status.
///
/// # Errors
/// If it cannot be started or waited for, or not all that it wrote was passed on.
pub(super) async fn attend(
    process: &Process,
    session: &Session,
    inputs: Inputs,
    client: &mpsc::Sender<Reply>,
) -> Result<u32> {
    let Ends { stdin, stdout, stderr, kept } = session.open()?;
    process.start().await.context("starting the command")?;
    let (end, is_ended) = watch::channel(false);
    let reading = async {
        let (stdout, stderr) = tokio::join!(
            pass_on(stdout, Reply::Stdout, client, &is_ended, DRAIN),
            pass_on(stderr, Reply::Stderr, client, &is_ended, DRAIN)
        );
        stdout.and(stderr)
    };
    let feeding = feed(process, stdin, inputs);
    tokio::pin!(reading, feeding);
    let ended = async {
        let (mut read, mut is_fed) = (None, false);
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = process.wait();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                ended = &mut ended => return (ended, read),
                all = &mut reading, if read.is_none() => read = Some(all),
                () = &mut feeding, if !is_fed => is_fed = true,
                // Whether anybody listens is seen elsewhere.
                _ = beat.tick() => drop(client.try_send(Reply::Working {})),
            }
        }
    };
    let (ended, read) = ended.await;
    drop(kept);
    end.send_replace(true);
    let read = match read {
        Some(read) => read,
        None => reading.await,
    };
    let status = ended.context("waiting for the command's end")?;
    read.with_context(|| format!("the command ended with status {status}, but this may not be all that it said"))?;
    Ok(status)
}

/// What comes from `pipe`, until its end, or until nothing more comes of a command that has ended.
///
/// # Errors
/// If something is left that was not passed on.
async fn pass_on(
    pipe: Option<Receiver>,
    reply: fn(Piece) -> Reply,
    client: &mpsc::Sender<Reply>,
    is_ended: &watch::Receiver<bool>,
    drain: Drain,
) -> Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let (mut waited, mut bytes) = (Duration::ZERO, 0);
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let (was_ended, begun) = (*is_ended.borrow(), Instant::now());
        let read = tokio::select! {
            biased;
            read = pipe.read(&mut piece) => read,
            () = silence(is_ended.clone(), drain.silence) => {
                log::debug!("exec: something that the command left running keeps its output open");
                return Ok(());
            }
        };
        let count = read.context("reading what the command says")?;
        if count == 0 {
            return Ok(());
        }
        piece.truncate(count);
        if was_ended {
            waited += begun.elapsed();
            bytes += count;
        }
        // That nobody listens is seen elsewhere.
        let _ = client.send(reply(Piece(piece))).await;
        if waited > drain.waiting || bytes > drain.bytes {
            bail!("something that it left running goes on and on");
        }
    }
}

/// Until the command has ended and this time has passed.
async fn silence(mut is_ended: watch::Receiver<bool>, time: Duration) {
    // It does not end before it gets the word: whoever sends it lives as long.
    let _ = is_ended.wait_for(|is_ended| *is_ended).await;
    sleep(time).await;
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

#[cfg(test)]
mod tests {
    use tokio::net::unix::pipe::pipe;

    use super::*;

    const QUICK: Drain =
        Drain { silence: Duration::from_millis(200), waiting: Duration::from_secs(1), bytes: 256 << 10 };

    /// What a client got that takes `pause` for each piece, from a command that has ended.
    async fn taken(pipe: Receiver, pause: Duration, drain: Drain) -> (Result<()>, usize) {
        let (client, mut replies) = mpsc::channel(1);
        let (_end, is_ended) = watch::channel(true);
        let passing = async move { pass_on(Some(pipe), Reply::Stdout, &client, &is_ended, drain).await };
        let taking = async {
            let mut bytes = 0;
            while let Some(reply) = replies.recv().await {
                let Reply::Stdout(Piece(piece)) = reply else { continue };
                bytes += piece.len();
                sleep(pause).await;
            }
            bytes
        };
        tokio::join!(passing, taking)
    }

    #[tokio::test]
    async fn a_client_that_takes_its_time_gets_all() {
        let (mut writer, reader) = pipe().unwrap();
        // What a pipe holds: four pieces. The writer stays: as if something was left running that says nothing.
        writer.write_all(&[b'x'; 64 << 10]).await.unwrap();
        let (ended, bytes) = taken(reader, QUICK.silence * 2, QUICK).await;
        ended.unwrap();
        assert_eq!(bytes, 64 << 10);
        drop(writer);
    }

    #[tokio::test]
    async fn what_is_left_running_and_says_something_does_not_hold_it_for_ever() {
        for (piece, pause) in [(PIECE_BYTES, Duration::ZERO), (1, QUICK.silence / 4)] {
            let (mut writer, reader) = pipe().unwrap();
            let talk = tokio::spawn(async move {
                while writer.write_all(&vec![b'x'; piece]).await.is_ok() {
                    sleep(pause).await;
                }
            });
            let (ended, bytes) = taken(reader, Duration::ZERO, QUICK).await;
            assert!(ended.unwrap_err().to_string().contains("left running"), "{piece}");
            assert!(bytes > piece && bytes <= QUICK.bytes + PIECE_BYTES, "{bytes}");
            talk.await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_ends_its_output_is_waited_for_no_longer() {
        let (mut writer, reader) = pipe().unwrap();
        writer.write_all(b"hello").await.unwrap();
        drop(writer);
        let drain = Drain { silence: Duration::from_secs(600), ..QUICK };
        let (ended, bytes) = taken(reader, Duration::ZERO, drain).await;
        assert!(ended.is_ok() && bytes == 5, "{bytes}");
    }
}
