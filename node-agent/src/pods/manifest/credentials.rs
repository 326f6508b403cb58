//! spec.imagePullSecrets: Secrets as `kubectl create secret docker-registry` makes them.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{
    env::Metadata,
    objects::{ObjectKind, Objects},
    reader::Fields,
};
use crate::pods::model::{Content, Credential};

const KEY: &str = ".dockerconfigjson";

/// What is in it; it is never shown.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    /// Both in one, in base64.
    #[serde(default)]
    auth: String,
}

/// One that is not there keeps no pod from running, as with the kubelet: the settings may know the registry, or nobody need to.
pub(super) fn credentials(fields: &mut Fields<'_>, metadata: &Metadata, objects: &Objects) -> Vec<Credential> {
    let mut all = Vec::new();
    for mut secret in fields.all("imagePullSecrets") {
        let name = secret.need("name");
        secret.finish();
        let Some(name) = name else { continue };
        let Some(content) = objects.get(&metadata.object(ObjectKind::Secret, name.text)) else {
            secret.note("name", "without effect: there is no such Secret beside the pod");
            continue;
        };
        let config = content.get(KEY).and_then(Content::as_text);
        match config.and_then(|config| serde_json::from_str::<Config>(config).ok()) {
            Some(config) => all.extend(config.auths.into_iter().filter_map(credential)),
            None => {
                let message =
                    format!("expected a Secret of the type kubernetes.io/dockerconfigjson, with the key {KEY}");
                secret.refuse_at(name.line, "name", &message);
            }
        }
    }
    all
}

fn credential((registry, entry): (String, Entry)) -> Option<Credential> {
    let plain = registry.strip_prefix("https://").or_else(|| registry.strip_prefix("http://")).unwrap_or(&registry);
    let plain = plain.trim_end_matches('/');
    // What Docker calls its own registry, and the versions that stand behind names in old files.
    let plain = plain.strip_suffix("/v1").or_else(|| plain.strip_suffix("/v2")).unwrap_or(plain);
    let registry = if plain == "index.docker.io" { "docker.io" } else { plain }.to_owned();
    let Entry { username, password, auth } = entry;
    if !username.is_empty() {
        return Some(Credential { registry, user: username, password: Content::of(password.into_bytes()) });
    }
    let auth = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = auth.split_once(':')?;
    Some(Credential { registry, user: user.to_owned(), password: Content::of(password.as_bytes().to_vec()) })
}
