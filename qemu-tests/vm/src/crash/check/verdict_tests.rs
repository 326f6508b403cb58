//! Verdicts on states that are made here: a whole one, and each way not to be.

use std::rc::Rc;

use super::super::super::marks::{Holds, Promise};
use super::super::ext4::Fsck;
use super::super::root::Deployment;
use super::super::{esp, loader, var};
use super::*;

const OLD: &str = "old.0";
const NEW: &str = "new.0";

fn entry(number: u32, deployment: &str) -> (String, String) {
    let options = format!("ballast.deployment={deployment} ballast.composefs=digest-{deployment} quiet");
    (
        format!("ballast-{number}-x.conf"),
        format!("linux /ballast/k-vmlinuz\ninitrd /ballast/i-initramfs\noptions {options}\n"),
    )
}

fn view(entries: &[(String, String)]) -> View {
    let kernels: BTreeMap<_, _> =
        ["/ballast/k-vmlinuz", "/ballast/i-initramfs"].map(|path| (path.to_owned(), Ok(()))).into();
    let loader = BTreeMap::from([("loader".to_owned(), Ok("sum".to_owned()))]);
    View { entries: loader::order(entries, |path| kernels.contains_key(path)), kernels, loader, problem: None }
}

fn table() -> Vec<Partition> {
    let partition = |(label, start): (&str, u64)| Partition { label: label.into(), start, end: start + 100 };
    [("ballast-esp", 0), ("ballast-root", 100), ("ballast-var", 200)].map(partition).to_vec()
}

/// A node with both releases, of which the newer has an entry if `upgraded`.
fn facts(upgraded: bool) -> Facts {
    let entries = [entry(1, OLD), entry(2, NEW)];
    let view = view(&entries[..1 + usize::from(upgraded)]);
    let deployment = |name: &str| {
        (name.to_owned(), Deployment { composefs: format!("digest-{name}"), objects: 5, ..Deployment::default() })
    };
    let root = root::Facts { deployments: [OLD, NEW].map(deployment).into(), ..root::Facts::default() };
    let state = BTreeMap::from([("/s".to_owned(), b"n = 2".to_vec())]);
    Facts {
        tables: Tables { first: Some(table()), second: Some(table()) },
        esp: Rc::new(esp::Facts { firmware: view.clone(), mended: view, ..esp::Facts::default() }),
        root: Rc::new(root),
        var: Rc::new(var::Facts { bytes: 100, state, ..var::Facts::default() }),
    }
}

fn expected() -> Expected {
    let holds = |text: &str| Some(Holds { path: "/s".into(), text: Some(text.into()) });
    let promise = |name: &str| (name == "third").then_some(Promise::New);
    let mark = |name: &str, entries, text| Mark {
        name: name.into(),
        entries,
        holds: holds(text),
        boots: promise(name),
        heeds_fua: false,
    };
    Expected::of(
        &facts(false),
        &[facts(true)],
        vec![mark("first", 10, "n = 1"), mark("second", 20, "n = 2"), mark("third", 30, "n = 3")],
    )
}

/// The faults of an upgraded node to which `harm` was done.
fn faults(harm: impl FnOnce(&mut Facts)) -> Vec<(Fault, String)> {
    let mut facts = facts(true);
    harm(&mut facts);
    let verdict = expected().verdict(&facts, 25);
    assert_eq!(verdict.boots == Boots::Neither, verdict.faults.iter().any(|(fault, _)| *fault == Fault::Neither));
    verdict.faults
}

fn esp(facts: &mut Facts) -> &mut esp::Facts {
    Rc::make_mut(&mut facts.esp)
}

#[test]
fn a_whole_node_boots_the_old_or_the_new_release() {
    for (upgraded, boots) in [(false, Boots::Old), (true, Boots::New)] {
        let verdict = expected().verdict(&facts(upgraded), 25);
        assert_eq!((verdict.boots, verdict.faults), (boots, vec![]));
    }
    // Either table will do, and an entry that names nothing is passed over.
    assert_eq!(faults(|facts| facts.tables.first = None), []);
    assert_eq!(faults(|facts| facts.tables.second = None), []);
}

