//! Nodes for tests, written as short as `a1 b2+3`: release a, entry number 1, blessed; release b, number 2, three tries left.

use super::*;
use crate::update::model::{Command, Origin, Tries, Upgrade};

pub(crate) fn digest(letter: &str) -> Digest {
    format!("sha256:{}", letter.repeat(64)).parse().unwrap()
}

fn id(letter: &str) -> DeploymentId {
    format!("{}.0", letter.repeat(64)).parse().unwrap()
}

/// Entries of `LETTER NUMBER [+LEFT]`; the version of a release is its letter's place in the alphabet. What is booted is the highest
/// that is remembered.
pub(crate) fn node(entries: &str, booted: &str) -> Observed {
    let mut observed = Observed { booted: Some(id(booted)), booted_version: version(booted), ..Observed::default() };
    observed.memory.floor = Some(version(booted));
    for text in entries.split(' ') {
        let (letter, rest) = text.split_at(1);
        let (_, left) = rest.split_once('+').unwrap_or((rest, ""));
        let tries = left.parse().ok().map(|left: u32| Tries { left, done: 3 - left });
        let origin = Origin { digest: digest(letter), version: version(letter), image: "r/os:1".to_owned() };
        observed.on_disk.insert(id(letter), Some(origin));
        let number = observed.entries.len() + 1;
        let counter = tries.map_or(String::new(), |tries| format!("+{}-{}", tries.left, tries.done));
        observed.entries.push(BootEntry {
            name: format!("ballast-{number}-{}-{letter}{counter}.conf", version(letter)).parse().unwrap(),
            deployment: id(letter),
            version: version(letter),
            linux: format!("/ballast/{letter}-vmlinuz"),
            initrd: format!("/ballast/{letter}-initramfs"),
            options: format!("ballast.deployment={}", id(letter)),
        });
    }
    observed
}

fn version(letter: &str) -> String {
    letter.bytes().map(|byte| (byte - b'a' + 1).to_string()).collect()
}

