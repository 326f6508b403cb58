//! The same page for others than root: over TLS, at the address that the settings name.

use std::{convert::Infallible, fmt, net::TcpListener as Bound, sync::Arc};

use anyhow::{Context, Result};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use super::{
    super::connections::Connections,
    Source,
    serve::{CONNECTIONS, DEADLINE, SILENCE, connection},
};
use crate::settings::model::Listen;

/// Listens until it is dropped.
pub(super) struct Listener {
    place: Listen,
    acceptor: watch::Sender<TlsAcceptor>,
    task: AbortHandle,
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Listener").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Listens at `place`.
    ///
    /// # Errors
    /// If certificate and key do not belong together, or the address is not this node's or in use.
    pub(super) fn open(place: &Listen, source: &Source) -> Result<Self> {
        let doing = || doing(place);
        let (acceptor, shown) = watch::channel(acceptor(place).with_context(doing)?);
        let bound = Bound::bind(place.address).and_then(|bound| {
            bound.set_nonblocking(true)?;
            TcpListener::from_std(bound)
        });
        let task = tokio::spawn(listen(bound.with_context(doing)?, shown, source.clone())).abort_handle();
        Ok(Self { place: place.clone(), acceptor, task })
    }

    /// Shows the certificate of `place`, which has the same address, from the next connection on.
    ///
    /// # Errors
    /// If certificate and key do not belong together; the ones before are shown on.
    pub(super) fn show(&mut self, place: &Listen) -> Result<()> {
        self.acceptor.send_replace(acceptor(place).with_context(|| doing(place))?);
        self.place = place.clone();
        Ok(())
    }

    /// Where it listens, and with what.
    pub(super) fn place(&self) -> &Listen {
        &self.place
    }
}

fn doing(place: &Listen) -> String {
    format!("serving metrics at {} (metrics.listen in the settings)", place.address)
}

fn acceptor(place: &Listen) -> Result<TlsAcceptor> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(place.certificate.as_str().as_bytes()).collect();
    let certificates = certificates.context("reading metrics.certificate: it is not PEM")?;
    // What is wrong in it may quote it.
    let key = PrivateKeyDer::from_pem_slice(place.key.reveal().as_bytes()).ok();
    let key = key.context("reading metrics.key: it is not PEM")?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("choosing versions of TLS")?
        .with_no_client_auth();
    let config = config.with_single_cert(certificates, key);
    Ok(TlsAcceptor::from(Arc::new(config.context("taking metrics.certificate and metrics.key together")?)))
}

async fn listen(listener: TcpListener, acceptor: watch::Receiver<TlsAcceptor>, source: Source) -> Infallible {
    let mut connections = Connections::new(CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let (acceptor, source) = (acceptor.borrow().clone(), source.clone());
                connections.serve(Some(from.ip()), async move {
                    match timeout(SILENCE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => connection(stream, source).await,
                        Ok(Err(error)) => log::debug!("serving metrics to {from}: {error}"),
                        Err(_) => log::debug!("serving metrics to {from}: no handshake came"),
                    }
                });
            }
            Err(error) => {
                log::warn!("accepting those who ask for metrics: {error}");
                sleep(DEADLINE).await;
            }
        }
    }
}
