//! What the node shows to others to be believed. None of it is ever shown to anybody else: no error quotes it.

use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::Value as Json;

use super::{HttpsUrl, Secret, Text};

/// A token as it stands in a request (RFC 6750), as kubeadm's bootstrap tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerToken(Secret);

/// One private key in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateKey(Secret);

/// A whole kubeconfig: the text in YAML, in which all that it needs stands itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubeconfig(Secret);

macro_rules! hidden {
    ($($name:ty),+) => { $(
        impl $name {
            /// It itself: only for where it is used.
            pub fn reveal(&self) -> &str {
                self.0.reveal()
            }

            /// As what it is kept, which shows nothing.
            pub fn secret(&self) -> &Secret {
                &self.0
            }
        }
    )+ };
}
hidden!(BearerToken, PrivateKey, Kubeconfig);

impl Text for BearerToken {
    const EXPECTED: &'static str = "a token of letters, digits and -._~+/, as kubeadm token create says it";

    fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let word = text.trim_end_matches('=');
        if word.is_empty() || !word.bytes().all(fits) {
            return Err("is empty, or has something in it that no token has".to_owned());
        }
        Ok(Self(Secret::of(text)))
    }
}

impl Text for PrivateKey {
    const EXPECTED: &'static str = "one private key in PEM (-----BEGIN PRIVATE KEY-----…), without a password";

    fn parse(text: &str) -> Result<Self, String> {
        let mut keys = PrivateKeyDer::pem_slice_iter(text.as_bytes());
        match (keys.next(), keys.next()) {
            (Some(Ok(_)), None) => Ok(Self(Secret::of(&format!("{}\n", text.trim())))),
            (Some(Ok(_)), Some(_)) => Err("has more than one private key in it".to_owned()),
            (Some(Err(_)), _) => Err("has a private key in it that is not PEM".to_owned()),
            (None, _) if text.contains("ENCRYPTED PRIVATE KEY-----") => Err("wants a password".to_owned()),
            (None, _) => Err("has no private key in it".to_owned()),
        }
    }
}

/// More nodes than any kubeconfig has; what has more is not read.
const MAX_NODES: usize = 1000;

/// More bytes than any has with all that it may hold: certificates and a key. The cluster half has the same limit.
const MAX_KUBECONFIG_BYTES: usize = 64 * 1024;

/// A node has no program to ask, and no files beside its settings.
const NEEDS_PROGRAM: [&str; 2] = ["exec", "auth-provider"];
const NEEDS_FILE: [&str; 4] = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

impl Text for Kubeconfig {
    const EXPECTED: &'static str = "a kubeconfig in YAML, as kubectl config view --raw --minify --flatten prints it";

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_KUBECONFIG_BYTES {
            return Err(format!("has {} bytes, expected at most {MAX_KUBECONFIG_BYTES}", text.len()));
        }
        // None has aliases, and what they unfold to could be of any size.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: 16, max_nodes: MAX_NODES, max_anchors: 0, max_aliases: 0 },
        };
        let document: Json = serde_saphyr::from_str_with_options(text, options)
            .map_err(|_| "is not YAML that can be read".to_owned())?;
        let servers: Vec<Option<&str>> =
            list(&document, "clusters").iter().map(|one| one["cluster"]["server"].as_str()).collect();
        if servers.is_empty() {
            return Err("names no cluster".to_owned());
        }
        if !servers.into_iter().all(|server| server.is_some_and(|server| HttpsUrl::parse(server).is_ok())) {
            return Err("names a cluster whose server is no URL that begins with https://".to_owned());
        }
        let tables = list(&document, "clusters").iter().map(|one| &one["cluster"]);
        for table in tables.chain(list(&document, "users").iter().map(|one| &one["user"])) {
            let has = |keys: &[&'static str]| keys.iter().find(|key| table.get(**key).is_some()).copied();
            if let Some(key) = has(&NEEDS_PROGRAM) {
                return Err(format!("wants a program ({key}), of which the node has none"));
            }
            if let Some(key) = has(&NEEDS_FILE) {
                return Err(format!("names a file ({key}) in place of what is in it"));
            }
        }
        Ok(Self(Secret::of(text)))
    }
}

fn list<'a>(document: &'a Json, key: &str) -> &'a [Json] {
    document.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n";

    fn refused<T: Text + std::fmt::Debug>(text: &str) -> String {
        let error = T::parse(text).unwrap_err();
        assert!(!error.contains("s3cret"), "{text}: {error}");
        error
    }

    #[test]
    fn a_token_is_one_word() {
        for right in ["abcdef.0123456789abcdef", "eyJhbGciOi.eyJpc3Mi.c2ln-_", "YWJj=="] {
            assert_eq!(BearerToken::parse(right).unwrap().reveal(), right);
        }
        for wrong in ["", "=", "s3cret word", "s3cret\n", "s3cretü", "\"s3cret\""] {
            refused::<BearerToken>(wrong);
        }
        assert_eq!(format!("{:?}", BearerToken::parse("s3cret").unwrap()), "BearerToken((secret))");
    }

    #[test]
    fn a_key_is_one_in_pem() {
        assert_eq!(PrivateKey::parse(&format!("\n{KEY}\n")).unwrap().reveal(), KEY);
        assert!(PrivateKey::parse(&KEY.replace("PRIVATE", "EC PRIVATE")).is_ok());
        let table = [
            (String::new(), "has no private key"),
            ("s3cret".to_owned(), "has no private key"),
            (KEY.replace("PRIVATE KEY", "CERTIFICATE"), "has no private key"),
            (KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"), "wants a password"),
            (KEY.repeat(2), "more than one"),
            (KEY.replace("czNjcmV0", "s3cret!!"), "is not PEM"),
        ];
        for (text, expected) in table {
            let error = refused::<PrivateKey>(&text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_kubeconfig_needs_nothing_beside_it() {
        let with = |cluster: &str, user: &str| {
            format!("clusters: [{{name: a, cluster: {{{cluster}}}}}]\nusers: [{{name: me, user: {{{user}}}}}]\n")
        };
        let server = "server: 'https://api.example:6443'";
        let right = with(server, "token: s3cret");
        assert_eq!(Kubeconfig::parse(&right).unwrap().reveal(), right);
        let bomb = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]", "x,".repeat(99), "*a,".repeat(99), "*b,".repeat(99));
        let table = [
            (String::new(), "names no cluster"),
            ("s3cret".to_owned(), "names no cluster"),
            ("{ s3cret".to_owned(), "is not YAML"),
            (bomb, "is not YAML that can be read"),
            (with("server: 'http://s3cret'", ""), "is no URL that begins with https://"),
            (with("name: s3cret", ""), "is no URL"),
            (with(server, "exec: {command: s3cret}"), "wants a program (exec)"),
            (with(server, "client-key: /s3cret"), "names a file (client-key)"),
            (with(&format!("{server}, certificate-authority: /s3cret"), ""), "names a file (certificate-authority)"),
        ];
        for (text, expected) in table {
            let error = refused::<Kubeconfig>(&text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
