//! The upgrade path: what `ballast image-proxy` reads at each start, as the containers tools write it
//! (containers-registries.conf(5), containers-auth.json(5), containers-certs.d(5)).

use std::collections::BTreeMap;

use serde_json::json;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::{
    HEADER, Reload, Rendered,
    registry::{basic, token},
};
use crate::model::{Access, Registry};

const REGISTRIES: &str = "/etc/containers/registries.conf.d/ballast.conf";
const CREDENTIALS: &str = "/run/containers/0/auth.json";
const CERTIFICATES: &str = "/etc/containers/certs.d";

pub(super) fn files(registries: &[Registry]) -> Vec<Rendered> {
    // An image's name has no place for a path before the API, and none for all registries: those mirrors are for pods alone.
    let mut registries: Vec<Registry> = registries.iter().filter(|registry| !registry.host.is_all()).cloned().collect();
    registries.iter_mut().for_each(|registry| registry.mirrors.retain(|mirror| mirror.place.base().is_empty()));
    let mut all = certificates(&registries);
    all.extend(mirrors(&registries));
    all.extend(credentials(&registries));
    all
}

/// Each place that is spoken to, with how: registries before mirrors, so that what is said of a registry itself holds.
fn places(registries: &[Registry]) -> impl Iterator<Item = (&str, &Access)> {
    let own = registries.iter().map(|registry| (registry.host.as_str(), &registry.access));
    let mirrors = registries.iter().flat_map(|registry| &registry.mirrors);
    own.chain(mirrors.map(|mirror| (mirror.place.as_str(), &mirror.access)))
}

fn mirrors(registries: &[Registry]) -> Option<Rendered> {
    if registries.is_empty() {
        return None;
    }
    let mut all = ArrayOfTables::new();
    for registry in registries {
        let mut table = place(registry.host.as_str(), &registry.access);
        let mut mirrors = ArrayOfTables::new();
        registry.mirrors.iter().for_each(|mirror| mirrors.push(place(mirror.place.as_str(), &mirror.access)));
        if !mirrors.is_empty() {
            table["mirror"] = Item::ArrayOfTables(mirrors);
        }
        all.push(table);
    }
    let mut document = DocumentMut::new();
    document["registry"] = Item::ArrayOfTables(all);
    Some(Rendered::public(REGISTRIES, format!("{HEADER}{document}"), Reload::Nothing))
}

fn place(location: &str, access: &Access) -> Table {
    let mut table = Table::new();
    table["location"] = value(location);
    if access.plain_http {
        table["insecure"] = value(true);
    }
    table
}

fn credentials(registries: &[Registry]) -> Option<Rendered> {
    let mut auths = BTreeMap::new();
    for (place, access) in places(registries) {
        let entry = match (basic(access), token(access)) {
            (Some(basic), _) => json!({ "auth": basic }),
            (None, Some(token)) => json!({ "identitytoken": token }),
            (None, None) => continue,
        };
        auths.entry(place).or_insert(entry);
    }
    let text = format!("{:#}\n", json!({ "auths": auths }));
    (!auths.is_empty()).then(|| Rendered::private(CREDENTIALS, text, Reload::Nothing))
}

/// By host: a host that is spoken to for several registries is believed by all that is said of it.
fn certificates(registries: &[Registry]) -> Vec<Rendered> {
    let mut by_host: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (place, access) in places(registries) {
        let Some(pem) = access.ca.as_ref().map(|ca| ca.as_str()) else { continue };
        let known = by_host.entry(place.split('/').next().unwrap_or_default()).or_default();
        if !known.contains(&pem) {
            known.push(pem);
        }
    }
    let file = |(host, pem): (&str, Vec<&str>)| {
        Rendered::public(format!("{CERTIFICATES}/{host}/ca.crt"), pem.concat(), Reload::Nothing)
    };
    by_host.into_iter().map(file).collect()
}