fn shown(observed: &Observed) -> String {
    let show = |one: Deployment| {
        let letter = one.id.commit().get(..1).unwrap().to_owned();
        let mark = |is: bool, mark: &'static str| if is { mark } else { "" };
        let marks =
            [mark(one.booted, "*"), mark(one.next, ">"), mark(one.last_good, "g"), mark(one.pinned, "p")].concat();
        format!("{letter}{marks} {} {:?}", one.version, one.state)
    };
    deployments(observed).into_iter().map(show).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_next_to_boot_is_the_highest_number_that_is_not_bad() {
    for (entries, booted, expected) in [
        ("a1 b2+3", "a", "a*g 1 Good, b> 2 Trial"),
        ("a1 b2+0", "a", "a*> 1 Good, b 2 Failed"),
        ("a1 b2", "b", "b*> 2 Good, ag 1 Good"),
        ("b1 a2", "a", "a*> 1 Good, bg 2 Good"),
        ("a1 b2 c3+3", "b", "b*g 2 Good, c> 3 Trial, a 1 Good"),
    ] {
        assert_eq!(shown(&node(entries, booted)), expected, "{entries}");
    }
}

#[test]
fn what_has_no_entry_is_unknown_and_what_is_not_on_the_disk_is_not_shown() {
    let mut observed = node("a1 c2", "b");
    observed.on_disk = [(id("a"), None), (id("b"), None)].into();
    assert_eq!(shown(&observed), "b* 2 Unknown, a> 1 Good");
    assert_eq!(reasons(&observed, 0).len(), 1);
}

#[test]
fn a_release_without_tries_is_written_down_unless_it_runs() {
    let failed = |observed: &Observed| match plan(observed, Unattended::default(), "", 7) {
        Some(Step::MarkFailed { failed }) => Some((failed.version, failed.reason)),
        _ => None,
    };
    let reported = ("2".to_owned(), "it did not become healthy in 3 boots".to_owned());
    let mut observed = node("a1 b2+0", "a");
    assert_eq!(failed(&observed), Some(reported));
    let given_up = FailedRelease { digest: digest("b"), version: "2".into(), reason: "no network".into(), at: 1 };
    observed.memory.given_up = Some(given_up.clone());
    assert_eq!(failed(&observed), Some(("2".to_owned(), "no network".to_owned())));
    observed.memory.mark_failed(given_up);
    assert_eq!(failed(&observed), None);
    assert_eq!(failed(&node("a1 b2+0", "b")), None);
    assert_eq!(failed(&node("a1 b2+1", "a")), None);
    // A stale counter does not fail a good release.
    assert_eq!(failed(&node("a1 b2+0 b3", "a")), None);
}

#[test]
fn what_the_node_began_by_itself_goes_on_within_its_window_only() {
    let mut observed = node("a1", "a");
    let command = Command::Upgrade(Upgrade { unattended: true, ..Upgrade::default() });
    observed.memory.wanted = Some(command.clone());
    for (is_on, is_open, expected) in
        [(true, true, Some(Step::Resume { command })), (true, false, None), (false, true, None)]
    {
        let unattended = Unattended { is_on, is_open, ..Unattended::default() };
        assert_eq!(plan(&observed, unattended, "", 0), expected, "{unattended:?}");
    }
}

#[test]
fn a_damaged_memory_is_mended_once_the_boot_entries_can_be_seen() {
    let damaged = Observed { memory_damage: Some("it is no JSON".to_owned()), ..node("a1", "a") };
    assert_eq!(plan(&damaged, Unattended::default(), "", 0), Some(Step::MendMemory));
    // Where /var cannot be written the mending fails at each pass: the entries are needed for a rollback all the same.
    let unmounted = Observed { unmounted_esp: Some(String::new()), ..damaged };
    assert_eq!(plan(&unmounted, Unattended::default(), "", 0), Some(Step::MountEsp { device: String::new() }));
}

#[test]
fn what_was_cut_short_is_taken_up_again() {
    let mut observed = node("a1", "a");
    let plan = |observed: &Observed| plan(observed, Unattended::default(), "", 0);
    assert_eq!(plan(&observed), None);
    let command = Command::Upgrade(Upgrade::default());
    observed.memory.wanted = Some(command.clone());
    assert_eq!(plan(&observed), Some(Step::Resume { command }));
    // Without a network it would fail, and be forgotten.
    observed.lacks_network = true;
    assert_eq!(plan(&observed), None);
    observed.unmounted_esp = Some("/dev/vda1".to_owned());
    assert_eq!(plan(&observed), Some(Step::MountEsp { device: "/dev/vda1".to_owned() }));
}

#[test]
fn there_is_an_alternative_while_one_entry_has_tries() {
    for (entries, booted, expected) in
        [("a1", "a", true), ("a1+0", "a", false), ("a1+0 b2+0", "b", false), ("a1 b2+0", "b", true)]
    {
        assert_eq!(has_alternative(&node(entries, booted)), expected, "{entries}");
    }
}

#[test]
fn by_itself_a_node_does_what_its_settings_allow_while_the_window_is_open() {
    let all = Unattended { is_on: true, reboots: true, is_open: true, is_due: true };
    for (entries, unattended, expected) in [
        ("a1", all, Some(Step::Upgrade)),
        ("a1", Unattended { is_on: false, ..all }, None),
        ("a1", Unattended { is_open: false, ..all }, None),
        ("a1", Unattended { is_due: false, ..all }, None),
        ("a1 b2+3", all, Some(Step::Reboot)),
        ("a1 b2+3", Unattended { is_due: false, ..all }, Some(Step::Reboot)),
        ("a1 b2+3", Unattended { reboots: false, ..all }, Some(Step::Upgrade)),
        ("a1 b2+3", Unattended { is_open: false, ..all }, None),
        // It was tried, or the one that runs is still on trial, or a rollback waits: the node is left as it is.
        ("a1 b2+2", all, Some(Step::Upgrade)),
        ("a1+2 b2+3", all, Some(Step::Upgrade)),
        ("a1 b2", all, Some(Step::Upgrade)),
    ] {
        assert_eq!(plan(&node(entries, "a"), unattended, "", 0), expected, "{entries} {unattended:?}");
    }
}
