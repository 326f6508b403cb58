//! The listener: TLS 1.3, clients with a certificate, and no more of them at once than the node can bear.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{IpAddr, SocketAddr, TcpListener as Bound},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use ballast_settings::{model::ApiListen, values::Certificates};
use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
        server::WebPkiClientVerifier,
        version::TLS13,
    },
};

use super::{super::connections::Connections, client::Client, identity::Identity, refusals::Refusals, serve};
use crate::report::socket::Answers;

/// A handshake is done within this, or not at all.
const SILENCE: Duration = Duration::from_secs(5);

/// So many may be connected without having shown a certificate; a handshake has some thirty kilobytes.
const SILENT: usize = 32;

/// So many with a certificate are served at once, and so many with the same.
const SERVED: usize = 32;
const SERVED_OF_ONE: usize = 8;

/// Who takes nothing for so long has gone away: an operation that it asked for is cancelled.
const GONE: Duration = Duration::from_secs(30);

/// After an error of the listener itself.
const PAUSE: Duration = Duration::from_secs(5);

/// What all connections share.
pub(super) struct Shared {
    pub(super) answers: Answers,
    /// Who may do what, as the settings have it now; None once the API is switched off.
    pub(super) rules: watch::Sender<Option<ApiListen>>,
    refusals: Mutex<Refusals>,
    /// How many are served, by serial number.
    served: Mutex<BTreeMap<String, usize>>,
}

impl Shared {
    /// Logs a refusal, unless there are too many.
    pub(super) fn refuse(&self, from: IpAddr, what: &str) {
        let before = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
        match before {
            None => {}
            Some(0) => log::warn!("api: {from} is refused: {what}"),
            Some(left_out) => {
                log::warn!("api: {from} is refused: {what} ({left_out} refusals before it are not logged)");
            }
        }
    }
}

/// A permit to be served.
pub(super) struct Permit {
    shared: Arc<Shared>,
    serial: String,
}

impl Permit {
    /// One for the holder of the certificate `serial`, if there is one left.
    fn take(shared: &Arc<Shared>, serial: &str) -> Result<Self, String> {
        let mut served = shared.served.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = served.values().sum();
        let own = served.entry(serial.to_owned()).or_default();
        if all >= SERVED {
            return Err(format!("{SERVED} connections are served already; try again later"));
        }
        if *own >= SERVED_OF_ONE {
            return Err(format!("{SERVED_OF_ONE} connections of this certificate are served already; end one"));
        }
        *own += 1;
        Ok(Self { shared: Arc::clone(shared), serial: serial.to_owned() })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut served = self.shared.served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = served.get_mut(&self.serial) {
            *own = own.saturating_sub(1);
        }
        served.retain(|_, count| *count > 0);
    }
}

/// Listens until it is dropped. Those who are served then have a moment to hear how it ended.
pub(super) struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: watch::Sender<TlsAcceptor>,
    task: JoinHandle<Infallible>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.rules.send_replace(None);
    }
}

impl Listener {
    /// Listens as `settings` say.
    ///
    /// # Errors
    /// If the address is not this node's or in use, or the authorities are none.
    pub(super) fn open(settings: &ApiListen, identity: &Identity, answers: &Answers) -> Result<Self> {
        let doing = || doing(settings);
        let (acceptor, shown) = watch::channel(acceptor(settings, identity).with_context(doing)?);
        let bound = Bound::bind(settings.address).and_then(|bound| {
            bound.set_nonblocking(true)?;
            TcpListener::from_std(bound)
        });
        let bound = bound.with_context(doing)?;
        let address = bound.local_addr().with_context(doing)?;
        let (rules, _) = watch::channel(Some(settings.clone()));
        let shared =
            Arc::new(Shared { answers: answers.clone(), rules, refusals: Mutex::default(), served: Mutex::default() });
        let task = tokio::spawn(listen(bound, shown, Arc::clone(&shared)));
        Ok(Self { address, shared, acceptor, task })
    }

