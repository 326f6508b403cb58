//! Holds the direction in which the parts of the agent know each other: see the picture in `src/lib.rs`.

use std::path::Path;

use purity::Source;

mod purity;

const DOMAINS: [&str; 8] = ["cluster", "health", "kubelet", "pods", "power", "runtime", "storage", "update"];

/// What a pure file does without: I/O, clocks, waiting, and whoever does such things.
const IMPURE: [&str; 19] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::env::args",
    "std::env::var",
    "std::env::var_os",
    "println",
    "eprintln",
    "tokio",
    "rustix",
    "nix",
    "crate::clients",
    "SystemTime::now",
    "async",
    "await",
];

/// Files with other names than `model` and `plan` that are pure all the same.
const ALSO_PURE: [&str; 16] = [
    "pods/desired.rs",
    "pods/disk/collect.rs",
    "pods/hosted.rs",
    "pods/phase.rs",
    "pods/restart_backoff.rs",
    "proxy/config/credentials.rs",
    "proxy/config/registries.rs",
    "proxy/policy/identity.rs",
    "proxy/policy/key.rs",
    "proxy/policy/scope.rs",
    "proxy/policy/signature.rs",
    "proxy/policy/source.rs",
    "proxy/source/registry/challenge.rs",
    "report/compose.rs",
    "report/metrics/figures.rs",
    "report/metrics/text.rs",
];

/// Folders in which all is pure.
const PURE_FOLDERS: [&str; 3] = ["/model/", "/plan/", "proxy/content/"];

/// As `pods`, of `pods/plan/mod.rs`.
fn room(source: &Source) -> &str {
    source.name.split(['/', '.']).next().unwrap_or_default()
}

fn is_pure(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    let is_in_pure_folder = PURE_FOLDERS.iter().any(|folder| name.contains(folder));
    file == "model.rs" || file == "plan.rs" || is_in_pure_folder || ALSO_PURE.contains(&name)
}

/// One sentence for each arrow that points the wrong way.
fn wrong_arrows(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    let room = room(source);
    let mut forbid = |other: &str, why: &str| {
        if source
            .names
            .iter()
            .any(|name| name == &format!("crate::{other}") || name.starts_with(&format!("crate::{other}::")))
        {
            wrong.push(format!("{} knows crate::{other}: {why}", source.name));
        }
    };
    if DOMAINS.contains(&room) {
        for other in DOMAINS.iter().filter(|other| **other != room) {
            forbid(other, "no domain knows another");
        }
    }
    if room == "clients" {
        DOMAINS.iter().for_each(|domain| forbid(domain, "clients know no domain"));
    }
    if room == "settings" {
        DOMAINS.iter().for_each(|domain| forbid(domain, "settings know no domain"));
    }
    if room == "clients" {
        forbid("settings", "clients are reported what to do");
    }
    if DOMAINS.contains(&room) || matches!(room, "clients" | "settings") {
        for other in ["agent", "cli", "report"] {
            forbid(other, "what is published never flows back");
        }
    }
    if room == "report" {
        forbid("agent", "report only publishes");
        for domain in DOMAINS {
            for act in ["act", "observe"] {
                forbid(&format!("{domain}::{act}"), "report only publishes");
            }
        }
    }
    if is_pure(&source.name) {
        let named = source.breaches(&IMPURE).into_iter();
        wrong.extend(named.map(|impure| format!("{} is pure and names {impure}", source.name)));
    }
    wrong
}

#[test]
fn the_arrows_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = purity::sources(&root.join("src"));
    // A program of its own, so it can know none of the agent; what is pure in it is held here, too.
    let proxy = purity::sources(&root.join("proxy/src"));
    all.extend(proxy.into_iter().map(|source| Source { name: format!("proxy/{}", source.name), ..source }));
    for domain in DOMAINS {
        assert!(all.iter().any(|source| room(source) == domain), "there is no domain {domain}");
    }
    for name in ALSO_PURE {
        assert!(all.iter().any(|source| source.name == name), "there is no file {name}");
    }
    let wrong: Vec<String> = all.iter().flat_map(wrong_arrows).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found() {
    let table = [
        ("pods/act.rs", "use crate::{clients::{cri::Cri, host}, runtime::model};", "pods/act.rs knows crate::runtime"),
        ("pods/act.rs", "fn f() { crate::health::plan::reasons() }", "pods/act.rs knows crate::health"),
        ("clients/proc.rs", "use crate::update;", "clients/proc.rs knows crate::update"),
        ("storage/act.rs", "use crate::report::status::Status;", "storage/act.rs knows crate::report"),
        ("report/status.rs", "use crate::pods::act::Jobs;", "report/status.rs knows crate::pods::act"),
        ("pods/plan/pod.rs", "use std::{\n    fs::File,\n};", "pods/plan/pod.rs is pure and names std::fs"),
        ("proxy/content/digest.rs", "use std::fs;", "proxy/content/digest.rs is pure and names std::fs"),
        ("pods/plan/mod.rs", "use super::super::runtime::model;", "pods/plan/mod.rs knows crate::runtime"),
        (
            "pods/plan/pod.rs",
            "use crate as all;\nfn f() { all::health::plan::reasons() }",
            "pods/plan/pod.rs knows crate::health",
        ),
        (
            "cluster/plan.rs",
            "#[cfg(test)]\nmod tests;\nfn f() { std::fs::read(1); }",
            "cluster/plan.rs is pure and names std::fs",
        ),
        ("pods/model.rs", "fn f() { SystemTime::now(); }", "pods/model.rs is pure and names SystemTime::now"),
        ("settings/observe.rs", "use crate::update::model;", "settings/observe.rs knows crate::update"),
        ("update/plan.rs", "use crate::clients::esp;", "update/plan.rs is pure and names crate::clients"),
    ];
    for (name, text, expected) in table {
        let wrong = wrong_arrows(&Source::new(name, text));
        assert!(wrong.iter().any(|wrong| wrong.starts_with(expected)), "{text}: {wrong:?}");
    }
    assert!(wrong_arrows(&Source::new("pods/act.rs", "// crate::runtime\nuse crate::pods::model::Key;")).is_empty());
}

#[test]
fn what_is_impure_is_found() {
    purity::holds(&IMPURE);
}
