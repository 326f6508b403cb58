//! Who we are at each registry: containers-auth.json(5). Pure.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Problem;
use crate::content::reference::Named;

/// By registry, namespace or repository. Never shown: neither this nor what it holds can be printed.
#[derive(Default)]
pub struct Keyring {
    entries: BTreeMap<String, Credentials>,
    /// If all of the file cannot be used.
    unreadable: Option<Credentials>,
}

/// Who we are at a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// As for HTTP Basic.
    Password {
        /// The name.
        user: String,
        /// The secret.
        password: String,
    },
    /// Changed for an access token at the registry's token server (OAuth2).
    IdentityToken(String),
    /// There are some, and this is why they cannot be used. We are nobody there.
    Unusable(String),
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

const PROGRAMS: &str = "it names a program, which a node does not have; write the credentials into auths";

impl Keyring {
    /// Reads the text of `file`. What cannot be used is reported. Other keys are left alone: `docker login` writes this file
    /// too, with settings of its own.
    pub fn parse(file: &str, text: &str) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut report = |key: &str, line: Option<usize>, reason: String| {
            let problem = Problem { file: file.to_owned(), line, key: key.to_owned(), reason };
            let unusable = Credentials::Unusable(problem.to_string());
            problems.push(problem);
            unusable
        };
        let mut keyring = Self::default();
        let mut document: Map<String, Value> = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                // What else the error says may quote a secret.
                let unusable =
                    report("", Some(error.line()), "it is no JSON object, expected {\"auths\": {…}}".to_owned());
                keyring.unreadable = Some(unusable);
                return (keyring, problems);
            }
        };
        match document.remove("credHelpers") {
            None => {}
            Some(Value::Object(helpers)) => {
                for key in helpers.keys() {
                    let unusable = report(&format!("credHelpers {key:?}"), None, PROGRAMS.to_owned());
                    keyring.entries.insert(normalise(key), unusable);
                }
            }
            Some(_) => drop(report("credHelpers", None, "expected a map from registries to programs".to_owned())),
        }
        if document.get("credsStore").is_some_and(|store| store != "") {
            keyring.unreadable = Some(report("credsStore", None, PROGRAMS.to_owned()));
        }
        match document.remove("auths") {
            None => {}
            Some(Value::Object(entries)) => {
                for (key, entry) in entries {
                    match Entry::read(entry) {
                        Ok(None) => {}
                        Ok(Some(credentials)) => drop(keyring.entries.insert(normalise(&key), credentials)),
                        Err(reason) => {
                            let unusable = report(&format!("auths {key:?}"), None, reason.to_owned());
                            // Of two spellings of one registry, the one that can be used holds.
                            keyring.entries.entry(normalise(&key)).or_insert(unusable);
                        }
                    }
                }
            }
            Some(_) => {
                keyring.unreadable =
                    Some(report("auths", None, "expected a map from registries to credentials".to_owned()));
            }
        }
        (keyring, problems)
    }

    /// One for a file that cannot be read, and why.
    pub(crate) fn unreadable(problem: &Problem) -> Self {
        Self { unreadable: Some(Credentials::Unusable(problem.to_string())), ..Self::default() }
    }

    /// What is known for the repository of `name`: the longest key wins.
    pub fn of(&self, name: &Named) -> Option<&Credentials> {
        let name = name.name();
        let mut key = &*name;
        loop {
            if let Some(found) = self.entries.get(key) {
                return Some(found);
            }
            match key.rsplit_once('/') {
                Some((outer, _)) => key = outer,
                None => return self.unreadable.as_ref(),
            }
        }
    }
}

impl Entry {
    /// Nothing if it is empty, which is how some tools say "logged out". Reasons quote no secret.
    fn read(entry: Value) -> Result<Option<Credentials>, &'static str> {
        let entry: Self =
            serde_json::from_value(entry).ok().ok_or("expected an object with the text auth or identitytoken")?;
        if !entry.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(entry.identitytoken)));
        }
        if entry.auth.is_empty() {
            return Ok(None);
        }
        let bytes = STANDARD.decode(entry.auth.trim()).ok().ok_or("auth is not in base64")?;
        let text = String::from_utf8(bytes).ok().ok_or("auth is not in UTF-8")?;
        let (user, password) = text.split_once(':').ok_or("auth is not USER:PASSWORD in base64")?;
        // Docker pads with zeros.
        let password = password.trim_end_matches('\0').to_owned();
        Ok(Some(Credentials::Password { user: user.to_owned(), password }))
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
        let (keyring, problems) = Keyring::parse("a.json", &text);
        assert_eq!(problems, []);
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
                Credentials::Unusable(reason) => reason.clone(),
            });
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_used_costs_only_itself_and_shows_no_secret() {
        let all = "all";
        // what stands beside a good entry, what is reported, and for whom there are no credentials
        let table = [
            (
                r#""auths":{"r.example":{"auth":"s$cret"},GOOD}"#,
                "a.json: auths \"r.example\": auth is not in base64",
                "r.example/x",
            ),
            (
                r#""auths":{GOOD,"r.example":{"auth":"czNjcmV0"}}"#,
                "a.json: auths \"r.example\": auth is not USER:PASSWORD in base64",
                "r.example/x",
            ),
            (
                r#""auths":{"r.example/a":{"auth":["s3cret"]},GOOD}"#,
                "a.json: auths \"r.example/a\": expected an object with the text auth or identitytoken",
                "r.example/a/b",
            ),
            (r#""auths":{"r.example":"s3cret",GOOD}"#, "auths \"r.example\": expected an object", "r.example/x"),
            (
                r#""credHelpers":{"r.example":"x"},"auths":{GOOD}"#,
                "a.json: credHelpers \"r.example\": it names a program, which a node does not have",
                "r.example/x",
            ),
            (r#""credsStore":"x","auths":{GOOD}"#, "a.json: credsStore: it names a program", "r.example/x"),
            (r#""auths":["s3cret"]"#, "a.json: auths: expected a map", all),
            (r#""auths":{"r.example":{"auth":"s3cret"}"#, "a.json:1: it is no JSON object", all),
        ];
        let good = format!(r#""good.example":{{"auth":"{}"}}"#, STANDARD.encode("u:p"));
        for (text, expected, none_for) in table {
            let (keyring, problems) = Keyring::parse("a.json", &format!("{{{}}}", text.replace("GOOD", &good)));
            let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
            let reported = problem.to_string();
            assert!(reported.contains(expected) && !reported.contains("cret\""), "{reported}");
            let of = |name| keyring.of(&Named::parse(name).unwrap());
            let is_unusable = |name| matches!(of(name), Some(Credentials::Unusable(reason)) if *reason == reported);
            if none_for == all {
                assert!(is_unusable("good.example/x") && is_unusable("r.example/x"), "{text}");
            } else {
                assert!(
                    is_unusable(none_for) && matches!(of("good.example/x"), Some(Credentials::Password { .. })),
                    "{text}"
                );
            }
        }
    }
}
