//! From a source of any kind to its fragments.

use std::sync::Arc;

use super::{
    Fragment, Kind, Rank, Source,
    cloud_config::{self, CloudConfig},
    format::{CLOUD_CONFIG, Format},
    limits::Budget,
    meta_data,
    network::{self, Interfaces},
    text::{Text, whole},
    toml,
    unpack::{self, Part},
    vendor_data, version, yaml,
};
use crate::{problem::Problem, tree::Table};

impl Fragment {
    /// The fragments in `source`, the one that counts most first: several, if it holds files or parts.
    pub(crate) fn parse(source: &Source<'_>, budget: &mut Budget) -> Vec<Self> {
        // What a platform says of itself may be long; it must not use up what the operator may say.
        let mut own = Budget::new();
        let mut fragments = match source.kind {
            // What ballast itself writes is TOML, whatever its first comment says.
            Kind::Settings if source.rank == Rank::Node => vec![Self::own(source, budget)],
            Kind::Settings => Self::user_data(source.name, source.bytes, budget),
            Kind::VendorData => match vendor_data::text(source.bytes) {
                Ok(text) => Self::user_data(source.name, &text, &mut own),
                Err(what) => vec![Self::unreadable(source.name, whole(source.name, &what, ""))],
            },
            Kind::NetworkConfig => vec![Self::network(source, &mut own, network::network_config)],
            Kind::NetworkData => vec![Self::network(source, &mut own, network::network_data)],
            Kind::MetaData => vec![Self::meta_data(source, &mut own)],
            Kind::Hostname => vec![Self::hostname(source)],
        };
        fragments.iter_mut().for_each(|fragment| fragment.is_of_platform = source.kind.is_of_platform());
        fragments
    }

    fn new(text: &Text<'_>, table: Table, problems: Vec<Problem>) -> Self {
        Self { source: text.name(), table, problems, notes: Vec::new(), is_of_platform: false }
    }

    fn unreadable(name: &str, problem: Problem) -> Self {
        let (source, table) = (Arc::from(name), Table::default());
        Self { source, table, problems: vec![problem], notes: Vec::new(), is_of_platform: false }
    }

    fn own(source: &Source<'_>, budget: &mut Budget) -> Self {
        let text = match Text::new(source.name, source.bytes) {
            Ok(text) => text,
            Err(problem) => return Self::unreadable(source.name, problem),
        };
        let fragment = Self::toml(&text, budget);
        // What is no TOML and begins as something else is called by its name.
        match Format::of(text.text) {
            Format::Foreign(what) if !fragment.problems.is_empty() => Self::foreign(&text, what),
            Format::Foreign(_) | Format::CloudConfig | Format::Toml => fragment,
        }
    }

    fn foreign(text: &Text<'_>, what: &str) -> Self {
        let what = format!("it is {what}, which this node does not run; nothing in it applies");
        let expected = format!("TOML, or a text that begins with {CLOUD_CONFIG}");
        Self::new(text, Table::default(), vec![whole(&text.name(), &what, &expected)])
    }

    /// Of several parts the last counts most, as cloud-init merges them.
    fn user_data(name: &str, bytes: &[u8], budget: &mut Budget) -> Vec<Self> {
        let (parts, problems) = unpack::parts(name, bytes);
        let mut fragments: Vec<Self> = parts.iter().rev().flat_map(|part| Self::part(part, budget)).collect();
        fragments.extend(problems.into_iter().map(|problem| Self::unreadable(name, problem)));
        fragments
    }

    fn part(part: &Part<'_>, budget: &mut Budget) -> Vec<Self> {
        let text = match Text::new(&part.name, &part.bytes) {
            Ok(text) => text,
            Err(problem) => return vec![Self::unreadable(&part.name, problem)],
        };
        match Format::of(text.text) {
            Format::CloudConfig => Self::cloud_config(&text, budget),
            Format::Foreign(what) => vec![Self::foreign(&text, what)],
            Format::Toml if part.is_cloud_config => Self::cloud_config(&text, budget),
            Format::Toml => vec![Self::toml(&text, budget)],
        }
    }

    fn toml(text: &Text<'_>, budget: &mut Budget) -> Self {
        let (mut table, mut problems) = toml::parse(text, budget);
        problems.extend(version::check(&mut table));
        Self::new(text, table, problems)
    }

    /// The files in it, which say exactly what they mean, count more than its own keys.
    fn cloud_config(text: &Text<'_>, budget: &mut Budget) -> Vec<Self> {
        let (document, mut problems) = yaml::parse(text, budget);
        let CloudConfig { table, files, problems: found, notes } = cloud_config::read(document);
        problems.extend(found);
        let file = |file: &cloud_config::File| {
            let name = format!("{}:{}", text.name(), file.path);
            match Text::new(&name, &file.content) {
                Ok(text) => Self::toml(&text, budget),
                Err(problem) => Self::unreadable(&name, problem),
            }
        };
        let mut fragments: Vec<Self> = files.iter().map(file).collect();
        fragments.push(Self { notes, ..Self::new(text, table, problems) });
        fragments
    }

    fn network(source: &Source<'_>, budget: &mut Budget, read: impl Fn(&Text<'_>, Table) -> Interfaces) -> Self {
        let text = match Text::new(source.name, source.bytes) {
            Ok(text) => text,
            Err(problem) => return Self::unreadable(source.name, problem),
        };
        let (document, mut problems) = yaml::parse(&text, budget);
        let Interfaces { table, problems: found, notes } = read(&text, document);
        problems.extend(found);
        Self { notes, ..Self::new(&text, table, problems) }
    }

    fn meta_data(source: &Source<'_>, budget: &mut Budget) -> Self {
        let text = match Text::new(source.name, source.bytes) {
            Ok(text) => text,
            Err(problem) => return Self::unreadable(source.name, problem),
        };
        let (document, problems) = yaml::parse(&text, budget);
        // How deep it goes where nobody looks is not worth a word.
        let problems = if document.entries.is_empty() { problems } else { Vec::new() };
        let Interfaces { table, problems: found, notes } = meta_data::settings(&text, document);
        Self { notes: notes.into_iter().chain(found).collect(), ..Self::new(&text, table, problems) }
    }

    fn hostname(source: &Source<'_>) -> Self {
        match Text::new(source.name, source.bytes) {
            Ok(text) => {
                let Interfaces { table, problems: _, notes } = meta_data::name_alone(&text);
                Self { notes, ..Self::new(&text, table, Vec::new()) }
            }
            Err(problem) => Self::unreadable(source.name, problem),
        }
    }
}
