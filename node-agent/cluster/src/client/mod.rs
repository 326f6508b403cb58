//! kube's client over a connection of our own: one at a time, to the first server that takes it, counted, and with a deadline on everything.

mod body;
mod counters;
mod failure;
mod server;
mod tls;
mod transport;

use std::sync::Arc;

use http::HeaderValue;

pub use self::{
    counters::Counters,
    failure::{Failure, Kind, Refusal},
    server::Server,
    tls::{Identity, Trust},
    transport::REQUEST_TIMEOUT,
};
use self::{
    tls::configuration,
    transport::{Authority, Transport},
};
use crate::model::{SLOT_ACCOUNT, SLOT_NAMESPACE, Secret};

/// A cluster, spoken to in somebody's name.
#[derive(Clone)]
pub struct Client {
    own: kube::Client,
    slots: kube::Client,
    transport: Transport,
}

impl Client {
    /// Makes no connection yet. The error is a sentence about what was given.
    pub fn new(
        servers: Vec<Server>,
        trust: &Trust,
        identity: &Identity,
        counters: Arc<Counters>,
    ) -> Result<Self, String> {
        let tls = Arc::new(configuration(trust, identity)?);
        let authorization = match identity {
            Identity::Token(token) => Some(bearer(token)?),
            Identity::Nobody | Identity::Certificate { .. } => None,
        };
        let transport = Transport::new(servers, tls, Authority { authorization, acts_as: None }, counters);
        let keeper = format!("system:serviceaccount:{SLOT_NAMESPACE}:{SLOT_ACCOUNT}");
        let keeper = HeaderValue::from_str(&keeper).map_err(|error| error.to_string())?;
        let keeper = transport.acting_as(keeper);
        Ok(Self {
            own: kube::Client::new(transport.clone(), "default"),
            slots: kube::Client::new(keeper, "default"),
            transport,
        })
    }

    /// In our own name.
    pub fn own(&self) -> kube::Client {
        self.own.clone()
    }

    /// In that of the one service account that may take slots, and as which nodes may act (`manifests/rbac.yaml`).
    pub fn slots(&self) -> kube::Client {
        self.slots.clone()
    }

    /// The server in use.
    pub async fn server(&self) -> Option<String> {
        self.transport.server().await
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal().trim()))
        // The token itself is in no error.
        .map_err(|_| {
            "the token has letters that no token has, expected one line of letters, digits and '.'".to_owned()
        })?;
    value.set_sensitive(true);
    Ok(value)
}
