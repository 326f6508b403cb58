//! The API: what the unix socket answers, for operators elsewhere, over HTTPS. Only if the settings say so.
//!
//! ```text
//!  listener ─> TLS 1.3, certificate ─> client: who, which role ─> route: what ─> rights: may they ─> the socket's answers
//! ```

mod client;
mod identity;
mod listen;
mod refusals;
mod rights;
pub mod route;
mod serve;
pub mod table;

use anyhow::Result;
use ballast_settings::model::Api as Settings;

pub use self::identity::fingerprint;
use self::{identity::Identity, listen::Listener};
use super::{console, socket::Answers, status::Api as Shown};
use crate::clients::host::Host;

/// Who serves it.
pub struct Server {
    host: Host,
    answers: Answers,
    identity: Option<Identity>,
    listener: Option<Listener>,
}

impl Server {
    /// Serves nobody yet.
    pub fn new(host: Host, answers: Answers) -> Self {
        Self { host, answers, identity: None, listener: None }
    }

    /// Serves those whom the settings name, where they say. Makes the node's key if it is wanted and there is none.
    ///
    /// # Errors
    /// If it cannot be listened there; it is tried again the next time.
    pub async fn serve(&mut self, wanted: &Settings) -> Result<()> {
        let Some(wanted) = &wanted.listen else {
            self.listener = None;
            return Ok(());
        };
        let identity = match &self.identity {
            Some(identity) => identity.clone(),
            None => {
                let identity = self.host.change("reading the API's key", Identity::keep).await?;
                self.identity.insert(identity).clone()
            }
        };
        match &mut self.listener {
            Some(listener) if listener.settings().as_ref() == Some(wanted) => {}
            // Who came in under another authority is let go with its listener.
            Some(listener) if listener.is_at(wanted.address) && listener.believes(&wanted.client_ca) => {
                if let Err(error) = listener.follow(wanted, &identity) {
                    // Nobody is served rather than those of before.
                    self.listener = None;
                    return Err(error);
                }
            }
            other => {
                // First the old one: it may have the same port. Its task lets go of the socket once it runs again.
                if let Some(old) = other.take() {
                    old.end().await;
                }
                let listener = Listener::open(wanted, &identity, &self.answers)?;
                let line = format!(
                    "ballast: operators reach this node at {}, certificate {}",
                    listener.address(),
                    identity.fingerprint()
                );
                *other = Some(listener);
                log::info!("{line}");
                // Whoever sits before the console compares it with what a client shows.
                console::print(&self.host, &line)?;
            }
        }
        Ok(())
    }

    /// Where it is served and by what the node is known there; None if it is not.
    pub fn shown(&self) -> Option<Shown> {
        let (listener, identity) = (self.listener.as_ref()?, self.identity.as_ref()?);
        Some(Shown { address: listener.address().to_string(), fingerprint: identity.fingerprint() })
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::route;

    /// What requests are made of, and what does not belong there.
    const PARTS: [&str; 40] = [
        "pod=",
        "default",
        "/",
        "%2F",
        "web",
        "&",
        "container=",
        "command=",
        "stdin=true",
        "tty=",
        "unit=",
        "kernel=true",
        "events=true",
        "grep=",
        "lines=",
        "since=",
        "99999999999999999999",
        "-1",
        "follow=true",
        "previous=",
        "=",
        "%",
        "%ff",
        "+",
        "\u{0}",
        "..",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ":",
        "{\"pull\":{\"image\":\"a\"}}",
        "{\"order\":{\"keep\":[",
        "\"identity\"",
        "]}}",
        "{\"action\":\"off\"}",
        "{\"change\":",
        "null",
        "\u{1F980}",
    ];
    const PATHS: [&str; 9] = [
        "/v1/status",
        "/v1/logs",
        "/v1/exec",
        "/v1/images",
        "/v1/reset",
        "/v1/power",
        "/v1/settings",
        "/v1/operations",
        "/",
    ];

    #[test]
    fn whatever_is_asked_is_refused_in_words_or_means_one_thing() {
        let mut random = fastrand::Rng::with_seed(21);
        let mut text =
            |most: usize| (0..random.usize(..most)).map(|_| PARTS[random.usize(..PARTS.len())]).collect::<String>();
        let (mut taken, mut refused) = (0, 0);
        for round in 0..60_000 {
            let path = PATHS[round % PATHS.len()];
            let method = if round % 2 == 0 { Method::GET } else { Method::POST };
            let (query, body) = (text(7), text(5));
            let query = Some(&*query).filter(|_| round % 5 != 0);
            match route::decode(&method, path, query, body.as_bytes()) {
                Err(refusal) => {
                    assert!(refusal.status.is_client_error() && !refusal.message.is_empty(), "{refusal:?}");
                    refused += 1;
                }
                Ok(request) => {
                    let call = route::encode(&request).unwrap();
                    let (path, query) =
                        call.target.split_once('?').map_or((&*call.target, None), |(path, query)| (path, Some(query)));
                    let again = route::decode(&call.method, path, query, call.body.as_deref().unwrap_or_default());
                    assert_eq!(again, Ok(request), "{path} {query:?} {body}");
                    taken += 1;
                }
            }
        }
        assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
    }
}
