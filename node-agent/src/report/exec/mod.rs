//! Commands in containers: what the client says goes in, what the command says comes out. A client that goes away ends its command.

mod pipes;
mod session;
pub mod shell;
pub mod wanted;
pub mod wanted_shell;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt},
    sync::mpsc,
};

pub use self::{pipes::FOLDER, wanted::Exec, wanted_shell::Shell};
use self::{pipes::Session, wanted::choose};
use super::socket::Reply;
use crate::clients::{
    cri::{self, Cri},
    host::Host,
};

/// Bytes, in base64 in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Piece(pub Vec<u8>);

impl From<Piece> for String {
    fn from(piece: Piece) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.encode(piece.0)
    }
}

impl TryFrom<String> for Piece {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.decode(text).map(Self)
    }
}

/// What a client says while its command runs: a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Input {
    /// Something to read for the command.
    Data(Piece),
    /// There is no more to read.
    End {},
    /// How large the terminal is.
    Size {
        /// Its width in characters.
        columns: u16,
        /// Its height in lines.
        rows: u16,
    },
    /// A signal for the command, by its number (signal(7)).
    Signal(u8),
}

impl Input {
    /// The next line of what a client says; None at the end.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub(super) async fn next(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Self>> {
        let doing = "reading what the client says";
        let mut line = String::new();
        let count = reader.take(MAX_INPUT_BYTES).read_line(&mut line).await.context(doing)?;
        match count {
            0 => Ok(None),
            _ => serde_json::from_str(&line).map(Some).context(doing),
        }
    }
}

/// What one client says.
pub type Inputs = mpsc::Receiver<Input>;

/// A line of [`Input`] is not longer.
const MAX_INPUT_BYTES: u64 = 64 << 10;

/// Runs what `wanted` says and reports to `client` until its end, or until nobody listens any more.
pub async fn run(host: Host, wanted: Exec, inputs: Inputs, client: mpsc::Sender<Reply>) {
    let end = attend(&host, &wanted, inputs, &client).await;
    let end = end.map_or_else(|error| Reply::Error(format!("{error:#}")), Reply::Exited);
    // Nobody may listen any more.
    let _ = client.send(end).await;
}

async fn attend(host: &Host, wanted: &Exec, inputs: Inputs, client: &mpsc::Sender<Reply>) -> Result<u32> {
    let doing = "asking the container runtime";
    let cri = Cri::connect(&host.path(cri::SOCKET)).await.context(doing)?;
    let running = cri.running_in(wanted.pod.as_str()).await.context(doing)?;
    let container = choose(&running, wanted).map_err(anyhow::Error::msg)?;
    let (kept, with_stdin, with_terminal) = (container.id.clone(), wanted.stdin, wanted.tty);
    let making = move |host: &Host| Session::make(host, &kept, with_stdin, with_terminal);
    let session = host.read("making pipes for the command", making).await?;
    let made = cri.make_process(&container.id, session.id(), &wanted.command, session.pipes()).await;
    let process = made.context("making the command's process")?;
    let ended = tokio::select! {
        ended = session::attend(&process, &session, inputs, client) => ended,
        () = client.closed() => Err(anyhow::anyhow!("who asked has gone away")),
    };
    if let Err(error) = process.remove().await {
        log::warn!("exec: removing the command's process: {error:#}");
    }
    ended
}

/// Ends the commands that an agent before this one left behind: nobody reads what they say.
pub async fn end_those_left(host: Host) {
    let left = match host.read("looking for commands that were left behind", pipes::left).await {
        Ok(left) => left,
        Err(error) => return log::warn!("{error:#}"),
    };
    for session in left {
        let ended = async {
            let cri = Cri::connect(&host.path(cri::SOCKET)).await?;
            Ok::<(), anyhow::Error>(cri.process(session.container(), session.id()).remove().await?)
        };
        match ended.await {
            Ok(()) => log::info!("exec: a command that was left in container {} is ended", session.container()),
            Err(error) => log::info!("exec: a command that was left in container {}: {error:#}", session.container()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_or_none_is_refused() {
        let long = format!("{{\"data\":\"{}\"}}\n", "A".repeat(80_000));
        let mut reader = tokio::io::BufReader::new(long.as_bytes());
        assert!(Input::next(&mut reader).await.is_err());
        let mut reader = tokio::io::BufReader::new(&b"{\"signal\":9}\nhello\n"[..]);
        assert_eq!(Input::next(&mut reader).await.unwrap(), Some(Input::Signal(9)));
        assert!(Input::next(&mut reader).await.is_err());
        assert_eq!(Input::next(&mut reader).await.unwrap(), None);
    }

    #[test]
    fn what_a_client_says_is_a_line_of_json() {
        for (input, text) in [
            (Input::Data(Piece(b"a\n\xff".to_vec())), r#"{"data":"YQr/"}"#),
            (Input::End {}, r#"{"end":{}}"#),
            (Input::Size { columns: 80, rows: 24 }, r#"{"size":{"columns":80,"rows":24}}"#),
            (Input::Signal(15), r#"{"signal":15}"#),
        ] {
            assert_eq!(serde_json::to_string(&input).unwrap(), text);
            assert_eq!(serde_json::from_str::<Input>(text).unwrap(), input);
        }
        assert!(serde_json::from_str::<Input>(r#"{"data":"?"}"#).is_err());
    }
}
