//! Inputs from the field, in `fixtures/user-data/`: each is taken as whoever wrote it expects, and what a platform writes by itself is
//! nobody's mistake.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{fs, path::Path};

use ballast_settings::{Kind, Outcome, Rank, Source, read};

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/user-data").join(name)).unwrap()
}

/// What the files of one volume mean together.
fn volume(files: &[(&str, Kind)]) -> Outcome {
    let files: Vec<(&str, Kind, Vec<u8>)> = files.iter().map(|(name, kind)| (*name, *kind, file(name))).collect();
    let source = |(name, kind, bytes)| Source { name, rank: Rank::Volume, kind, bytes };
    let sources: Vec<Source<'_>> = files.iter().map(|(name, kind, bytes)| source((name, *kind, bytes))).collect();
    read(&sources)
}

fn hostname(outcome: &Outcome) -> &str {
    outcome.settings.hostname.as_ref().unwrap().as_str()
}

#[test]
fn a_cloud_config_is_read_however_it_comes() {
    for (name, expected) in [
        ("cloud-config-after-blank-line", "leading-newline"),
        ("cloud-config-in-capitals", "capitals"),
        ("cloud-config.gz", "from-gzip"),
    ] {
        let found = volume(&[(name, Kind::Settings)]);
        assert_eq!((hostname(&found), &found.problems, &found.notes), (expected, &vec![], &vec![]), "{name}");
    }
}

#[test]
fn a_mime_message_is_read_part_by_part() {
    let found = volume(&[("multipart-mime", Kind::Settings)]);
    assert_eq!(hostname(&found), "from-multipart");
    let reported: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    let expected = "multipart-mime:init.sh: it is a script, which this node does not run";
    assert!(matches!(reported.as_slice(), [reported] if reported.starts_with(expected)), "{reported:?}");
}

#[test]
fn what_proxmox_writes_gives_a_static_address_and_is_nobody_s_mistake() {
    let found = volume(&[
        ("proxmox/user-data", Kind::Settings),
        ("proxmox/vendor-data", Kind::VendorData),
        ("proxmox/network-config", Kind::NetworkConfig),
        ("proxmox/meta-data", Kind::MetaData),
    ]);
    assert_eq!((hostname(&found), &found.problems), ("pve-node7", &vec![]));
    let reported: Vec<String> = found.notes.iter().map(ToString::to_string).collect();
    let names = "manage_etc_hosts, user, password, ssh_authorized_keys, chpasswd, users, package_upgrade";
    assert!(matches!(reported.as_slice(), [reported] if reported.ends_with(names)), "{reported:?}");
    assert!(!reported[0].contains("$5$"), "{reported:?}");
    assert_eq!(found.settings.time.zone.as_ref().unwrap().as_str(), "Europe/Vienna");
    let network = &found.settings.network;
    let [one] = network.interfaces.as_slice() else { panic!("{network:?}") };
    let shown = (one.addresses[0].to_string(), one.gateway.unwrap().to_string(), network.dns[0].to_string());
    assert_eq!(shown, ("10.0.2.77/24".to_owned(), "10.0.2.2".to_owned(), "10.0.2.3".to_owned()));
    assert_eq!(network.domains[0].as_str(), "lab.example");
}

#[test]
fn a_config_drive_gives_a_name_and_an_address() {
    let found = volume(&[
        ("config-2/openstack/latest/user_data", Kind::Settings),
        ("config-2/openstack/latest/network_data.json", Kind::NetworkData),
        ("config-2/openstack/latest/meta_data.json", Kind::MetaData),
    ]);
    assert_eq!((hostname(&found), &found.problems, &found.notes), ("ironic-node", &vec![], &vec![]));
    let [one] = found.settings.network.interfaces.as_slice() else { panic!("{found:?}") };
    let shown = (one.addresses[0].to_string(), one.gateway.unwrap().to_string(), one.dns.len());
    assert_eq!(shown, ("10.0.2.79/24".to_owned(), "10.0.2.2".to_owned(), 0));
    assert_eq!(found.settings.network.dns[0].to_string(), "10.0.2.3");
}
