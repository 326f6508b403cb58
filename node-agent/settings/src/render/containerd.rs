//! containerd: a folder for each registry (docs/hosts.md), which it reads at each pull, and what has to stand in its own
//! configuration (docs/cri/config.md), which it reads at its start.
//!
//! Credentials stand in `registry.configs`, by host and port: containerd gives them to whoever asks for them there, and to nobody
//! else. As a header in hosts.toml they would follow a redirect to another port of the same host. The price is a restart.

use std::collections::BTreeMap;

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::{
    CONTAINERD, HEADER, Reload, Rendered,
    registry::{DOCKER, DOCKER_SERVER},
};
use crate::model::{Access, Credentials, Mirror, OciRuntime, Registry, Settings};

/// Set as `config_path` in the image's configuration.
const FOLDER: &str = "/etc/containerd/certs.d";

/// Imported by the image's configuration.
const DROP_IN: &str = "/etc/containerd/conf.d/20-ballast.toml";

const IMAGES: &str = "io.containerd.cri.v1.images";
const RUNTIME: &str = "io.containerd.cri.v1.runtime";

pub(super) fn files(settings: &Settings) -> Vec<Rendered> {
    let mut all: Vec<Rendered> = settings.registries.iter().flat_map(registry).collect();
    all.extend(drop_in(settings));
    all
}

/// hosts.toml and the certificates that it names.
fn registry(registry: &Registry) -> Vec<Rendered> {
    // What containerd calls all registries without a folder of their own.
    let folder = if registry.host.is_all() { "_default" } else { registry.host.as_str() };
    let folder = format!("{FOLDER}/{folder}");
    let mut certificates = Vec::new();
    let mut ca = |name: String, access: &Access| {
        // With a certificate containerd would try TLS, whatever is said.
        let pem = access.ca.as_ref().filter(|_| !access.plain_http)?;
        let path = format!("{folder}/{name}");
        certificates.push(Rendered::public(path.as_str(), pem.as_str(), Reload::Nothing));
        Some(path)
    };
    let server = if registry.host.as_str() == DOCKER { DOCKER_SERVER } else { registry.host.as_str() };
    let mut document = DocumentMut::new();
    // Of all registries each is its own server.
    if !registry.host.is_all() {
        document["server"] = value(format!("{}{server}", scheme(&registry.access)));
    }
    if let Some(ca) = ca("ca.crt".to_owned(), &registry.access) {
        document["ca"] = value(ca);
    }
    let mut hosts = implicit();
    for (index, mirror) in registry.mirrors.iter().enumerate() {
        let mut table = Table::new();
        table["capabilities"] = value(Array::from_iter(["pull", "resolve"]));
        if !mirror.place.path().is_empty() || !mirror.place.base().is_empty() {
            table["override_path"] = value(true);
        }
        if let Some(ca) = ca(format!("mirror-{index}.crt"), &mirror.access) {
            table["ca"] = value(ca);
        }
        hosts.insert(&url(mirror), Item::Table(table));
    }
    if !hosts.is_empty() {
        document.insert("host", Item::Table(hosts));
    }
    let hosts = Rendered::public(format!("{folder}/hosts.toml"), format!("{HEADER}{document}"), Reload::Nothing);
    certificates.into_iter().chain([hosts]).collect()
}

/// The mirror's API. What stands before the repository's name stands behind the API's version, which containerd adds by itself only where
/// there is no path at all.
fn url(mirror: &Mirror) -> String {
    let (scheme, place) = (scheme(&mirror.access), &mirror.place);
    match (place.base(), place.path()) {
        ("", "") => format!("{scheme}{}", place.host()),
        ("", path) => format!("{scheme}{}/v2/{path}", place.host()),
        (base, "") => format!("{scheme}{}/{base}/v2", place.host()),
        (base, path) => format!("{scheme}{}/{base}/v2/{path}", place.host()),
    }
}

const fn scheme(access: &Access) -> &'static str {
    if access.plain_http { "http://" } else { "https://" }
}

