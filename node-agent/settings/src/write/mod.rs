//! Settings as TOML that reads as those settings again.

mod api;
mod cluster;
mod debug;
mod images;
mod kubelet;

use std::fmt::Display;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use crate::{
    VERSION,
    model::{
        Access, Bond, Credentials, Dhcp, HashPolicy, Identity, Interface, InterfaceMatch, Kernel, LacpRate, Log,
        Manifest, Network, Registry, Route, Runtime, Settings, Signatures, Time, Update, Vlan,
    },
    values::{ProxyUrl, Secret, duration_text},
};

/// What becomes of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They are written: only for where they are used.
    Revealed,
    /// `(secret)` stands in their place: for people, and for logs.
    Masked,
}

/// All settings, those that are as when nothing is said too, but for what is empty.
pub fn write(settings: &Settings, secrets: Secrets) -> String {
    let mut document = DocumentMut::new();
    let root = document.as_table_mut();
    root.insert("version", Item::Value(VERSION.into()));
    put(root, "hostname", settings.hostname.as_ref());
    put_table(root, "network", network(&settings.network, secrets));
    put_table(root, "time", time(&settings.time));
    put_table(root, "kernel", kernel(&settings.kernel));
    put_tables(root, "registry", settings.registries.iter().map(|one| registry(one, secrets)));
    put_table(root, "runtime", runtime(&settings.runtime));
    put_table(root, "images", images::images(&settings.images));
    let mut pods = Table::new();
    pods.insert("metadata_service", Item::Value(settings.pods.metadata_service.into()));
    put_tables(&mut pods, "manifest", settings.pods.manifests.iter().map(manifest));
    put_table(root, "pods", pods);
    put_table(root, "update", update(&settings.update));
    let mut health = Table::new();
    health.insert("network", Item::Value(settings.health.network.into()));
    put(&mut health, "deadline", Some(duration_text(settings.health.deadline)));
    put_table(root, "health", health);
    put_tables(root, "cluster", settings.clusters.iter().map(|one| cluster::cluster(one, secrets)));
    put_table(root, "kubelet", kubelet::kubelet(&settings.kubelet));
    put_table(root, "debug", debug::debug(&settings.debug));
    put_table(root, "metrics", cluster::metrics(&settings.metrics, secrets));
    put_table(root, "api", api::api(&settings.api));
    put_table(root, "log", log(&settings.log));
    document.to_string()
}

fn network(network: &Network, secrets: Secrets) -> Table {
    let mut table = Table::new();
    put_list(&mut table, "dns", &network.dns);
    put_list(&mut table, "domains", &network.domains);
    put_list(&mut table, "certificates", &network.certificates);
    put(&mut table, "pod_subnet", network.pod_subnet.as_ref());
    let mut proxy = Table::new();
    let url = |url: &ProxyUrl| match secrets {
        Secrets::Revealed => url.reveal().to_owned(),
        Secrets::Masked => url.to_string(),
    };
    put(&mut proxy, "http", network.proxy.http.as_ref().map(url));
    put(&mut proxy, "https", network.proxy.https.as_ref().map(url));
    put_list(&mut proxy, "no_proxy", &network.proxy.no_proxy);
    put_table(&mut table, "proxy", proxy);
    put_tables(&mut table, "bond", network.bonds.iter().map(bond));
    put_tables(&mut table, "vlan", network.vlans.iter().map(vlan));
    put_tables(&mut table, "interface", network.interfaces.iter().map(interface));
    table
}

fn interface(interface: &Interface) -> Table {
    let mut table = Table::new();
    match &interface.which {
        InterfaceMatch::Name(name) => put(&mut table, "name", Some(name)),
        InterfaceMatch::Mac(mac) => put(&mut table, "mac", Some(mac)),
    }
    let dhcp: Value = match interface.dhcp {
        Dhcp::No => false.into(),
        Dhcp::Both => true.into(),
        Dhcp::Ipv4 => "ipv4".into(),
        Dhcp::Ipv6 => "ipv6".into(),
    };
    table.insert("dhcp", Item::Value(dhcp));
    if !interface.dhcp_default_route {
        table.insert("dhcp_default_route", Item::Value(false.into()));
    }
    put_number(&mut table, "dhcp_metric", interface.dhcp_metric);
    put_list(&mut table, "addresses", &interface.addresses);
    put(&mut table, "gateway", interface.gateway);
    if !interface.routes.is_empty() {
        let routes = Array::from_iter(interface.routes.iter().map(route));
        table.insert("routes", Item::Value(routes.into()));
    }
    put_list(&mut table, "dns", &interface.dns);
    put_list(&mut table, "domains", &interface.domains);
    put_number(&mut table, "mtu", interface.mtu);
    table.insert("required", Item::Value(interface.required.into()));
    table
}

fn bond(bond: &Bond) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", Some(&bond.name));
    put_list(&mut table, "interfaces", &bond.interfaces);
    put(&mut table, "mode", Some(bond.mode.name()));
    put(&mut table, "hash_policy", bond.hash_policy.map(HashPolicy::name));
    put(&mut table, "lacp_rate", bond.lacp_rate.map(LacpRate::name));
    table
}

