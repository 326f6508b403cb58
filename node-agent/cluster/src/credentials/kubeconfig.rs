//! A kubeconfig, as far as a machine may use one: everything stands in it; it names no file of the machine and no program. It may be from anybody
//! (a cluster-info is read before the cluster has shown who it is), so it is read within limits.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::{
    client::{Identity, Server, Trust},
    model::Secret,
};

/// One with a certificate, a key and a chain of authorities has some 10 kB.
const MAX_BYTES: usize = 64 * 1024;
/// More than any needs for what is read here.
const MAX_DEPTH: usize = 16;
/// Keys and values of it, read or not.
const MAX_NODES: usize = 1000;

/// The file, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: Option<String>,
    contexts: Option<Vec<NamedContext>>,
    clusters: Option<Vec<NamedCluster>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Option<Context>,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: Option<String>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    username: Option<String>,
    /// The user that it impersonates.
    #[serde(rename = "as")]
    impersonate: Option<String>,
    exec: Option<Anything>,
    auth_provider: Option<Anything>,
}

/// What is there and not read.
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// The parser's error is left out: it may quote what it read.
fn parse(text: &str) -> Result<Kubeconfig, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, expected at most {MAX_BYTES}", text.len()));
    }
    let options = serde_saphyr::options! {
        // No kubeconfig has aliases; what unfolds could be of any size.
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: MAX_NODES, max_anchors: 0, max_aliases: 0, max_documents: 1 },
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|_| "it is no kubeconfig, expected one in YAML, without aliases".to_owned())
}

/// What a kubeconfig says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// Its cluster's server; None: it names none.
    pub(crate) server: Option<Server>,
    /// Its cluster's CA.
    pub(crate) trust: Trust,
    /// Its user.
    pub(crate) identity: Identity,
}

/// Reads the current context of `text`, or the only one. No error shows what may be secret.
pub(crate) fn read(text: &str) -> Result<Read, String> {
    let whole = parse(text)?;
    let contexts = whole.contexts.unwrap_or_default();
    let context = match (&whole.current_context, contexts.as_slice()) {
        (Some(name), all) if !name.is_empty() => all.iter().find(|context| context.name == *name),
        (_, [only]) => Some(only),
        _ => None,
    };
    let context = context.and_then(|named| named.context.as_ref());
    let context = context.ok_or("it has no current-context that is in it, and not exactly one context")?;
    let clusters = whole.clusters.unwrap_or_default();
    let cluster = clusters.iter().find(|named| named.name == context.cluster).and_then(|named| named.cluster.as_ref());
    let cluster = cluster.ok_or_else(|| format!("its cluster {:?} is not in it", context.cluster))?;
    let users = whole.users.unwrap_or_default();
    let named = context.user.as_ref().and_then(|user| users.into_iter().find(|named| named.name == *user));
    let user = named.and_then(|named| named.user).unwrap_or_default();
    let server = cluster.server.as_deref().map(Server::parse).transpose()?;
    let server = server.map(|server| server.known_as(cluster.tls_server_name.clone()));
    Ok(Read { server, trust: trust(cluster)?, identity: identity(&user)? })
}

/// The CA of the first cluster of `text`, in PEM: what a cluster-info says.
pub(crate) fn authority(text: &str) -> Result<String, String> {
    let clusters = parse(text)?.clusters.unwrap_or_default();
    let cluster = clusters.first().and_then(|named| named.cluster.as_ref());
    match cluster.map(trust).transpose()? {
        Some(Trust::Pem(pem)) => Ok(pem),
        Some(Trust::Image | Trust::NoCertVerification) | None => Err("it has no certificate-authority-data".to_owned()),
    }
}

fn trust(cluster: &Cluster) -> Result<Trust, String> {
    if cluster.insecure_skip_tls_verify == Some(true) {
        return Err("insecure-skip-tls-verify is not supported, expected certificate-authority-data".to_owned());
    }
    if cluster.proxy_url.is_some() {
        return Err("proxy-url is not supported".to_owned());
    }
    if cluster.certificate_authority.is_some() {
        return Err(names_a_file("certificate-authority"));
    }
    let Some(data) = &cluster.certificate_authority_data else { return Ok(Trust::Image) };
    Ok(Trust::Pem(decoded("certificate-authority-data", data)?))
}