fn drop_in(settings: &Settings) -> Option<Rendered> {
    let credentials = credentials(&settings.registries);
    let mut plugins = implicit();
    if !credentials.is_empty() {
        let mut configs = implicit();
        for (host, credentials) in credentials {
            let mut auth = Table::new();
            match credentials {
                Credentials::Password { username, password } => {
                    auth["username"] = value(username.as_str());
                    auth["password"] = value(password.reveal());
                }
                Credentials::Token(token) => auth["identitytoken"] = value(token.reveal()),
            }
            configs.insert(host, nested(["auth"], auth));
        }
        plugins.insert(IMAGES, nested(["registry", "configs"], configs));
    }
    if settings.runtime.default == OciRuntime::Crun {
        plugins.insert(RUNTIME, nested(["containerd"], crun()));
    }
    if plugins.is_empty() {
        return None;
    }
    let mut document = DocumentMut::new();
    document["version"] = value(3);
    document.insert("plugins", Item::Table(plugins));
    Some(Rendered::private(DROP_IN, format!("{HEADER}{document}"), Reload::Restart(CONTAINERD)))
}

/// By the host that containerd speaks to; what a registry says of its own host holds before what a mirror says.
fn credentials(registries: &[Registry]) -> BTreeMap<&str, &Credentials> {
    let mut all = BTreeMap::new();
    for registry in registries {
        let host = registry.host.as_str();
        let server = if host == DOCKER { DOCKER_SERVER } else { host };
        all.extend(registry.access.credentials.as_ref().map(|credentials| (server, credentials)));
    }
    for mirror in registries.iter().flat_map(|registry| &registry.mirrors) {
        if let Some(credentials) = &mirror.access.credentials {
            all.entry(mirror.place.host()).or_insert(credentials);
        }
    }
    all
}

/// The image knows runc; crun takes the same shim.
fn crun() -> Table {
    let mut options = Table::new();
    options["BinaryName"] = value("/usr/bin/crun");
    options["SystemdCgroup"] = value(false);
    let mut crun = Table::new();
    crun["runtime_type"] = value("io.containerd.runc.v2");
    crun["options"] = Item::Table(options);
    let mut containerd = Table::new();
    containerd["default_runtime_name"] = value(OciRuntime::Crun.name());
    let mut runtimes = implicit();
    runtimes.insert(OciRuntime::Crun.name(), Item::Table(crun));
    containerd["runtimes"] = Item::Table(runtimes);
    containerd
}

/// A table that has no header of its own.
fn implicit() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

/// `inner` within tables of these names.
fn nested<const N: usize>(names: [&str; N], inner: Table) -> Item {
    let wrap = |inner: Item, name: &&str| {
        let mut outer = implicit();
        outer.insert(name, inner);
        Item::Table(outer)
    };
    names.iter().rev().fold(Item::Table(inner), wrap)
}

#[cfg(test)]
mod tests {
    use crate::{Rank, Source, render::Content};

    /// A header in hosts.toml goes along to the same host at another port; `registry.configs` is looked up by HOST:PORT.
    #[test]
    fn credentials_are_bound_to_a_host_and_its_port() {
        let text = "[[registry]]\nhost = \"r.example:5000\"\nusername = \"me\"\npassword = \"s3cret\"\n\
                    mirrors = [{ host = \"m.example/hub\", username = \"you\", password = \"s3cret\" }, { host = \"r.example:5000/x\", token = \"other\" }]\n\
                    [[registry]]\nhost = \"docker.io\"\ntoken = \"s3cret\"\n";
        let (settings, problems) = crate::settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
        assert_eq!(problems, []);
        let mut found = None;
        for file in super::files(&settings) {
            let Content::Bytes(bytes) = file.content else { panic!("{} is a link", file.path) };
            let text = String::from_utf8(bytes).unwrap();
            if file.path == super::DROP_IN {
                found = Some(toml::from_str::<toml::Table>(&text).unwrap());
            } else {
                assert!(!text.contains("header") && !text.contains("s3cret"), "{}: {text}", file.path);
            }
        }
        let configs = &found.unwrap()["plugins"][super::IMAGES]["registry"]["configs"];
        let expected = r#"
"m.example".auth = { username = "you", password = "s3cret" }
"r.example:5000".auth = { username = "me", password = "s3cret" }
"registry-1.docker.io".auth = { identitytoken = "s3cret" }
"#;
        assert_eq!(configs.as_table().unwrap(), &toml::from_str::<toml::Table>(expected).unwrap());
    }
}
