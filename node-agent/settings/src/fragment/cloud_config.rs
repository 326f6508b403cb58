//! `#cloud-config`: what cloud-init's users write, as far as a node does it (docs.cloud-init.io, "Module reference").

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    problem::Problem,
    tree::{Entry, Item, Origin, Table, Value},
};

/// Where `write_files` may write: a file in it is a source of its own.
const FOLDER: &str = "/etc/ballast/";

/// What platforms write into a user-data by themselves (Proxmox, libvirt, OpenStack's dashboard): about logins, packages and disks,
/// which a node has none of or looks after itself.
const OF_PLATFORMS: [&str; 18] = [
    "chpasswd",
    "disable_root",
    "final_message",
    "growpart",
    "locale",
    "manage_etc_hosts",
    "manage_resolv_conf",
    "package_reboot_if_required",
    "package_update",
    "package_upgrade",
    "password",
    "preserve_hostname",
    "resize_rootfs",
    "ssh_authorized_keys",
    "ssh_pwauth",
    "system_info",
    "user",
    "users",
];

/// What a node takes of a cloud-config.
const TAKEN: &str = "hostname, fqdn, ca_certs, ntp, timezone, write_files under /etc/ballast";

/// What a cloud-config says.
#[derive(Debug, Default)]
pub(super) struct CloudConfig {
    /// As if it had been written as settings; what stands where goes by the names of the cloud-config.
    pub(super) table: Table,
    pub(super) files: Vec<File>,
    pub(super) problems: Vec<Problem>,
    /// What platforms write by themselves and a node does not take, in one sentence.
    pub(super) notes: Vec<Problem>,
}

/// A file with settings. There may be secrets in it: its content is not shown.
pub(super) struct File {
    pub(super) path: String,
    pub(super) content: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "File({}, {} bytes)", self.path, self.content.len())
    }
}

/// What `document` says.
pub(super) fn read(document: Table) -> CloudConfig {
    let mut config = CloudConfig::default();
    let (mut hostname, mut fqdn) = (None, None);
    let (mut time, mut network) = (Vec::new(), Vec::new());
    let mut of_platform: Vec<(String, Origin)> = Vec::new();
    for Entry { name, origin, item } in document.entries {
        match &*name {
            "hostname" => hostname = Some(setting("hostname", "hostname", item)),
            "fqdn" => fqdn = Some(setting("hostname", "fqdn", item)),
            "timezone" => time.push(setting("zone", "timezone", item)),
            "ntp" => time.extend(config.servers(item)),
            // The older spelling is still in use.
            "ca_certs" | "ca-certs" => network.extend(config.certificates(&name, item)),
            "write_files" => config.write_files(item),
            known if OF_PLATFORMS.contains(&known) => of_platform.push((name, origin)),
            _ => config.ignore(&name, &origin),
        }
    }
    if let Some((_, origin)) = of_platform.first() {
        let names: Vec<&str> = of_platform.iter().map(|(name, _)| name.as_str()).collect();
        let what = format!("a node has no logins and packages of its own, so this is not taken: {}", names.join(", "));
        config.notes.push(origin.problem("", &what, ""));
    }
    config.table.entries.extend(hostname.or(fqdn));
    for (name, entries) in [("time", time), ("network", network)] {
        if let Some(origin) = entries.first().map(|entry: &Entry| entry.origin.clone()) {
            let item = Item { value: Value::Table(Table { entries }), origin: origin.clone() };
            config.table.entries.push(Entry { name: name.to_owned(), origin, item });
        }
    }
    config
}

impl CloudConfig {
    /// `ntp`: `servers` and `pools`, which are the same to timesyncd.
    fn servers(&mut self, item: Item) -> Option<Entry> {
        let mut all = Vec::new();
        let mut first = None;
        for Entry { name, origin, item } in self.table_of("ntp", item)?.entries {
            match (&*name, item.value) {
                ("servers" | "pools", Value::List(servers)) => {
                    first.get_or_insert(item.origin);
                    all.extend(servers.into_iter().map(|server| rekeyed(server, &format!("ntp.{name}"))));
                }
                ("servers" | "pools", other) => self.refuse(&format!("ntp.{name}"), &item.origin, &other, "a list"),
                ("enabled", Value::Switch(true)) => {}
                (_, _) => self.ignore(&format!("ntp.{name}"), &origin),
            }
        }
        Some(setting("servers", "ntp", Item { value: Value::List(all), origin: first? }))
    }

