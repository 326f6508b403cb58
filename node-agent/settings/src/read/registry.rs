//! The tables `[[registry]]`.

use super::reader::Reader;
use crate::{
    model::{Access, Credentials, Mirror, Registry},
    tree::Table,
    values::{MirrorPlace, RegistryHost, Secret, Text, Username, is_plain_url},
};

pub(super) fn registries(root: &mut Reader<'_>) -> Vec<Registry> {
    // What is no host names nothing: it may have a password in it.
    let identity = |table: &Table| table.text("host").and_then(|host| RegistryHost::parse(host).ok());
    let mut known = Vec::new();
    let name = |table: &Table| identity(table).map(|host| host.to_string());
    root.keyed_tables("registry", name, |table| registry(table, &mut known))
}

/// The hosts of mirrors with their credentials.
type Known = Vec<(String, Credentials)>;

/// containerd has credentials by host and port: of two mirrors there it gives the first's to both.
fn refuse_others(table: &mut Reader<'_>, place: &MirrorPlace, access: &Access, known: &mut Known) {
    let Some(credentials) = &access.credentials else { return };
    let host = place.host();
    match known.iter().find(|(known, _)| known == host) {
        Some((_, first)) if first != credentials => {
            let what =
                format!("has other credentials than a mirror at {host} before it; containerd uses those for both");
            table.refuse_keys(&CREDENTIALS, &what, "one account for all mirrors at a HOST:PORT");
        }
        Some(_) => {}
        None => known.push((host.to_owned(), credentials.clone())),
    }
}

fn registry(table: &mut Reader<'_>, credentials: &mut Known) -> Option<Registry> {
    let is_plain = is_plain(table);
    let host: Option<RegistryHost> = table.need("host");
    let mut known: Vec<MirrorPlace> = Vec::new();
    // A mirror that is only its host may stand there as a text.
    let mirrors = table.tables_or("mirrors", "host", |table| {
        let is_plain = self::is_plain(table);
        let place = table.need("host");
        let access = access(table, is_plain);
        let place: MirrorPlace = place?;
        if known.contains(&place) {
            table.refuse_table("names a mirror that stands before it already", "each mirror once");
            return None;
        }
        known.push(place.clone());
        refuse_others(table, &place, &access, credentials);
        Some(Mirror { place, access })
    });
    let access = access(table, is_plain);
    let host = host?;
    if host.is_all() && access != Access::default() {
        let what = "says how all registries are reached, which differs; of it only the mirrors apply";
        table.refuse_table(what, "credentials, ca and plain_http at the mirrors, or at a registry by its host");
        return Some(Registry { host, mirrors, access: Access::default() });
    }
    Some(Registry { host, mirrors, access })
}

/// Whether `host` is written as a URL without TLS.
fn is_plain(table: &Reader<'_>) -> bool {
    table.peek_text("host").is_some_and(is_plain_url)
}

fn access(table: &mut Reader<'_>, is_plain: bool) -> Access {
    table.hint(&HINTS);
    let credentials = table.together(&CREDENTIALS, credentials);
    // Without TLS only if that is what somebody said.
    Access { credentials, ca: table.get("ca").given(), plain_http: table.switch("plain_http").or(is_plain) }
}

/// What other programs call it, and how it is said here.
const HINTS: [(&str, &str); 6] = [
    ("insecure", "plain_http = true for a registry without TLS; certificates are always checked, against ca too"),
    ("insecure_skip_verify", "the authority's certificate in ca; certificates are always checked"),
    ("override_path", "the path in host: HOST/PATH, or https://HOST/BASE where the API lies below BASE"),
    ("skip_verify", "the authority's certificate in ca; certificates are always checked"),
    ("tls_verify", "the authority's certificate in ca; certificates are always checked"),
    ("url", "host"),
];

/// Half of one source's credentials and half of another's are nobody's.
const CREDENTIALS: [&str; 3] = ["username", "password", "token"];

fn credentials(table: &mut Reader<'_>) -> Option<Credentials> {
    let username: Option<Username> = table.get("username").given();
    let password: Option<Secret> = table.get("password").given();
    let token: Option<Secret> = table.get("token").given();
    match (username, password, token) {
        (None, None, None) => None,
        (Some(username), Some(password), None) => Some(Credentials::Password { username, password }),
        (None, None, Some(token)) => Some(Credentials::Token(token)),
        (_, _, _) => {
            let expected = "username and password, or token";
            table.refuse_keys(&CREDENTIALS, "has credentials that do not belong together; they do not apply", expected);
            None
        }
    }
}
