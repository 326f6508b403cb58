//! One client from its first request to its last.

use anyhow::Result;

use crate::{
    options::Options,
    protocol::{message::Reply, socket::Socket},
    session::Session,
};

/// Serves one client until it says Shutdown or goes away.
///
/// # Errors
/// If the socket is none, or breaks. What goes wrong with an image is reported to the client.
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
