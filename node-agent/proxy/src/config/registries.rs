//! Mirrors and rewritten locations: containers-registries.conf(5), version 2. Pure.
//!
//! `unqualified-search-registries`, `short-name-mode` and `aliases` may stand there and mean nothing here: names are
//! always given with their registry. A mirror that is not understood is left out. A `[[registry]]` that is not understood
//! is used for nothing: its images are refused, since it may have forbidden them or moved them.

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
    /// used is told.
    pub fn add(&mut self, file: &str, text: &str) -> Vec<Problem> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader { file, text, errors: Vec::new(), problems: Vec::new() };
        for error in errors {
            let at = error.span().map_or(text.len(), |span| span.start);
            reader.errors.push(at);
            reader.tell(Some(at..at), "", error.message());
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
                ("registry", _) => reader.tell(Some(at), "registry", "expected [[registry]] tables"),
                (known, _) if PASSED_OVER.contains(&known) => {}
                (unknown, _) => {
                    reader.tell(Some(at), unknown, "this key is not known here and does nothing, expected [[registry]]")
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
    fn tell(&mut self, at: Option<Range<usize>>, key: &str, reason: &str) {
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
            self.tell(Some(span), "registry", "expected a [[registry]] table");
            return None;
        };
        let said =
            |key: &str| table.get(key).and_then(|value| value.get_ref().as_str()).filter(|text| !text.is_empty());
        let Some(prefix) = said("prefix").or_else(|| said("location")).map(str::to_owned) else {
            self.tell(
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
                self.tell(Some(at), &key, &format!("{reason}; its images cannot be fetched until this is mended"));
                Err(self.problems.last().map(Problem::to_string).unwrap_or_default())
            }
        };
        Some(Entry { prefix, registry })
    }

    fn mirrors(&mut self, key: &str, value: Spanned<DeValue<'_>>) -> Vec<Mirror> {
        let span = value.span();
        let DeValue::Array(all) = value.into_inner() else {
            self.tell(Some(span), &format!("{key} mirror"), "expected [[registry.mirror]] tables; there is no mirror");
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
                    self.tell(Some(at), &format!("{key} mirror"), &format!("{reason}; this mirror is left out"))
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
unqualified-search-registries = ["docker.io"]

[[registry]]
location = "r.example"
[[registry.mirror]]
location = "m1.example:5000/copy"
insecure = true
[[registry.mirror]]
location = "m2.example"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "m3.example"
pull-from-mirror = "tag-only"

[[registry]]
prefix = "r.example/private"
location = "inner.example/p"

[[registry]]
prefix = "bad.example"
blocked = true

[[registry]]
prefix = "*.wild.example"
insecure = true

[[registry]]
prefix = "old.example"
location = "new.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m4.example"
"#;

    fn locations(name: &str) -> Vec<String> {
        let mut registries = Registries::default();
        assert_eq!(registries.add("a.conf", TEXT), []);
        let locations = registries.locations(&Named::parse(name).unwrap()).unwrap();
        let show = |location: &Location| format!("{}{}", location.name, if location.is_plain { "!" } else { "" });
        locations.iter().map(show).collect()
    }

    #[test]
    fn mirrors_come_first_and_the_longest_prefix_wins() {
        let digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let by_digest = locations(&format!("r.example/os{digest}"));
        assert_eq!(
            by_digest,
            [
                format!("m1.example:5000/copy/os{digest}!"),
                format!("m2.example/os{digest}"),
                format!("r.example/os{digest}")
            ]
        );
        let table: [(&str, &[&str]); 7] = [
            ("r.example/os:1", &["m1.example:5000/copy/os:1!", "m3.example/os:1", "r.example/os:1"]),
            ("r.example/private/os:1", &["inner.example/p/os:1"]),
            (
                "r.example/privately:1",
                &["m1.example:5000/copy/privately:1!", "m3.example/privately:1", "r.example/privately:1"],
            ),
            ("a.wild.example:5000/os:1", &["a.wild.example:5000/os:1!"]),
            ("wild.example/os:1", &["wild.example/os:1"]),
            ("old.example/os:1", &["new.example/os:1"]),
            ("other.example/os:1", &["other.example/os:1"]),
        ];
        for (name, expected) in table {
            assert_eq!(locations(name), expected, "{name}");
        }
        assert_eq!(locations(&format!("old.example/os{digest}")).len(), 2);
    }

    #[test]
    fn a_later_file_replaces_a_registry() {
        let mut registries = Registries::default();
        assert_eq!(registries.add("a.conf", TEXT), []);
        let later = "[[registry]]\nprefix = \"bad.example\"\nlocation = \"good.example\"\n";
        assert_eq!(registries.add("b.conf", later), []);
        let locations = registries.locations(&Named::parse("bad.example/os:1").unwrap()).unwrap();
        assert_eq!(locations[0].name.to_string(), "good.example/os:1");
    }

    /// As the README's own example is rendered: docker.io's images are below library/, its location is not.
    #[test]
    fn docker_io_is_a_location() {
        let text = "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"m.example:5000\"\n";
        let mut registries = Registries::default();
        assert_eq!(registries.add("a.conf", text), []);
        let locations = registries.locations(&Named::parse("busybox:1").unwrap()).unwrap();
        let names: Vec<String> = locations.iter().map(|location| location.name.to_string()).collect();
        assert_eq!(names, ["m.example:5000/library/busybox:1", "docker.io/library/busybox:1"]);
        assert_eq!(Registries::default().add("a.conf", &text.replace("docker.io", "index.docker.io")), []);
    }

    #[test]
    fn an_entry_that_cannot_be_used_costs_only_itself() {
        let good = "[[registry]]\nlocation = \"good.example\"\n[[registry.mirror]]\nlocation = \"m.example\"\n";
        let until = "; its images cannot be fetched until this is mended";
        // text, what is told of it, and whether images of r.example can still be fetched
        let table = [
            ("[[registry]]\n", "a.conf:1: registry: it has neither prefix nor location, expected at least one of them as a text".to_owned(), true),
            ("[[registry]]\nlocation = 5\n", "a.conf:1: registry: it has neither prefix nor location, expected at least one of them as a text".to_owned(), true),
            (
                "[[registry]]\nprefix = \"a*.example\"\n",
                format!("a.conf:1: registry \"a*.example\": a wildcard stands only at the beginning, as in \"*.example.com\"{until}"),
                true,
            ),
            (
                "[[registry]]\nlocation = \"https://r.example\"\n",
                format!("a.conf:1: registry \"https://r.example\": the location \"https://r.example\" is none, expected HOST, HOST:PORT or HOST/PATH{until}"),
                true,
            ),
            (
                "[[registry]]\nprefix = \"r.example\"\nlocation = \"x/\"\n",
                format!("a.conf:1: registry \"r.example\": the location \"x/\" is none, expected HOST, HOST:PORT or HOST/PATH{until}"),
                false,
            ),
            (
                "[[registry]]\nlocation = \"r.example\"\nfrobnicate = 1\n",
                format!("a.conf:3: registry \"r.example\": unknown field `frobnicate`, expected one of `prefix`, `location`, `insecure`, `blocked`, `mirror-by-digest-only`{until}"),
                false,
            ),
            (
                "[[registry]]\nlocation = \"r.example\"\nblocked = ture\n",
                "a line of it is no TOML; its images cannot be fetched until this is mended".to_owned(),
                false,
            ),
            (
                "credential-helpers = [\"secretservice\"]\n",
                "a.conf:1: credential-helpers: this key is not known here and does nothing, expected [[registry]]".to_owned(),
                true,
            ),
            (
                "[[registry]]\nlocation = \"r.example\"\n[[registry.mirror]]\ninsecure = true\n",
                "a.conf:3: registry \"r.example\" mirror: missing field `location`; this mirror is left out".to_owned(),
                true,
            ),
            (
                "[[registry]]\nlocation = \"r.example\"\n[[registry.mirror]]\nlocation = \"http://m.example\"\n",
                "a.conf:3: registry \"r.example\" mirror: the location \"http://m.example\" is none, expected HOST, HOST:PORT or HOST/PATH; \
                 this mirror is left out"
                    .to_owned(),
                true,
            ),
        ];
        for (bad, expected, is_fetched) in table {
            for text in [format!("{bad}{good}"), format!("{good}{bad}")] {
                if bad.starts_with("cred") && text.starts_with(good) {
                    continue;
                }
                let mut registries = Registries::default();
                let problems = registries.add("a.conf", &text);
                let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
                let expected = match text.starts_with(good) {
                    // The line is another.
                    true => expected.split_once(": ").map_or(&*expected, |(_, rest)| rest),
                    false => &*expected,
                };
                assert!(told.iter().any(|told| told.contains(expected)), "{text}: {told:#?}");
                let locations = |name| registries.locations(&Named::parse(name).unwrap());
                assert_eq!(locations("good.example/os:1").unwrap().len(), 2, "{text}");
                assert_eq!(locations("other.example/os:1").unwrap().len(), 1, "{text}");
                match locations("r.example/os:1") {
                    Ok(found) => assert!(is_fetched && found.len() == 1, "{text}: {found:?}"),
                    Err(error) => {
                        assert!(
                            !is_fetched && error.to_string().starts_with("r.example/os cannot be fetched: a.conf:"),
                            "{text}: {error}"
                        );
                    }
                }
            }
        }
        let mut registries = Registries::default();
        registries.add("a.conf", TEXT);
        let error = registries.locations(&Named::parse("bad.example/os:1").unwrap()).unwrap_err().to_string();
        assert_eq!(error, "bad.example/os is blocked: registries.conf says so of \"bad.example\"");
    }
}