#[test]
fn what_does_not_boot_is_found() {
    let firmware = |harm: fn(&mut View)| faults(move |facts| harm(&mut esp(facts).firmware));
    let root = |harm: fn(&mut root::Facts)| faults(move |facts| harm(Rc::make_mut(&mut facts.root)));
    for (found, text) in [
        (faults(|facts| facts.tables = Tables::default()), "neither partition table is whole"),
        (
            faults(|facts| facts.tables.second.as_mut().unwrap()[1].start = 7),
            "the second partition table has ballast-root at Some(7)",
        ),
        (faults(|facts| Rc::make_mut(&mut facts.var).bytes = 101), "VAR smaller than its file system"),
        (firmware(|view| view.problem = Some("no FAT".into())), "nothing can be read: no FAT"),
        (firmware(|view| view.entries.clear()), "there is no boot entry"),
        (firmware(|view| view.loader.clear()), "the boot loader itself is not as it was"),
        (firmware(|view| view.kernels.clear()), "/ballast/k-vmlinuz is missing"),
        (
            firmware(|view| {
                view.kernels.insert("/ballast/k-vmlinuz".into(), Err("a loop".into()));
            }),
            "/ballast/k-vmlinuz is not whole: a loop",
        ),
        (firmware(|view| view.entries[0].options.truncate(50)), "its text is that of no entry"),
        (firmware(|view| view.entries[0].initrd.clear()), "its text is that of no entry"),
        (faults(|facts| esp(facts).mended.entries.clear()), "on the ESP that Linux sees, there is no boot entry"),
        (
            root(|root| {
                root.deployments.remove(NEW);
            }),
            "its deployment new.0 is not there",
        ),
        (root(|root| root.deployments.get_mut(NEW).unwrap().problems.push("half".into())), "is not whole: half"),
        (root(|root| root.deployments.get_mut(NEW).unwrap().composefs = "x".into()), "has the digest x"),
    ] {
        assert!(found.iter().any(|(fault, why)| *fault == Fault::Neither && why.contains(text)), "{text}: {found:?}");
    }
}

#[test]
fn damage_is_found() {
    let damaged = || Fsck { is_mended: false, damage: Some("a hole".into()) };
    for (found, text) in [
        (faults(|facts| Rc::make_mut(&mut facts.root).fsck = damaged()), "ROOT is damaged: a hole"),
        (faults(|facts| Rc::make_mut(&mut facts.var).fsck = damaged()), "VAR is damaged: a hole"),
        (faults(|facts| esp(facts).damage = Some("a loop".into())), "the ESP is damaged: a loop"),
        (faults(|facts| Rc::make_mut(&mut facts.root).repository.push("a ref".into())), "a ref"),
        (faults(|facts| Rc::make_mut(&mut facts.var).problems.push("no JSON".into())), "no JSON"),
    ] {
        assert_eq!(found, [(Fault::Damaged, text.to_owned())]);
    }
}

#[test]
fn a_release_that_was_answered_boots() {
    let faults = |upgraded, latest| {
        let mut facts = facts(upgraded);
        Rc::make_mut(&mut facts.var).state.insert("/s".to_owned(), b"n = 2, n = 3".to_vec());
        expected().verdict(&facts, latest).faults
    };
    assert_eq!(faults(false, 29), []);
    assert_eq!(faults(true, 30), []);
    assert_eq!(faults(false, 30), [(Fault::Lost, "\"third\" was answered, and the old release boots".to_owned())]);
}

#[test]
fn what_was_answered_is_there_and_what_was_asked_for_may_be() {
    let lost = |content: Option<&str>, latest| {
        let mut facts = facts(true);
        let state = &mut Rc::make_mut(&mut facts.var).state;
        state.clear();
        state.extend(content.map(|content| ("/s".to_owned(), content.as_bytes().to_vec())));
        expected().verdict(&facts, latest).faults
    };
    // Before the first answer anything may be there; then what was answered last, or what comes next.
    for (content, latest, is_well) in [
        (None, 9, true),
        (Some("n = 1"), 9, true),
        (None, 10, false),
        (Some("n = 1"), 10, true),
        (Some("n = 2"), 19, true),
        (Some("n = 1"), 20, false),
        (Some("n = 3"), 20, true),
        (Some("n = 2"), 30, false),
        (Some("n = 3"), 99, true),
    ] {
        let found = lost(content, latest);
        assert_eq!(found.is_empty(), is_well, "{content:?} at {latest}: {found:?}");
        assert!(found.iter().all(|(fault, _)| *fault == Fault::Lost), "{found:?}");
    }
}
