//! Mirrors and rewritten locations: containers-registries.conf(5), version 2. Pure.
//!
//! `unqualified-search-registries`, `short-name-mode` and `aliases` may stand there and mean nothing here: names are
//! always given with their registry. A mirror that is not understood is left out. A `[[registry]]` that is not understood
//! is used for nothing: its images are refused, since it may have forbidden them or moved them.

#[cfg(test)]
mod tests;

use std::ops::Range;

use anyhow::{Result, anyhow, bail};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IntoDeserializer},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Problem;
use crate::content::reference::{Named, is_place};

/// Top-level keys that mean nothing here.
const PASSED_OVER: [&str; 3] = ["unqualified-search-registries", "short-name-mode", "aliases"];

/// All registries of which something is said.
#[derive(Debug, Default)]
pub struct Registries(Vec<Entry>);

/// Where an image, or a copy of it, is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The image's name there.
    pub name: Named,
    /// It is spoken to over plain HTTP. Certificates are checked wherever TLS is spoken.
    pub is_plain: bool,
}

/// What is said of the names that begin with `prefix`, or why that cannot be used.
#[derive(Debug)]
struct Entry {
    prefix: String,
    registry: Result<Registry, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Registry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    /// Read one by one.
    #[serde(skip)]
    mirrors: Vec<Mirror>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Mirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: PullFromMirror,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PullFromMirror {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

impl Registries {
    /// Takes in the text of one more file; a registry of an earlier file with the same prefix gives way. What cannot be
    /// used is reported.
    pub fn add(&mut self, file: &str, text: &str) -> Vec<Problem> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { file, text, errors: Vec::new(), problems: Vec::new() };
        for error in errors {
            let at = error.span().map_or(text.len(), |span| span.start);
            reader.errors.push(at);
            reader.report(Some(at..at), "", error.message());
        }
        for (key, value) in document.into_inner() {
            let at = key.span();
            match (key.get_ref().as_ref(), value.into_inner()) {
                ("registry", DeValue::Array(all)) => {
                    let starts: Vec<usize> = all.iter().map(|one| one.span().start).collect();
                    let ends = starts.iter().copied().skip(1).chain([text.len()]);
                    let all: Vec<Entry> =
                        all.into_iter().zip(ends).filter_map(|(one, end)| reader.entry(one, end)).collect();
                    for entry in all {
                        self.0.retain(|earlier| earlier.prefix != entry.prefix);
                        self.0.push(entry);
                    }
                }
                ("registry", _) => reader.report(Some(at), "registry", "expected [[registry]] tables"),
                (known, _) if PASSED_OVER.contains(&known) => {}
                (unknown, _) => {
                    reader.report(
                        Some(at),
                        unknown,
                        "this key is not known here and does nothing, expected [[registry]]",
                    );
                }
            }
        }
        reader.problems
    }

    /// From where `name` is fetched: its mirrors in order, then its location.
    ///
    /// # Errors
    /// If it is blocked, or what is said of it cannot be used.
    pub fn locations(&self, name: &Named) -> Result<Vec<Location>> {
        let matching = self.0.iter().filter_map(|entry| Some((matching(&name.name(), &entry.prefix)?, entry)));
        let Some((length, entry)) = matching.max_by_key(|(_, entry)| entry.prefix.len()) else {
            return Ok(vec![Location { name: name.clone(), is_plain: false }]);
        };
        let registry = entry.registry.as_ref();
        let registry = registry.map_err(|reason| anyhow!("{} cannot be fetched: {reason}", name.name()))?;
        if registry.blocked {
            bail!("{} is blocked: registries.conf says so of {:?}", name.name(), entry.prefix);
        }
        let place = |location: &str, is_plain: bool| -> Result<Location> {
            let repository = name.name();
            let moved = match location {
                "" => repository,
                location => format!("{location}{}", &repository[length..]),
            };
            let moved = Named::parse(&moved)?;
            let name = Named { tag: name.tag.clone(), digest: name.digest.clone(), ..moved };
            Ok(Location { name, is_plain })
        };
        let mirrors = registry.mirrors.iter().filter(|mirror| match mirror.pull_from_mirror {
            PullFromMirror::All => !registry.mirror_by_digest_only || name.digest.is_some(),
            PullFromMirror::DigestOnly => name.digest.is_some(),
            PullFromMirror::TagOnly => name.digest.is_none(),
        });
        let mut locations = Vec::new();
        for mirror in mirrors {
            match place(&mirror.location, mirror.insecure) {
                Ok(location) => locations.push(location),
                // A repository may have a name that is too long below this mirror's path.
                Err(error) => log::warn!("the mirror {} is left out: {error:#}", mirror.location),
            }
        }
        locations.push(place(&registry.location, registry.insecure)?);
        Ok(locations)
    }
}

/// Reads the entries of one file.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    /// Where the text is no TOML.
    errors: Vec<usize>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn report(&mut self, at: Option<Range<usize>>, key: &str, reason: &str) {
        let line = at.and_then(|at| Some(self.text.get(..at.start)?.matches('\n').count() + 1));
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line,
            key: key.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// The entry whose text ends at `end`; none if it does not say which images it is about.
    fn entry(&mut self, value: Spanned<DeValue<'_>>, end: usize) -> Option<Entry> {
        let span = value.span();
        let DeValue::Table(mut table) = value.into_inner() else {
            self.report(Some(span), "registry", "expected a [[registry]] table");
            return None;
        };
        let said =
            |key: &str| table.get(key).and_then(|value| value.get_ref().as_str()).filter(|text| !text.is_empty());
        let Some(prefix) = said("prefix").or_else(|| said("location")).map(str::to_owned) else {
            self.report(
                Some(span),
                "registry",
                "it has neither prefix nor location, expected at least one of them as a text",
            );
            return None;
        };
        let key = format!("registry {prefix:?}");
        let mirrors = table.remove("mirror");
        let registry = if self.errors.iter().any(|at| (span.start..end).contains(at)) {
            Err((span.clone(), "a line of it is no TOML".to_owned()))
        } else {
            read(Spanned::new(span.clone(), DeValue::Table(table)))
                .and_then(|registry| check(registry).map_err(|reason| (span, reason)))
        };
        let registry = match registry {
            Ok(mut registry) => {
                registry.mirrors = mirrors.map(|mirrors| self.mirrors(&key, mirrors)).unwrap_or_default();
                Ok(registry)
            }
            Err((at, reason)) => {
                self.report(Some(at), &key, &format!("{reason}; its images cannot be fetched until this is mended"));
                Err(self.problems.last().map(Problem::to_string).unwrap_or_default())
            }
        };
        Some(Entry { prefix, registry })
    }

    fn mirrors(&mut self, key: &str, value: Spanned<DeValue<'_>>) -> Vec<Mirror> {
        let span = value.span();
        let DeValue::Array(all) = value.into_inner() else {
            self.report(
                Some(span),
                &format!("{key} mirror"),
                "expected [[registry.mirror]] tables; there is no mirror",
            );
            return Vec::new();
        };
        let mut mirrors = Vec::new();
        for one in all {
            let span = one.span();
            let mirror = read::<Mirror>(one).and_then(|mirror| match is_place(&mirror.location) {
                true => Ok(mirror),
                false => Err((span, no_place(&mirror.location))),
            });
            match mirror {
                Ok(mirror) => mirrors.push(mirror),
                Err((at, reason)) => {
                    self.report(Some(at), &format!("{key} mirror"), &format!("{reason}; this mirror is left out"));
                }
            }
        }
        mirrors
    }
}

type Wrong = (Range<usize>, String);

fn read<T: DeserializeOwned>(value: Spanned<DeValue<'_>>) -> Result<T, Wrong> {
    let span = value.span();
    T::deserialize(value.into_deserializer())
        .map_err(|error| (error.span().unwrap_or(span), error.message().to_owned()))
}

/// The registry with what is left unsaid.
fn check(mut registry: Registry) -> Result<Registry, String> {
    if registry.prefix.is_empty() {
        registry.prefix.clone_from(&registry.location);
    }
    let is_wildcard = registry.prefix.starts_with("*.");
    if !is_wildcard && registry.prefix.contains('*') {
        return Err("a wildcard stands only at the beginning, as in \"*.example.com\"".to_owned());
    }
    if registry.location.is_empty() && !is_wildcard {
        registry.location.clone_from(&registry.prefix);
    }
    if !registry.location.is_empty() && !is_place(&registry.location) {
        return Err(no_place(&registry.location));
    }
    Ok(registry)
}

fn no_place(location: &str) -> String {
    format!("the location {location:?} is none, expected HOST, HOST:PORT or HOST/PATH")
}

/// How much of the repository `name` the prefix stands for, if it does.
fn matching(name: &str, prefix: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = name.split('/').next().unwrap_or_default();
        // A port is not part of the domain.
        let without_port = host.split(':').next().unwrap_or_default();
        return without_port.ends_with(domain).then_some(host.len());
    }
    let rest = name.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
}
