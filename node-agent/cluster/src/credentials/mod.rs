//! How a membership gets in: which servers, whom it believes, what it shows them. From the settings, from what is kept on the machine, and from the
//! cluster itself.
//!
//! ```text
//!  settings: token ──> CSR ──> certificate of our own, kept, renewed   ┐
//!            kubeconfig, client certificate, as they are               ├──> Access
//!            no token any more: what is kept of it                     │
//!            CA | its hash ──> kube-public/cluster-info, kept          ┘
//! ```

pub mod certificate;
mod discovery;
mod kubeconfig;
mod operator;
mod request;
mod store;

use std::{sync::Arc, time::SystemTime};

use thiserror::Error;

pub use self::{
    certificate::Certificate,
    operator::node_api,
    request::{Purpose, certificate, node_of, user_of},
    store::{Kept, Store},
};
use crate::{
    client::{Client, Counters, Failure, Identity, Kind, Server, Trust},
    model::{Authority, Config, Credentials, Secret},
};

/// Why a membership did not get in.
#[derive(Debug, Error)]
pub enum Problem {
    /// The cluster did not do what it was asked for.
    #[error("{0}: {1}")]
    Asking(&'static str, #[source] Failure),
    /// The cluster does not want us, or is not the one it should be.
    #[error("{0}")]
    Refused(String),
    /// Nobody has signed our certificate yet.
    #[error("{0}")]
    Unsigned(String),
    /// Something on the machine: its settings, its disk.
    #[error("{0}")]
    Own(String),
}

impl Problem {
    /// The API's answer, if it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Asking(_, failure) => Some(failure),
            Self::Refused(_) | Self::Unsigned(_) | Self::Own(_) => None,
        }
    }

    /// Whether the cluster answers, and does not let us in.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Asking(_, failure) => {
                matches!(failure.kind(), Kind::Unknown | Kind::Forbidden | Kind::Missing | Kind::Rejected)
            }
            Self::Refused(_) => true,
            Self::Unsigned(_) | Self::Own(_) => false,
        }
    }
}

/// The way in.
pub struct Access {
    /// To the cluster.
    pub client: Client,
    /// The client certificate that is used, if one is.
    pub certificate: Option<Certificate>,
    /// Whether it is ours to renew.
    pub is_own: bool,
}

/// Who requests access, and to what.
pub struct Applicant {
    /// What the settings say.
    pub config: Config,
    /// The node's name.
    pub node: String,
    /// What is kept on the machine.
    pub store: Store,
    /// What counts.
    pub counters: Arc<Counters>,
}

impl Applicant {
    /// Gets in. `anew`: the certificate that is kept was not believed; another one is asked for.
    pub async fn access(&self, anew: bool) -> Result<Access, Problem> {
        let config = &self.config;
        let mut servers = self.servers()?;
        match &config.credentials {
            Credentials::Kubeconfig(text) => {
                let own = |error| {
                    Problem::Own(format!("the kubeconfig of cluster {:?} cannot be used: {error}", config.name))
                };
                let read = kubeconfig::read(text.reveal()).map_err(own)?;
                if servers.is_empty() {
                    servers.extend(read.server);
                }
                let trust =
                    if config.authority == Authority::Image { read.trust } else { self.trust(&servers).await? };
                self.client(servers, &trust, &read.identity, false)
            }
            Credentials::Certificate { certificate, key } => {
                let trust = self.trust(&servers).await?;
                let identity = Identity::Certificate { chain: certificate.clone(), key: key.clone() };
                self.client(servers, &trust, &identity, false)
            }
            Credentials::Kept => {
                let trust = self.trust(&servers).await?;
                let none = || {
                    let name = &config.name;
                    Problem::Own(format!(
                        "nothing that is kept lets the node into cluster {name:?}, expected a token in its settings"
                    ))
                };
                let pem = self.kept().await?.ok_or_else(none)?;
                self.client(servers, &trust, &Identity::Certificate { chain: pem.clone(), key: Secret::new(pem) }, true)
            }
            Credentials::Token(token) => {
                let trust = self.trust(&servers).await?;
                let kept = if anew { None } else { self.kept().await? };
                let pem = match kept {
                    Some(pem) => pem,
                    None => {
                        let first = self.client(servers.clone(), &trust, &Identity::Token(token.clone()), false)?;
                        certificate(&first.client.own(), &self.store, &self.node, Purpose::Client).await?.1
                    }
                };
                self.client(servers, &trust, &Identity::Certificate { chain: pem.clone(), key: Secret::new(pem) }, true)
            }
        }
    }

    /// Another certificate, asked for with the one that is in use, and a client with it.
    pub async fn renewed(&self, client: &Client) -> Result<Access, Problem> {
        let (_, pem) = certificate(&client.own(), &self.store, &self.node, Purpose::Client).await?;
        let servers = self.servers()?;
        let trust = self.trust(&servers).await?;
        self.client(servers, &trust, &Identity::Certificate { chain: pem.clone(), key: Secret::new(pem) }, true)
    }

    fn servers(&self) -> Result<Vec<Server>, Problem> {
        self.config.servers.iter().map(|server| Server::parse(server)).collect::<Result<_, _>>().map_err(Problem::Own)
    }

    async fn trust(&self, servers: &[Server]) -> Result<Trust, Problem> {
        match &self.config.authority {
            Authority::Image => Ok(Trust::Image),
            Authority::Pem(pem) => Ok(Trust::Pem(pem.clone())),
            Authority::Hash(hash) => {
                discovery::authority(servers, hash, &self.store, &self.counters).await.map(Trust::Pem)
            }
        }
    }

    /// The certificate and key that are kept, if they hold and are this node's.
    async fn kept(&self) -> Result<Option<String>, Problem> {
        let Some(pem) = self.store.read(Kept::Client).await.map_err(Problem::Own)? else { return Ok(None) };
        let why = match Certificate::parse(&pem) {
            Ok(certificate) if certificate.name != user_of(&self.node) => format!("it is for {:?}", certificate.name),
            Ok(certificate) if !certificate.holds(SystemTime::now()) => "it does not hold any more".to_owned(),
            Ok(_) => return Ok(Some(pem)),
            Err(error) => error,
        };
        log::warn!("cluster {}: the certificate that was kept is not used: {why}", self.config.name);
        Ok(None)
    }

    fn client(
        &self,
        servers: Vec<Server>,
        trust: &Trust,
        identity: &Identity,
        is_own: bool,
    ) -> Result<Access, Problem> {
        let own = |error| Problem::Own(format!("cluster {:?}: {error}", self.config.name));
        if servers.is_empty() {
            return Err(own("neither its settings nor its kubeconfig name a server".to_owned()));
        }
        let certificate = match identity {
            Identity::Certificate { chain, .. } => Some(Certificate::parse(chain).map_err(own)?),
            Identity::Nobody | Identity::Token(_) => None,
        };
        let client = Client::new(servers, trust, identity, self.counters.clone()).map_err(own)?;
        Ok(Access { client, certificate, is_own })
    }
}
