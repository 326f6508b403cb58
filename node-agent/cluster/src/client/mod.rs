//! The API over a connection of our own: one at a time, to the first server that takes it, counted, and with a deadline on everything.

mod api;
mod body;
mod counters;
mod failure;
mod once;
mod server;
mod tls;
mod transport;

use std::sync::Arc;

use http::HeaderValue;

pub(crate) use self::api::{Api, built};
pub use self::{
    api::{ApiClient, Events},
    counters::Counters,
    failure::{Failure, Kind, Refusal},
    once::get,
    server::Server,
    tls::{Identity, Trust},
    transport::REQUEST_TIMEOUT,
};
use self::{
    tls::configuration,
    transport::{MAX_ANSWER_BYTES, Transport},
};
use crate::model::Secret;

/// The most that is read of a server that has not shown who it is: the cluster's CA with what is around it has some kB.
const MAX_UNVERIFIED_ANSWER_BYTES: usize = 128 * 1024;

/// A cluster, spoken to in somebody's name.
#[derive(Clone)]
pub struct Client {
    own: ApiClient,
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
        // Whoever answers there may be anybody.
        let max_answer =
            if *trust == Trust::NoCertVerification { MAX_UNVERIFIED_ANSWER_BYTES } else { MAX_ANSWER_BYTES };
        let transport = Transport::new(servers, tls, authorization, max_answer, counters);
        Ok(Self { own: ApiClient::new(transport.clone()), transport })
    }

    /// The API, in our own name.
    pub fn own(&self) -> ApiClient {
        self.own.clone()
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
