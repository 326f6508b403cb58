//! The tables `[[registry]]`.

use super::reader::Reader;
use crate::{
    model::{Access, Credentials, Mirror, Registry},
    tree::Table,
    values::{MirrorPlace, RegistryHost, Secret, Text, Username},
};

pub(super) fn registries(root: &mut Reader<'_>) -> Vec<Registry> {
    // What is no host names nothing: it may have a password in it.
    let identity = |table: &Table| table.text("host").and_then(|host| RegistryHost::parse(host).ok());
    root.keyed_tables("registry", |table| identity(table).map(|host| host.to_string()), registry)
}

fn registry(table: &mut Reader<'_>) -> Option<Registry> {
    let host = table.need("host");
    let mut known: Vec<MirrorPlace> = Vec::new();
    let mirrors = table.tables("mirrors", |table| {
        let place = table.need("host");
        let access = access(table);
        let place: MirrorPlace = place?;
        if known.contains(&place) {
            table.refuse_table("names a mirror that stands before it already", "each mirror once");
            return None;
        }
        known.push(place.clone());
        Some(Mirror { place, access })
    });
    let access = access(table);
    Some(Registry { host: host?, mirrors, access })
}

fn access(table: &mut Reader<'_>) -> Access {
    let credentials = table.together(&CREDENTIALS, credentials);
    // Without TLS only if that is what somebody said.
    Access { credentials, ca: table.get("ca").given(), plain_http: table.switch("plain_http").or(false) }
}

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