    /// Goes by `settings`, which have the same address, from now on.
    ///
    /// # Errors
    /// If the authorities are none; it goes by those before.
    pub(super) fn follow(&mut self, settings: &ApiListen, identity: &Identity) -> Result<()> {
        self.acceptor.send_replace(acceptor(settings, identity).with_context(|| doing(settings))?);
        self.shared.rules.send_replace(Some(settings.clone()));
        Ok(())
    }

    /// Ends it, and returns when its socket is closed.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // It was aborted: there is nothing else to hear of it.
        let _ = (&mut self.task).await;
    }

    /// Whether it goes by these authorities.
    pub(super) fn believes(&self, client_ca: &Certificates) -> bool {
        self.shared.rules.borrow().as_ref().is_some_and(|settings| settings.client_ca == *client_ca)
    }

    /// What it goes by.
    pub(super) fn settings(&self) -> Option<ApiListen> {
        self.shared.rules.borrow().clone()
    }

    /// Whether it was told to listen at `address`.
    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        self.shared.rules.borrow().as_ref().is_some_and(|settings| settings.address == address)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn doing(settings: &ApiListen) -> String {
    format!("serving the API at {} (api.listen in the settings)", settings.address)
}

fn acceptor(settings: &ApiListen, identity: &Identity) -> Result<TlsAcceptor> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(settings.client_ca.as_str().as_bytes()) {
        let taken = certificate.map_err(anyhow::Error::from).and_then(|certificate| Ok(roots.add(certificate)?));
        taken.context("api.client_ca has something in it that is no authority")?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .context("reading api.client_ca")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .context("choosing the version of TLS")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .context("taking the node's certificate and key together")?;
    // A session that is resumed would outlive the certificate that began it.
    config.session_storage = Arc::new(tokio_rustls::rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn listen(listener: TcpListener, acceptor: watch::Receiver<TlsAcceptor>, shared: Arc<Shared>) -> Infallible {
    let mut silent = Connections::new(SILENT);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let (acceptor, shared) = (acceptor.borrow().clone(), Arc::clone(&shared));
                silent.serve(Some(from.ip()), handshake(stream, from.ip(), acceptor, shared));
            }
            Err(error) => {
                log::warn!("api: accepting those who connect: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Waits for the handshake. Who has shown a certificate is one of the silent no more, and is served whoever else connects.
async fn handshake(stream: TcpStream, from: IpAddr, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let limited = sockopt::set_tcp_user_timeout(&stream, u32::try_from(GONE.as_millis()).unwrap_or(u32::MAX))
        .and_then(|()| sockopt::set_socket_keepalive(&stream, true))
        .and_then(|()| sockopt::set_tcp_keepidle(&stream, GONE))
        .and_then(|()| sockopt::set_tcp_keepintvl(&stream, GONE / 3));
    if let Err(error) = limited {
        return log::warn!("api: limiting how long {from} is waited for: {error}");
    }
    let stream = match timeout(SILENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return shared.refuse(from, &format!("the handshake failed: {error}")),
        Err(_) => return log::debug!("api: no handshake came from {from} within {} s", SILENCE.as_secs()),
    };
    let shown =
        stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|certificate| Client::of(certificate));
    let client = match shown {
        Some(Ok(client)) => client,
        Some(Err(error)) => return shared.refuse(from, &format!("{error:#}")),
        None => return shared.refuse(from, "it shows no certificate"),
    };
    // Who may do nothing takes nobody's place; it gets the reason.
    let refused = shared.rules.borrow().as_ref().and_then(|rules| client.role(rules).err());
    match refused.map_or_else(|| Permit::take(&shared, client.serial.as_str()), Err) {
        Ok(permit) => drop(tokio::spawn(serve::connection(stream, from, client, Ok(permit), shared))),
        // Still one of those who make room for others.
        Err(why) => serve::connection(stream, from, client, Err(why), shared).await,
    }
}