fn vlan(vlan: &Vlan) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", Some(&vlan.name));
    put_number(&mut table, "id", Some(vlan.id));
    put(&mut table, "interface", Some(&vlan.interface));
    table
}

fn route(route: &Route) -> InlineTable {
    let mut table = InlineTable::new();
    table.insert("to", route.to.to_string().into());
    if let Some(via) = route.via {
        table.insert("via", via.to_string().into());
    }
    if let Some(metric) = route.metric {
        table.insert("metric", i64::from(metric).into());
    }
    table
}

fn time(time: &Time) -> Table {
    let mut table = Table::new();
    put_list(&mut table, "servers", &time.servers);
    put(&mut table, "zone", time.zone.as_ref());
    table
}

fn kernel(kernel: &Kernel) -> Table {
    let mut table = Table::new();
    put_list(&mut table, "arguments", &kernel.arguments);
    let mut sysctl = Table::new();
    kernel.sysctl.iter().for_each(|(key, value)| put(&mut sysctl, key.as_str(), Some(value)));
    put_table(&mut table, "sysctl", sysctl);
    table
}

fn registry(registry: &Registry, secrets: Secrets) -> Table {
    let mut table = Table::new();
    put(&mut table, "host", Some(&registry.host));
    access(&mut table, &registry.access, secrets);
    let mirrors = registry.mirrors.iter().map(|mirror| {
        let mut table = Table::new();
        put(&mut table, "host", Some(&mirror.place));
        access(&mut table, &mirror.access, secrets);
        table
    });
    put_tables(&mut table, "mirrors", mirrors);
    table
}

fn access(table: &mut Table, access: &Access, secrets: Secrets) {
    match &access.credentials {
        None => {}
        Some(Credentials::Password { username, password }) => {
            put(table, "username", Some(username));
            put_secret(table, "password", Some(password), secrets);
        }
        Some(Credentials::Token(token)) => put_secret(table, "token", Some(token), secrets),
    }
    put(table, "ca", access.ca.as_ref());
    table.insert("plain_http", Item::Value(access.plain_http.into()));
}

fn runtime(runtime: &Runtime) -> Table {
    let mut table = Table::new();
    put(&mut table, "log_max_size", Some(runtime.log_max_size));
    put_number(&mut table, "log_max_files", Some(runtime.log_max_files));
    put(&mut table, "default", Some(runtime.default.name()));
    put_number(&mut table, "pids_limit", runtime.pids_limit);
    table
}

fn manifest(manifest: &Manifest) -> Table {
    let mut table = Table::new();
    put(&mut table, "name", Some(&manifest.name));
    put(&mut table, "content", Some(&manifest.content));
    table
}

fn update(update: &Update) -> Table {
    let mut table = Table::new();
    put(&mut table, "image", update.image.as_ref());
    table.insert("auto", Item::Value(update.auto.into()));
    if let Some(windows) = &update.windows {
        let windows = Array::from_iter(windows.iter().map(ToString::to_string));
        table.insert("window", Item::Value(windows.into()));
    }
    table.insert("reboot", Item::Value(update.reboot.into()));
    let signatures = match update.signatures {
        Signatures::Required => "required",
        Signatures::Unchecked => "none",
    };
    put(&mut table, "signatures", Some(signatures));
    put_list(&mut table, "keys", &update.keys);
    put_number(&mut table, "keys_threshold", Some(update.keys_threshold));
    let identity = match update.identity {
        Identity::Repository => "repository",
        Identity::Tag => "tag",
    };
    put(&mut table, "identity", Some(identity));
    put_number(&mut table, "signature_max_days", update.signature_max_days);
    table
}

fn log(log: &Log) -> Table {
    let mut table = Table::new();
    put(&mut table, "level", Some(log.level.name()));
    put(&mut table, "journal_max_size", log.journal_max_size);
    table
}

fn put(table: &mut Table, key: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        table.insert(key, Item::Value(value.to_string().into()));
    }
}

fn put_secret(table: &mut Table, key: &str, secret: Option<&Secret>, secrets: Secrets) {
    match secrets {
        Secrets::Revealed => put(table, key, secret.map(Secret::reveal)),
        Secrets::Masked => put(table, key, secret),
    }
}

fn put_number(table: &mut Table, key: &str, number: Option<u32>) {
    if let Some(number) = number {
        table.insert(key, Item::Value(i64::from(number).into()));
    }
}

fn put_list(table: &mut Table, key: &str, values: &[impl Display]) {
    if !values.is_empty() {
        let values = Array::from_iter(values.iter().map(ToString::to_string));
        table.insert(key, Item::Value(values.into()));
    }
}

fn put_table(table: &mut Table, key: &str, inner: Table) {
    if !inner.is_empty() {
        table.insert(key, Item::Table(inner));
    }
}

fn put_tables(table: &mut Table, key: &str, inner: impl Iterator<Item = Table>) {
    let mut all = ArrayOfTables::new();
    inner.for_each(|one| all.push(one));
    if !all.is_empty() {
        table.insert(key, Item::ArrayOfTables(all));
    }
}
