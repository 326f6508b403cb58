//! Mirrors and rewritten locations: containers-registries.conf(5), version 2. Pure.
//!
//! `unqualified-search-registries`, `short-name-mode` and `aliases` may stand there and mean nothing here: names are
//! always given with their registry. Everything else that is not understood is refused.

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, de::IgnoredAny};

use crate::content::reference::Named;

#[derive(Debug, Default)]
pub(crate) struct Registries(Vec<Registry>);

/// Where an image, or a copy of it, is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) name: Named,
    /// TLS certificates are not checked, and plain HTTP will do.
    pub(crate) is_insecure: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    registry: Vec<Registry>,
    #[serde(rename = "unqualified-search-registries")]
    _unqualified_search_registries: Option<IgnoredAny>,
    #[serde(rename = "short-name-mode")]
    _short_name_mode: Option<IgnoredAny>,
    #[serde(rename = "aliases")]
    _aliases: Option<IgnoredAny>,
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
    #[serde(default)]
    mirror: Vec<Mirror>,
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
    /// Takes in one more file; a registry of an earlier file with the same prefix gives way.
    pub(crate) fn add(&mut self, text: &str) -> Result<()> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
            anyhow!("line {line}: {}", error.message())
        })?;
        for mut registry in document.registry {
            if registry.prefix.is_empty() {
                registry.prefix.clone_from(&registry.location);
            }
            let place = format!("[[registry]] {:?}", registry.prefix);
            let is_wildcard = registry.prefix.starts_with("*.");
            if registry.prefix.is_empty() {
                bail!("a [[registry]] has neither prefix nor location, expected at least one of them");
            }
            if registry.location.is_empty() && !is_wildcard && registry.prefix.contains('*') {
                bail!("{place}: a wildcard stands only at the beginning, as in \"*.example.com\"");
            }
            if registry.location.is_empty() && !is_wildcard {
                registry.location.clone_from(&registry.prefix);
            }
            let mirrors = registry.mirror.iter().map(|mirror| &mirror.location);
            for location in mirrors.chain(Some(&registry.location).filter(|location| !location.is_empty())) {
                // Any repository in that place must have a name.
                Named::parse(&format!("{location}/x"))
                    .ok()
                    .filter(|name| name.to_string() == format!("{location}/x"))
                    .with_context(|| {
                        format!("{place}: the location {location:?} is none, expected HOST, HOST:PORT or HOST/PATH")
                    })?;
            }
            self.0.retain(|earlier| earlier.prefix != registry.prefix);
            self.0.push(registry);
        }
        Ok(())
    }

    /// From where `name` is fetched: its mirrors in order, then its location.
    pub(crate) fn locations(&self, name: &Named) -> Result<Vec<Location>> {
        let matching = self.0.iter().filter_map(|registry| Some((matching(&name.name(), &registry.prefix)?, registry)));
        let Some((length, registry)) = matching.max_by_key(|(_, registry)| registry.prefix.len()) else {
            return Ok(vec![Location { name: name.clone(), is_insecure: false }]);
        };
        if registry.blocked {
            bail!("{} is blocked: registries.conf says so of {:?}", name.name(), registry.prefix);
        }
        let place = |location: &str, is_insecure: bool| -> Result<Location> {
            let repository = name.name();
            let moved = match location {
                "" => repository,
                location => format!("{location}{}", &repository[length..]),
            };
            let moved = Named::parse(&moved)?;
            let name = Named { tag: name.tag.clone(), digest: name.digest.clone(), ..moved };
            Ok(Location { name, is_insecure })
        };
        let mirrors = registry.mirror.iter().filter(|mirror| match mirror.pull_from_mirror {
            PullFromMirror::All => !registry.mirror_by_digest_only || name.digest.is_some(),
            PullFromMirror::DigestOnly => name.digest.is_some(),
            PullFromMirror::TagOnly => name.digest.is_none(),
        });
        let mut locations =
            mirrors.map(|mirror| place(&mirror.location, mirror.insecure)).collect::<Result<Vec<Location>>>()?;
        locations.push(place(&registry.location, registry.insecure)?);
        Ok(locations)
    }
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
        registries.add(TEXT).unwrap();
        let locations = registries.locations(&Named::parse(name).unwrap()).unwrap();
        let show = |location: &Location| format!("{}{}", location.name, if location.is_insecure { "!" } else { "" });
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
        registries.add(TEXT).unwrap();
        registries.add("[[registry]]\nprefix = \"bad.example\"\nlocation = \"good.example\"\n").unwrap();
        let locations = registries.locations(&Named::parse("bad.example/os:1").unwrap()).unwrap();
        assert_eq!(locations[0].name.to_string(), "good.example/os:1");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let table = [
            ("[[registry]]\n", "has neither prefix nor location"),
            ("[[registry]]\nprefix = \"a*.example\"\n", "a wildcard stands only at the beginning"),
            ("[[registry]]\nlocation = \"https://r.example\"\n", "is none, expected HOST"),
            ("[[registry]]\nlocation = \"r.example\"\nfrobnicate = 1\n", "unknown field `frobnicate`"),
            ("credential-helpers = [\"secretservice\"]\n", "unknown field `credential-helpers`"),
            (
                "[[registry]]\nlocation = \"r.example\"\n[[registry.mirror]]\ninsecure = true\n",
                "missing field `location`",
            ),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", Registries::default().add(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
        let mut registries = Registries::default();
        registries.add(TEXT).unwrap();
        let error = registries.locations(&Named::parse("bad.example/os:1").unwrap()).unwrap_err().to_string();
        assert_eq!(error, "bad.example/os is blocked: registries.conf says so of \"bad.example\"");
    }
}