fn identity(user: &User) -> Result<Identity, String> {
    let files = [
        ("tokenFile", user.token_file.is_some()),
        ("client-certificate", user.client_certificate.is_some()),
        ("client-key", user.client_key.is_some()),
    ];
    if let Some((key, _)) = files.iter().find(|(_, is_there)| *is_there) {
        return Err(names_a_file(key));
    }
    if user.exec.is_some() || user.auth_provider.is_some() || user.username.is_some() || user.impersonate.is_some() {
        return Err("exec, auth-provider, username and as are not supported, expected a client certificate or a token"
            .to_owned());
    }
    if let Some(chain) = &user.client_certificate_data {
        let key = user.client_key_data.as_ref().ok_or("client-certificate-data is there without client-key-data")?;
        return Ok(Identity::Certificate {
            chain: decoded("client-certificate-data", chain)?,
            key: Secret::new(decoded("client-key-data", key)?),
        });
    }
    match &user.token {
        Some(token) => Ok(Identity::Token(Secret::new(token))),
        None => Err("its user has neither client-certificate-data nor token".to_owned()),
    }
}

fn names_a_file(key: &str) -> String {
    format!("{key} names a file, expected {key}-data: everything has to stand in the kubeconfig itself")
}

fn decoded(key: &str, text: &str) -> Result<String, String> {
    let wrong = || format!("{key} is not PEM in base64");
    let bytes = STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).map_err(|_| wrong())?;
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cluster: &str, user: &str) -> Result<Read, String> {
        read(&format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {cluster}}}]\nusers: [{{name: u, user: {user}}}]\n"
        ))
    }

    #[test]
    fn what_stands_in_it_is_taken() {
        let all =
            with("{server: 'https://10.0.0.1:6443', certificate-authority-data: UEVN}", "{token: t0ken}").unwrap();
        assert_eq!(all.server.unwrap().to_string(), "https://10.0.0.1:6443");
        assert_eq!(all.trust, Trust::Pem("PEM".to_owned()));
        assert_eq!(all.identity, Identity::Token(Secret::new("t0ken")));
        let other = with("{}", "{client-certificate-data: UEVN, client-key-data: S0VZ}").unwrap();
        assert_eq!((other.server, other.trust), (None, Trust::Image));
        assert_eq!(other.identity, Identity::Certificate { chain: "PEM".to_owned(), key: Secret::new("KEY") });
    }

    /// 44 kB of this made 1.4 GB in a parser without limits. And the like of it: what is large, deep, or many.
    #[test]
    fn a_bomb_is_refused_before_it_unfolds() {
        let mut bomb = String::from("clusters: []\nextensions:\n- &a0 {x: 1}\n");
        for level in 1..=9 {
            let alias = format!("*a{}", level - 1);
            bomb.push_str(&format!("- &a{level} [{}]\n", vec![alias; 10].join(", ")));
        }
        let deep = format!("clusters: {}{}", "[".repeat(60), "]".repeat(60));
        let many = format!("clusters: [{}]", "{},".repeat(2000));
        let large = format!("clusters: []\nnote: {}", "x".repeat(MAX_BYTES));
        for text in [bomb, deep, many, large] {
            let before = std::time::Instant::now();
            assert!(authority(&text).is_err_and(|error| error.contains("expected")), "{}", &text[..40]);
            assert!(read(&text).is_err());
            assert!(before.elapsed() < std::time::Duration::from_secs(1), "{:?}", before.elapsed());
        }
        let one = "clusters: [&a {name: c, cluster: {server: 'https://a'}}, *a]";
        assert!(authority(one).is_err_and(|error| error.contains("aliases")));
    }

    #[test]
    fn json_and_what_is_null_are_read() {
        let json = r#"{"apiVersion":"v1","kind":"Config","current-context":"","contexts":null,"users":null,
            "clusters":[{"name":"","cluster":{"server":"https://10.0.0.1","certificate-authority-data":"UEVN"}}]}"#;
        assert_eq!(authority(json), Ok("PEM".to_owned()));
    }

    #[test]
    fn what_reaches_outside_is_refused() {
        let table = [
            ("{certificate-authority: /etc/ca.pem}", "{token: t}"),
            ("{insecure-skip-tls-verify: true}", "{token: t}"),
            ("{proxy-url: 'http://p'}", "{token: t}"),
            ("{server: 'http://10.0.0.1'}", "{token: t}"),
            ("{certificate-authority-data: '*'}", "{token: t}"),
            ("{}", "{tokenFile: /etc/shadow}"),
            ("{}", "{exec: {command: sh}}"),
            ("{}", "{client-certificate-data: UEVN}"),
            ("{}", "{}"),
        ];
        for (cluster, user) in table {
            assert!(with(cluster, user).is_err(), "{cluster} {user}");
        }
        for text in ["", "secret: [", "contexts: []", "current-context: b"] {
            let error = read(text).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
