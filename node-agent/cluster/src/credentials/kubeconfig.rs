//! A kubeconfig, as far as a machine may use one: everything stands in it; it names no file of the machine and no program.

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use secrecy::ExposeSecret;

use crate::{
    client::{Identity, Server, Trust},
    model::Secret,
};

/// What a kubeconfig says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its cluster's server; None: it names none.
    pub server: Option<Server>,
    /// Its cluster's CA.
    pub trust: Trust,
    /// Its user.
    pub identity: Identity,
}

/// Reads the current context of `text`, or the only one. No error shows what may be secret.
pub fn read(text: &str) -> Result<Read, String> {
    // The parser's error may quote what it read.
    let whole = Kubeconfig::from_yaml(text).map_err(|_| "it is no kubeconfig, expected one in YAML".to_owned())?;
    let context = match (&whole.current_context, whole.contexts.as_slice()) {
        (Some(name), all) if !name.is_empty() => all.iter().find(|context| context.name == *name),
        (_, [only]) => Some(only),
        _ => None,
    };
    let context = context.and_then(|named| named.context.as_ref());
    let context = context.ok_or("it has no current-context that is in it, and not exactly one context")?;
    let cluster = whole.clusters.iter().find(|named| named.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    let cluster = cluster.ok_or_else(|| format!("its cluster {:?} is not in it", context.cluster))?;
    let user = context.user.as_ref().and_then(|user| whole.auth_infos.iter().find(|named| named.name == *user));
    let user = user.and_then(|named| named.auth_info.clone()).unwrap_or_default();
    let server = cluster.server.as_deref().map(Server::parse).transpose()?;
    let server = server.map(|server| server.known_as(cluster.tls_server_name.clone()));
    Ok(Read { server, trust: trust(cluster)?, identity: identity(&user)? })
}

/// The CA of the first cluster of `text`, in PEM: what a cluster-info says.
pub fn authority(text: &str) -> Result<String, String> {
    let whole = Kubeconfig::from_yaml(text).map_err(|error| format!("it is no kubeconfig: {error}"))?;
    let cluster = whole.clusters.first().and_then(|named| named.cluster.as_ref());
    match cluster.map(trust).transpose()? {
        Some(Trust::Pem(pem)) => Ok(pem),
        Some(Trust::Image | Trust::Anyone) | None => Err("it has no certificate-authority-data".to_owned()),
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
        return Err(is_file("certificate-authority"));
    }
    let Some(data) = &cluster.certificate_authority_data else { return Ok(Trust::Image) };
    Ok(Trust::Pem(decoded("certificate-authority-data", data)?))
}

fn identity(user: &AuthInfo) -> Result<Identity, String> {
    let files = [
        ("tokenFile", user.token_file.is_some()),
        ("client-certificate", user.client_certificate.is_some()),
        ("client-key", user.client_key.is_some()),
    ];
    if let Some((key, _)) = files.iter().find(|(_, is_there)| *is_there) {
        return Err(is_file(key));
    }
    if user.exec.is_some() || user.auth_provider.is_some() || user.username.is_some() || user.impersonate.is_some() {
        return Err("exec, auth-provider, username and as are not supported, expected a client certificate or a token"
            .to_owned());
    }
    if let Some(chain) = &user.client_certificate_data {
        let key = user.client_key_data.as_ref().ok_or("client-certificate-data is there without client-key-data")?;
        return Ok(Identity::Certificate {
            chain: decoded("client-certificate-data", chain)?,
            key: Secret::new(decoded("client-key-data", key.expose_secret())?),
        });
    }
    match &user.token {
        Some(token) => Ok(Identity::Token(Secret::new(token.expose_secret()))),
        None => Err("its user has neither client-certificate-data nor token".to_owned()),
    }
}

fn is_file(key: &str) -> String {
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
