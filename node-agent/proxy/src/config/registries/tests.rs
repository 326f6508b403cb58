//! What is read, and what an entry that is not understood costs.

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
    // text, what is reported of it, and whether images of r.example can still be fetched
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
            let reported: Vec<String> = problems.iter().map(Problem::to_string).collect();
            let expected = match text.starts_with(good) {
                // The line is another.
                true => expected.split_once(": ").map_or(&*expected, |(_, rest)| rest),
                false => &*expected,
            };
            assert!(reported.iter().any(|reported| reported.contains(expected)), "{text}: {reported:#?}");
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