    /// `ca_certs`: `trusted`, which is believed beside what the image believes.
    fn certificates(&mut self, key: &str, item: Item) -> Option<Entry> {
        let mut found = None;
        for Entry { name, origin, item } in self.table_of(key, item)?.entries {
            let key = format!("{key}.{name}");
            match (&*name, &item.value) {
                ("trusted", _) => found = Some(setting("certificates", &key, item)),
                ("remove_defaults" | "remove-defaults", Value::Switch(false)) => {}
                (_, _) => self.ignore(&key, &origin),
            }
        }
        found
    }

    fn write_files(&mut self, item: Item) {
        let Value::List(files) = item.value else {
            return self.refuse("write_files", &item.origin, &item.value, "a list");
        };
        for (index, file) in files.into_iter().enumerate() {
            let key = format!("write_files[{index}]");
            let Value::Table(table) = &file.value else {
                self.refuse(&key, &file.origin, &file.value, "a mapping");
                continue;
            };
            match content_of(table) {
                Ok(file) => self.files.push(file),
                Err((what, expected)) => self.problems.push(file.origin.problem(&key, &what, expected)),
            }
        }
    }

    fn table_of(&mut self, key: &str, item: Item) -> Option<Table> {
        if let Value::Table(table) = item.value {
            return Some(table);
        }
        self.refuse(key, &item.origin, &item.value, "a mapping");
        None
    }

    fn refuse(&mut self, key: &str, origin: &Origin, value: &Value, expected: &str) {
        if *value != Value::Broken {
            self.problems.push(origin.problem(key, &value.kind_clause(), expected));
        }
    }

    fn ignore(&mut self, key: &str, origin: &Origin) {
        let what = format!("is ignored: of a cloud-config this node takes {TAKEN}");
        self.problems.push(origin.problem(key, &what, ""));
    }
}

/// The settings' entry `name`, which the cloud-config calls `key`.
fn setting(name: &str, key: &str, item: Item) -> Entry {
    let item = rekeyed(item, key);
    Entry { name: name.to_owned(), origin: item.origin.clone(), item }
}

/// As `item`, but problems call it `key`.
fn rekeyed(mut item: Item, key: &str) -> Item {
    // A list of servers has been annotated with where each is from.
    item.origin.key.get_or_insert_with(|| key.into());
    if let Value::List(items) = item.value {
        item.value = Value::List(items.into_iter().map(|item| rekeyed(item, key)).collect());
    }
    item
}

/// The file that an entry of `write_files` describes; else what is wrong, and what would be right.
fn content_of(table: &Table) -> Result<File, (String, &'static str)> {
    let path = table.text("path").ok_or(("has no path".to_owned(), "path"))?;
    let name = path.strip_prefix(FOLDER).and_then(|rest| rest.strip_suffix(".toml"));
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if !name.is_some_and(|name| !name.is_empty() && name.chars().all(fits)) {
        return Err((format!("is ignored: it would write {path:?}"), "a path as \"/etc/ballast/NAME.toml\""));
    }
    let content = table.text("content").unwrap_or_default();
    let content = match table.text("encoding").unwrap_or("text/plain") {
        "text/plain" => content.as_bytes().to_vec(),
        "b64" | "base64" => {
            let content: String = content.split_whitespace().collect();
            STANDARD.decode(content).map_err(|_| ("has a content that is not base64".to_owned(), "base64"))?
        }
        other => return Err((format!("has the encoding {other:?}"), "\"text/plain\" or \"b64\"")),
    };
    Ok(File { path: path.to_owned(), content })
}
