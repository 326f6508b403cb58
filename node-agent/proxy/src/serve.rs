//! One client from its first request to its last.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;

use crate::{
    protocol::{message::Reply, socket::Socket},
    session::Session,
};

/// What the command line says.
pub(crate) struct Options {
    /// Where the configuration lies: `/`, but for tests.
    pub(crate) root: PathBuf,
    /// The number of the descriptor that is the socket to the client.
    pub(crate) socket: i32,
    /// The policy, if it is not the usual file.
    pub(crate) policy: Option<PathBuf>,
    /// Where each failure is told, with its kind, one JSON object a line.
    pub(crate) failures: Option<PathBuf>,
    /// A file as in containers-auth.json(5).
    pub(crate) credentials: Option<PathBuf>,
    /// A folder with certificates for all registries, in place of the one for each.
    pub(crate) certificates: Option<PathBuf>,
    /// No registry's certificate is checked.
    pub(crate) is_insecure: bool,
    /// How long a registry may be silent.
    pub(crate) idle: Duration,
    /// How often the last source of an image may fail in a row.
    pub(crate) attempts: u32,
}

/// Serves one client until it says Shutdown or goes away.
///
/// # Errors
/// If the socket is none, or breaks. What goes wrong with an image is told to the client.
pub(crate) async fn serve(options: Options) -> Result<()> {
    let socket = Socket::inherited(options.socket)?;
    let mut session = Session::new(options);
    while let Some(request) = socket.receive().await? {
        let answer = tokio::select! {
            answer = session.answer(&request) => answer,
            () = socket.closed() => return Ok(()),
        };
        let Some((reply, pipe)) = answer else { break };
        let message = reply.encode().or_else(|error| Reply::failed(&error).encode())?;
        socket.send(&message, pipe.as_ref()).await?;
    }
    Ok(())
}
