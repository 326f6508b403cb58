//! One source: from its bytes to what it says. A fragment knows no schema; it knows where everything stands.

mod cloud_config;
mod limits;
mod meta_data;
#[cfg(test)]
mod tests;
mod text;
mod toml;
mod version;
mod yaml;

use std::sync::Arc;

pub(crate) use self::limits::Budget;
use self::text::Text;
pub use self::{limits::MAX_BYTES, version::VERSION};
use crate::{problem::Problem, tree::Table};

/// A text that may say something of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// How problems name it: a file's path, `credential ballast.settings`, ….
    pub name: &'a str,
    /// How much it counts.
    pub rank: Rank,
    /// What it is.
    pub kind: Kind,
    /// What it holds.
    pub bytes: &'a [u8],
}

impl<'a> Source<'a> {
    /// A source that the operator wrote.
    pub const fn new(name: &'a str, rank: Rank, bytes: &'a [u8]) -> Self {
        Self { name, rank, kind: Kind::Settings, bytes }
    }
}

/// How much a source counts; what is nearer to the operator's hand counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `ballast settings` on the node.
    Node,
    /// The systemd credential `ballast.settings` (SMBIOS, fw_cfg).
    Credential,
    /// A volume with the label `CIDATA` or `config-2`.
    Volume,
    /// A file on the ESP.
    Esp,
    /// The cloud's metadata service.
    Metadata,
    /// The image's defaults.
    Image,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What an operator wrote: TOML, or `#cloud-config` if it begins so.
    Settings,
    /// What the platform says of the machine: OpenStack's `meta_data.json`, NoCloud's `meta-data`.
    MetaData,
    /// The machine's name and nothing else.
    Hostname,
}

/// What one source says.
#[derive(Debug)]
pub(crate) struct Fragment {
    pub(crate) source: Arc<str>,
    pub(crate) table: Table,
    pub(crate) problems: Vec<Problem>,
}

impl Fragment {
    /// The fragments in `source`, the one that counts most first: several, if it holds files.
    pub(crate) fn parse(source: &Source<'_>, budget: &mut Budget) -> Vec<Self> {
        let text = match Text::new(source.name, source.bytes) {
            Ok(text) => text,
            Err(problem) => {
                return vec![Self { source: source.name.into(), table: Table::default(), problems: vec![problem] }];
            }
        };
        match source.kind {
            Kind::Settings if text.first_line() == cloud_config::HEADER => Self::cloud_config(&text, budget),
            Kind::Settings => vec![Self::toml(&text, budget)],
            Kind::MetaData => {
                let (document, problems) = yaml::parse(&text, budget);
                vec![Self::new(&text, meta_data::settings(document), problems)]
            }
            Kind::Hostname => vec![Self::new(&text, meta_data::name_alone(&text), Vec::new())],
        }
    }

    fn new(text: &Text<'_>, table: Table, problems: Vec<Problem>) -> Self {
        Self { source: text.name(), table, problems }
    }

    fn toml(text: &Text<'_>, budget: &mut Budget) -> Self {
        if let Some(what) = foreign(text.first_line()) {
            let what = format!("it is {what}, which this node does not run; nothing in it applies");
            let expected = format!("TOML, or a text that begins with {}", cloud_config::HEADER);
            return Self::new(text, Table::default(), vec![text::whole(&text.name(), &what, &expected)]);
        }
        let (mut table, mut problems) = toml::parse(text, budget);
        problems.extend(version::check(&mut table));
        Self::new(text, table, problems)
    }

    /// The files in it, which say exactly what they mean, count more than its own keys.
    fn cloud_config(text: &Text<'_>, budget: &mut Budget) -> Vec<Self> {
        let (document, mut problems) = yaml::parse(text, budget);
        let config = cloud_config::read(document);
        problems.extend(config.problems);
        let file = |file: &cloud_config::File| {
            let name = format!("{}:{}", text.name(), file.path);
            match Text::new(&name, &file.content) {
                Ok(text) => Self::toml(&text, budget),
                Err(problem) => Self { source: name.into(), table: Table::default(), problems: vec![problem] },
            }
        };
        let mut fragments: Vec<Self> = config.files.iter().map(file).collect();
        fragments.push(Self::new(text, config.table, problems));
        fragments
    }
}

/// What a user-data that begins so is, if it is something that cloud-init knows and a node does not.
fn foreign(first_line: &str) -> Option<&'static str> {
    let table = [
        ("#!", "a script"),
        ("#cloud-boothook", "a boot hook"),
        ("#include", "a list of URLs"),
        ("## template:", "a template"),
        ("Content-Type:", "a MIME message"),
        ("MIME-Version:", "a MIME message"),
        ("{", "JSON"),
    ];
    table.into_iter().find(|(start, _)| first_line.starts_with(start)).map(|(_, what)| what)
}
