//! Who we are at each registry: containers-auth.json(5). Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::content::reference::Named;

/// By registry, namespace or repository. Never shown: neither this nor what it holds can be printed.
#[derive(Default)]
pub(crate) struct Keyring(BTreeMap<String, Credentials>);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// Changed for an access token at the registry's token server (OAuth2).
    IdentityToken(String),
}

/// Other keys are left alone: `docker login` writes this file too, with settings of its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

impl Keyring {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let document: Document = serde_json::from_str(text)?;
        if !document.cred_helpers.is_empty() || !document.creds_store.is_empty() {
            bail!(
                "credHelpers and credsStore name programs, which a node does not have; write the credentials into auths"
            );
        }
        let mut keyring = Self::default();
        for (key, entry) in document.auths {
            // An entry without content is how some tools say "logged out".
            if entry.auth.is_empty() && entry.identitytoken.is_empty() {
                continue;
            }
            let credentials = entry.read().with_context(|| format!("auths of {key:?}"))?;
            keyring.0.insert(normalise(&key), credentials);
        }
        Ok(keyring)
    }

    /// What is known for the repository of `name`: the longest key wins.
    pub(crate) fn of(&self, name: &Named) -> Option<&Credentials> {
        let name = name.name();
        let mut key = &*name;
        loop {
            if let Some(found) = self.0.get(key) {
                return Some(found);
            }
            (key, _) = key.rsplit_once('/')?;
        }
    }
}

impl Entry {
    fn read(self) -> Result<Credentials> {
        if !self.identitytoken.is_empty() {
            return Ok(Credentials::IdentityToken(self.identitytoken));
        }
        // The reason is not passed on: it would quote the secret.
        let bytes = STANDARD.decode(self.auth.trim()).ok().context("auth is not in base64")?;
        let text = String::from_utf8(bytes).ok().context("auth is not in UTF-8")?;
        let (user, password) = text.split_once(':').context("auth is not USER:PASSWORD in base64")?;
        // Docker pads with zeros.
        Ok(Credentials::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
    }
}

/// Docker writes URLs: `https://index.docker.io/v1/`.
fn normalise(key: &str) -> String {
    let without_scheme = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = without_scheme.map_or(key, |rest| rest.split('/').next().unwrap_or_default());
    match key {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_key_wins() {
        let auth = |text: &str| format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(text));
        let text = format!(
            r#"{{"auths":{{"r.example":{},"r.example/a":{},"r.example/a/b":{},"https://index.docker.io/v1/":{},
                "out.example":{{}},"t.example":{{"auth":"","identitytoken":"t"}}}},"psFormat":"x"}}"#,
            auth("one:1"),
            auth("two:2:2\0\0"),
            auth("three:"),
            auth("hub:3"),
        );
        let keyring = Keyring::parse(&text).unwrap();
        let table = [
            ("r.example/x", Some("one/1")),
            ("r.example/a", Some("two/2:2")),
            ("r.example/a/c", Some("two/2:2")),
            ("r.example/a/b:1", Some("three/")),
            ("r.example:5000/a", None),
            ("busybox", Some("hub/3")),
            ("out.example/x", None),
            ("t.example/x", Some("token t")),
        ];
        for (name, expected) in table {
            let found = keyring.of(&Named::parse(name).unwrap()).map(|found| match found {
                Credentials::Password { user, password } => format!("{user}/{password}"),
                Credentials::IdentityToken(token) => format!("token {token}"),
            });
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn secrets_are_not_in_errors() {
        let table = [
            (r#"{"auths":{"r.example":{"auth":"s$cret"}}}"#, "auths of \"r.example\": auth is not in base64"),
            (r#"{"auths":{"r.example":{"auth":"czNjcmV0"}}}"#, "auth is not USER:PASSWORD in base64"),
            (r#"{"credHelpers":{"r.example":"x"}}"#, "which a node does not have"),
            (r#"{"auths":[]}"#, "expected a map"),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", Keyring::parse(text).err().unwrap());
            assert!(error.contains(expected) && !error.contains("cret"), "{error}");
        }
    }
}
