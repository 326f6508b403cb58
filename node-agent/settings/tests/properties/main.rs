//! What holds for any settings, and for any bytes.

mod any;

use std::collections::BTreeSet;

use ballast_proxy::config::{Keyring, Named, Registries};
use ballast_settings::{
    Kind, Rank, Secrets, Source,
    model::Settings,
    read,
    render::{Content, Needs, diff, needs, render},
    settings, write,
};
use proptest::prelude::*;

use crate::any::any_settings;

/// Words of TOML, YAML and the schema, so that more than the first letter is looked at.
const WORDS: [&str; 50] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'''",
    "\"\"\"",
    "\n",
    "\r\n",
    " ",
    "#",
    ":",
    "- ",
    "|",
    "&a ",
    "*a",
    "\u{feff}",
    "\0",
    "ü",
    "0x",
    "1979-05-27",
    "true",
    "#cloud-config\n",
    "version",
    "hostname",
    "network",
    "interface",
    "name",
    "registry",
    "host",
    "mirrors",
    "update",
    "window",
    "write_files",
    "content",
    "version: 1\nconfig:\n",
    "version: 2\nethernets:\n",
    "type: physical",
    "subnets: ",
    "addresses: ",
    "{\"links\": [",
    "\"networks\": [",
    "Content-Type: multipart/mixed; boundary=a\n",
    "--a\n",
    "\u{1f}\u{8b}",
];

fn garble() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        3 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_bring_the_node_down(one in garble(), other in garble(), is_meta_data in any::<bool>()) {
        for kind in Kind::ALL {
            let sources = [Source { kind, ..Source::new("one", Rank::Credential, &one) }];
            for reported in read(&sources).notes {
                prop_assert!(!reported.what.is_empty() && !reported.to_string().contains('\n'), "{reported:?}");
            }
        }
        let kind = if is_meta_data { Kind::MetaData } else { Kind::Settings };
        let sources = [Source { kind, ..Source::new("one", Rank::Node, &one) }, Source::new("other", Rank::Esp, &other)];
        let (found, problems) = settings(&sources);
        render(&found);
        for problem in problems {
            prop_assert!(!problem.what.is_empty() && !problem.to_string().contains('\n'), "{problem:?}");
        }
    }

    #[test]
    fn what_is_written_reads_as_the_same_settings(some in any_settings()) {
        let text = write(&some, Secrets::Revealed);
        let (found, problems) = settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
        prop_assert_eq!(problems, vec![], "{}", text);
        prop_assert_eq!(&found, &some, "{}", text);
        let shown = [write(&some, Secrets::Masked), format!("{some:?}")];
        prop_assert!(!shown.concat().contains("s3cret"), "{:?}", shown);
    }

    #[test]
    fn any_settings_render(some in any_settings(), other in any_settings()) {
        let files = render(&some);
        prop_assert_eq!(&files, &render(&some.clone()));
        let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        prop_assert_eq!(paths.len(), files.len(), "a path twice: {:?}", paths);
        for file in &files {
            prop_assert!(file.path.starts_with("/etc/") || file.path.starts_with("/run/"), "{}", file.path);
            prop_assert!(!file.path.contains("/../"), "{}", file.path);
            let Content::Bytes(bytes) = &file.content else { continue };
            let text = String::from_utf8_lossy(bytes);
            if text.contains("s3cret") {
                prop_assert_eq!(file.mode, 0o600, "{}", file.path);
            }
            if file.path.ends_with(".toml") {
                prop_assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{}", text);
            }
            if file.path.ends_with(".network") {
                let is_line = |line: &str| line.is_empty() || line.starts_with(['#', '[']) || line.contains('=');
                prop_assert!(text.lines().all(is_line), "{}", text);
            }
        }
        prop_assert_eq!(needs(&diff(&files, &files)), Needs::default());
        let other = render(&other);
        let changed = diff(&files, &other).len();
        prop_assert_eq!(changed, diff(&other, &files).len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Mirrors and credentials for upgrades: the image proxy reads every entry, and goes where the settings say.
    #[test]
    fn the_image_proxy_reads_all_that_is_rendered_for_it(some in any_settings()) {
        let (mut mirrors, mut keyring) = (Registries::default(), Keyring::default());
        for file in render(&some) {
            let Content::Bytes(bytes) = &file.content else { continue };
            let text = String::from_utf8_lossy(bytes);
            if file.path.starts_with("/etc/containers/registries.conf.d/") {
                prop_assert_eq!(mirrors.add(&file.path, &text), vec![], "{}", text);
            }
            if file.path.ends_with("/auth.json") {
                let (read, problems) = Keyring::parse(&file.path, &text);
                prop_assert_eq!(problems, vec![], "{}", text);
                keyring = read;
            }
        }
        for registry in some.registries.iter().filter(|registry| !registry.host.is_all()) {
            let name = Named::parse(&format!("{}/team/os:1", registry.host)).unwrap();
            let found = mirrors.locations(&name).unwrap();
            let hosts: Vec<String> = found.iter().map(|location| host_of(&location.name)).collect();
            let wanted = registry.mirrors.iter().filter(|mirror| mirror.place.base().is_empty());
            let wanted: Vec<&str> =
                wanted.map(|mirror| mirror.place.host()).chain([registry.host.as_str()]).collect();
            prop_assert_eq!(hosts, wanted);
            prop_assert_eq!(keyring.of(&name).is_some(), registry.access.credentials.is_some() || is_mirror_too(&some, &name));
        }
    }
}

fn host_of(name: &Named) -> String {
    name.name().split('/').next().unwrap_or_default().to_owned()
}

/// Whether a mirror with credentials is the very registry of `name`, or lies in it where `name` does.
fn is_mirror_too(some: &Settings, name: &Named) -> bool {
    let name = name.name();
    let mut mirrors = some.registries.iter().filter(|one| !one.host.is_all()).flat_map(|registry| &registry.mirrors);
    mirrors.any(|mirror| {
        let is_there = name.strip_prefix(mirror.place.as_str()).is_some_and(|rest| rest.starts_with('/'));
        is_there && mirror.access.credentials.is_some()
    })
}

#[test]
fn every_key_can_be_written() {
    let whole = include_bytes!("../golden/whole.toml");
    let (found, _) = settings(&[Source::new("whole", Rank::Node, whole)]);
    let text = write(&found, Secrets::Revealed);
    let (again, problems) = settings(&[Source::new("written", Rank::Node, text.as_bytes())]);
    assert_eq!((again, problems), (found, vec![]));
    assert!(toml::from_str::<toml::Table>(&text).unwrap().contains_key("cluster"));
}
