//! Metrics as Prometheus reads them: on a socket for root alone, and, if the settings say so, over TLS.

mod figures;
mod serve;
mod text;
mod tls;

use anyhow::Result;
use tokio::{sync::watch, task::AbortHandle};

use self::tls::Listener;
use super::{releases::Releases, socket, status::Status};
use crate::{
    clients::{host::Host, resources},
    settings::model::Metrics,
};

/// Where root reads them.
pub const SOCKET: &str = "/run/ballast/metrics.sock";

/// What they are made of: when somebody asks, not before.
#[derive(Debug, Clone)]
pub struct Source {
    /// Of which the agent's own memory is asked.
    pub host: Host,
    /// The status as it was last.
    pub status: watch::Receiver<Status>,
    /// The releases as they were last.
    pub releases: watch::Receiver<Releases>,
}

impl Source {
    pub(super) fn text(&self) -> String {
        let own = resources::own(&self.host).inspect_err(|error| log::debug!("{error:#}")).ok();
        let own = own.map(|own| figures::Own { resident_bytes: own.resident_bytes, cpu_us: own.cpu_us });
        figures::text(&self.status.borrow(), &self.releases.borrow(), own)
    }
}

/// The page of a node of which nothing is known: every name with its explanation, for the manual.
pub fn example() -> String {
    let own = figures::Own { resident_bytes: 0, cpu_us: 0 };
    figures::text(&Status::default(), &Releases::default(), Some(own))
}

/// Who serves them.
#[derive(Debug)]
pub struct Server {
    source: Source,
    socket: Option<AbortHandle>,
    listener: Option<Listener>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.socket.iter().for_each(AbortHandle::abort);
    }
}

impl Server {
    /// Serves nobody yet.
    pub fn new(source: Source) -> Self {
        Self { source, socket: None, listener: None }
    }

    /// Serves root.
    ///
    /// # Errors
    /// If the socket cannot be made; it is tried again the next time.
    pub fn serve_root(&mut self) -> Result<()> {
        if self.socket.is_none() {
            let listener = socket::bind(&self.source.host, SOCKET)?;
            self.socket = Some(tokio::spawn(serve::local(listener, self.source.clone())).abort_handle());
        }
        Ok(())
    }

    /// Serves others where the settings say.
    ///
    /// # Errors
    /// If it cannot be listened there; it is tried again the next time.
    pub fn serve_others(&mut self, wanted: &Metrics) -> Result<()> {
        match (&mut self.listener, &wanted.listen) {
            (Some(listener), Some(place)) if listener.place() == place => {}
            (Some(listener), Some(place)) if listener.place().address == place.address => listener.show(place)?,
            (_, Some(place)) => self.listener = Some(Listener::open(place, &self.source)?),
            (_, None) => self.listener = None,
        }
        Ok(())
    }
}
