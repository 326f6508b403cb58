//! From settings to the files that others read. Pure: the caller writes them, before the units that read them start, and
//! later only those that changed.
//!
//! What the agent itself reads has no file: `[update]`, `[health]`, `[[cluster]]`, `[metrics]`, `[api]`, `[debug]`, `log.level`, the limits of `[runtime]`.

mod change;
mod containerd;
mod containers;
mod interfaces;
mod kernel;
mod links;
mod network;
mod node;
mod registry;

use std::fmt::Write;

pub use self::change::{Change, Needs, diff, needs};
use crate::model::Settings;

/// Stands at the top of each file that has comments.
const HEADER: &str = "# Rendered from the settings; `ballast settings` changes it.\n";

/// Who may read a file that holds a secret.
const PRIVATE: u32 = 0o600;
/// Who may read any other.
const PUBLIC: u32 = 0o644;

const CONTAINERD: &str = "containerd.service";

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Where, absolute.
    pub path: String,
    /// Its permissions: 0600 if it holds a secret.
    pub mode: u32,
    /// What it holds.
    pub content: Content,
    /// What has to be done for a change of it to hold.
    pub then: Reload,
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes. There may be a secret among them: they are not shown.
    Bytes(Vec<u8>),
    /// It is a symbolic link to this path.
    Link(String),
}

/// What has to be done for a change of a file to hold, on a node that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reload {
    /// Nothing: it is read each time it is needed.
    Nothing,
    /// The kernel has to be given the machine's name (sethostname(2)).
    SetHostname,
    /// This unit has to be reloaded.
    Reload(&'static str),
    /// This unit has to be reloaded for a new file; what an old one made is there until the next boot.
    ReloadOrReboot(&'static str),
    /// This unit has to be restarted.
    Restart(&'static str),
    /// It holds from the next boot on.
    Reboot,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "Bytes({})", bytes.len()),
            Self::Link(target) => write!(formatter, "Link({target:?})"),
        }
    }
}

impl Rendered {
    fn public(path: impl Into<String>, content: impl Into<Vec<u8>>, then: Reload) -> Self {
        Self { path: path.into(), mode: PUBLIC, content: Content::Bytes(content.into()), then }
    }

    fn private(path: impl Into<String>, content: impl Into<Vec<u8>>, then: Reload) -> Self {
        Self { path: path.into(), mode: PRIVATE, content: Content::Bytes(content.into()), then }
    }
}

/// All files, in the order of their paths. What is as the image has it has no file.
pub fn render(settings: &Settings) -> Vec<Rendered> {
    let mut all = Vec::new();
    all.extend(node::hostname(settings));
    all.extend(node::time(&settings.time));
    all.extend(node::journal(&settings.log));
    all.extend(node::manifests(&settings.pods));
    all.extend(node::keys(&settings.update));
    all.extend(interfaces::files(&settings.network));
    all.extend(links::files(&settings.network));
    all.extend(network::resolver(&settings.network));
    all.extend(network::certificates(&settings.network));
    all.extend(network::pods(&settings.network));
    all.extend(network::firewall(&settings.pods));
    all.extend(network::proxy(&settings.network.proxy));
    all.extend(kernel::files(&settings.kernel));
    all.extend(containerd::files(settings));
    all.extend(containers::files(&settings.registries));
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all
}

/// A line `KEY=VALUE`, if there is a value.
fn line(text: &mut String, key: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        // Writing to a text cannot fail.
        _ = writeln!(text, "{key}={value}");
    }
}

/// All of them with blanks between, if there are any.
fn joined<T: std::fmt::Display>(values: &[T]) -> Option<String> {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    Some(values.join(" ")).filter(|values| !values.is_empty())
}
