//! Sources of all kinds, as they reach the settings.

use crate::{
    Kind, Rank, Source,
    model::{Problem, Settings},
};

fn read(kind: Kind, text: &str) -> (Settings, Vec<String>) {
    let source = Source { name: "u", rank: Rank::Credential, kind, bytes: text.as_bytes() };
    let (settings, problems) = crate::settings(&[source]);
    (settings, problems.iter().map(Problem::to_string).collect())
}

const CLOUD_CONFIG: &str = "#cloud-config
hostname: node1
fqdn: node1.example.com
timezone: Europe/Berlin
ntp:
  enabled: true
  servers: [192.0.2.1]
  pools:
    - 0.pool.example
ca_certs:
  trusted:
    - |
      -----BEGIN CERTIFICATE-----
      MAMCAQE=
      -----END CERTIFICATE-----
write_files:
  - path: /etc/ballast/update.toml
    content: |
      [update]
      auto = true
  - path: /etc/ballast/health.toml
    encoding: b64
    content: W2hlYWx0aF0KbmV0d29yayA9IHRydWUK
";

#[test]
fn a_cloud_config_says_what_a_node_can_do() {
    let (found, problems) = read(Kind::Settings, CLOUD_CONFIG);
    assert_eq!(problems, [""; 0]);
    assert_eq!(found.hostname.unwrap().as_str(), "node1");
    assert_eq!(found.time.zone.unwrap().as_str(), "Europe/Berlin");
    let servers: Vec<String> = found.time.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.1", "0.pool.example"]);
    assert_eq!(found.network.certificates.len(), 1);
    assert!(found.update.auto && found.health.network);
    assert_eq!(read(Kind::Settings, "#cloud-config\nfqdn: a.example\n").0.hostname.unwrap().as_str(), "a.example");
    assert_eq!(read(Kind::Settings, "#cloud-config\r\n").1, [""; 0]);
}

#[test]
fn what_a_node_does_not_take_of_a_cloud_config_is_named() {
    let ignored = "is ignored: of a cloud-config this node takes";
    let table = [
        ("packages: [vim]", format!("u:2:1: packages: {ignored} hostname")),
        ("hostname: no_de", "u:2:11: hostname: \"no_de\" is not a host's name".to_owned()),
        ("fqdn: 7", "u:2:7: fqdn: is a number, expected a host's name".to_owned()),
        ("timezone: CEST", "u:2:11: timezone: there is no time zone \"CEST\"".to_owned()),
        ("ntp: yes_please", "u:2:6: ntp: is a text, expected a mapping".to_owned()),
        ("ntp: {servers: a.example}", "u:2:16: ntp.servers: is a text, expected a list".to_owned()),
        ("ntp: {pools: [\"a b\"]}", "u:2:15: ntp.pools: \"a b\" is not a host's name".to_owned()),
        ("ntp: {enabled: false}", format!("u:2:7: ntp.enabled: {ignored}")),
        ("ca_certs: {remove_defaults: true}", format!("u:2:12: ca_certs.remove_defaults: {ignored}")),
        ("ca-certs: {trusted: [x]}", "u:2:22: ca-certs.trusted: has no certificate in it".to_owned()),
        (
            "write_files: [{path: /etc/passwd}]",
            "u:2:15: write_files[0]: is ignored: it would write \"/etc/passwd\"".to_owned(),
        ),
        (
            "write_files: [{path: /etc/ballast/../a.toml}]",
            "u:2:15: write_files[0]: is ignored: it would write".to_owned(),
        ),
        (
            "write_files: [{path: /etc/ballast/a.toml, encoding: gzip}]",
            "u:2:15: write_files[0]: has the encoding \"gzip\"".to_owned(),
        ),
        (
            "write_files: [{path: /etc/ballast/a.toml, content: 'updat.x = 1'}]",
            "u:/etc/ballast/a.toml:1:1: updat: there is no such key; did you mean update?".to_owned(),
        ),
        ("write_files: [7]", "u:2:15: write_files[0]: is a number, expected a mapping".to_owned()),
    ];
    for (text, expected) in table {
        let (_, reported) = read(Kind::Settings, &format!("#cloud-config\n{text}\n"));
        assert!(
            matches!(reported.as_slice(), [reported] if reported.starts_with(&expected)),
            "{text}: {reported:#?}\nexpected {expected}"
        );
    }
}

#[test]
fn broken_yaml_is_named_with_its_place() {
    for text in ["hostname: [", "a: 1\na: 2", "- 1\n- 2", "hostname: \"", "a: &a [*a]", "? [a]: b"] {
        let (found, reported) = read(Kind::Settings, &format!("#cloud-config\n{text}\n"));
        assert_eq!(found, Settings::default(), "{text}");
        assert!(!reported.is_empty(), "{text}");
    }
    let (_, reported) = read(Kind::Settings, "#cloud-config\nhostname: a\nhostname: b\n");
    assert!(reported[0].starts_with("u:3:1: ") && reported[0].ends_with("; nothing in it applies"), "{reported:?}");
}

#[test]
fn other_user_data_is_named_and_not_run() {
    for (text, what) in [
        ("#!/bin/sh\nrm -rf /\n", "a script"),
        ("#include\nhttp://x/\n", "a list of URLs"),
        ("{\"hostname\": \"a\"}", "JSON"),
    ] {
        let reported = read(Kind::Settings, text).1;
        let expected = format!("u: it is {what}, which this node does not run; nothing in it applies");
        assert!(matches!(reported.as_slice(), [reported] if reported.starts_with(&expected)), "{text}: {reported:?}");
    }
    let large = vec![b'#'; 300 * 1024];
    let (_, problems) = crate::settings(&[Source::new("u", Rank::Volume, &large)]);
    assert_eq!(problems[0].to_string(), "u: it has more than 256 KiB; nothing in it applies");
}

/// A MIME message with these parts, each its headers and its body.
fn message(parts: &[(&str, &str)]) -> String {
    let parts = parts.iter().map(|(headers, body)| format!("--=b\n{headers}\n\n{body}\n"));
    let parts: String = parts.collect();
    format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=b\"\n\n{parts}--=b--\n")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn of_a_message_s_parts_the_last_counts_most() {
    let text = message(&[
        ("Content-Type: text/cloud-config", "hostname: first\ntimezone: UTC"),
        ("Content-Type: text/x-toml", "log.level = \"debug\""),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: base64", "I2Nsb3VkLWNvbmZpZwpob3N0bmFtZTogbGFzdAo="),
    ]);
    for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}\n{text}")] {
        let (found, reported) = read(Kind::Settings, &text);
        assert_eq!((found.hostname.unwrap().as_str(), reported.as_slice()), ("last", &[][..]), "{text}");
        assert!(found.time.zone.is_some() && found.log.level.name() == "debug");
    }
    let (found, reported) = read(Kind::Settings, "Content-Type: multipart/mixed; boundary=\"x\"\n");
    assert_eq!(found, Settings::default());
    assert!(
        matches!(reported.as_slice(), [reported] if reported.starts_with("u: it is a MIME message without a part")),
        "{reported:?}"
    );
}

#[test]
fn what_is_wrapped_has_limits_too() {
    let of = |bytes: &[u8]| {
        let (found, problems) = crate::settings(&[Source::new("u", Rank::Volume, bytes)]);
        (found, problems.iter().map(Problem::to_string).collect::<Vec<_>>())
    };
    let (found, reported) = of(&gzip(message(&[("Content-Type: text/plain", "hostname = \"a\"")]).as_bytes()));
    assert_eq!((found.hostname.unwrap().as_str(), reported.as_slice()), ("a", &[][..]));
    // Eight megabytes in eight kilobytes.
    let bomb = gzip(&vec![b'#'; 8 << 20]);
    assert!(bomb.len() < super::MAX_BYTES, "{}", bomb.len());
    assert_eq!(of(&bomb).1, ["u: it has more than 256 KiB when it is decompressed; nothing in it applies"]);
    assert!(of(&[0x1f, 0x8b, 8, 0, 0xff]).1[0].starts_with("u: it is compressed with gzip and damaged: "));
    let many = message(&vec![("Content-Type: text/plain", "# nothing"); 40]);
    assert!(matches!(of(many.as_bytes()).1.as_slice(), [reported] if reported.contains("more than 32 parts")));
    // All parts share one limit.
    let zipped = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, gzip(&vec![b'#'; 200 << 10]));
    let part = ("Content-Type: application/gzip\nContent-Transfer-Encoding: base64", zipped.as_str());
    let reported = of(message(&[part, part]).as_bytes()).1;
    assert!(
        matches!(reported.as_slice(), [reported] if reported.starts_with("u:part 2: it has more than 256 KiB")),
        "{reported:?}"
    );
}

/// What is reported as a note, and whether anything is a problem.
fn notes(kind: Kind, text: &str) -> (Settings, Vec<String>) {
    let source = Source { name: "u", rank: Rank::Credential, kind, bytes: text.as_bytes() };
    let crate::Outcome { settings, problems, notes, .. } = crate::read(&[source]);
    assert_eq!(problems, [], "{text}");
    (settings, notes.iter().map(Problem::to_string).collect())
}

#[test]
fn platforms_give_a_name() {
    let long = format!("{{\"hostname\": \"node.{}.internal\"}}", "a".repeat(60));
    for (kind, text, name) in [
        (Kind::MetaData, "instance-id: i-1\nlocal-hostname: node1\n", Some("node1")),
        (
            Kind::MetaData,
            "{\"uuid\": \"1\", \"hostname\": \"node1.novalocal\", \"meta\": {\"a\": \"b\"}}",
            Some("node1.novalocal"),
        ),
        (Kind::MetaData, &long, Some("node")),
        (Kind::MetaData, "instance-id: i-1\n", None),
        (Kind::MetaData, "", None),
        (Kind::Hostname, "ip-10-0-0-1.ec2.internal\n", Some("ip-10-0-0-1.ec2.internal")),
        (Kind::Hostname, "", None),
    ] {
        let (found, reported) = notes(kind, text);
        assert_eq!((found.hostname.as_ref().map(|name| name.as_str()), reported), (name, vec![]), "{text}");
    }
    let deep = format!("hostname: a\ndevices: {}1{}\n", "[".repeat(20), "]".repeat(20));
    assert_eq!(notes(Kind::MetaData, &deep).1, [""; 0]);
}

#[test]
fn of_a_platform_s_name_that_nearly_fits_the_usable_part_is_taken() {
    for (text, name) in [
        ("ip-10-0-0-1.a.example b.example", Some("ip-10-0-0-1.a.example")),
        ("node_7", Some("node-7")),
        ("node.", Some("node")),
        ("node.in valid", Some("node.in")),
        ("node.-x", Some("node")),
        ("<html>", None),
        ("10.0.0.1", None),
    ] {
        let (found, reported) = notes(Kind::Hostname, text);
        assert_eq!(found.hostname.as_ref().map(|name| name.as_str()), name, "{text}");
        assert!(reported.len() <= 1 && (name.is_some() || reported.len() == 1), "{text}: {reported:?}");
    }
    assert_eq!(
        notes(Kind::Hostname, "a.x b.x").1,
        ["u:1:1: hostname: of the platform's name \"a.x b.x\", \"a.x\" is taken"]
    );
}

#[test]
fn vendor_data_counts_less_and_is_never_a_problem() {
    let wrapped = "{\"cloud-init\": \"#cloud-config\\ntimezone: UTC\\npackages: [x]\\n\", \"other\": [1]}";
    for (text, has_zone, is_reported) in [
        ("#cloud-config\ntimezone: UTC\n", true, false),
        ("#cloud-config\ntimezone: Nowhere/None\n", false, true),
        (wrapped, true, true),
        ("#!/bin/sh\necho\n", false, true),
        ("{\"static\": {}}", false, false),
        ("{\"cloud-init\": {\"a\": 1}}", false, true),
        ("{}", false, false),
        ("\"#cloud-config\\ntimezone: UTC\"", true, false),
        ("", false, false),
    ] {
        let (found, reported) = notes(Kind::VendorData, text);
        assert_eq!((found.time.zone.is_some(), !reported.is_empty()), (has_zone, is_reported), "{text}: {reported:?}");
    }
}

#[test]
fn interfaces_in_meta_data_are_taken() {
    let hetzner = "hostname: a\nnetwork-config:\n  version: 1\n  config:\n  - {type: physical, name: eth0, mac_address: \"96:00:00:00:00:01\", \
                   subnets: [{type: dhcp, ipv4: true}, {type: static, ipv6: true, address: \"2001:db8::1/64\", gateway: \"fe80::1\"}]}\n";
    let (found, reported) = notes(Kind::MetaData, hetzner);
    let [one] = found.network.interfaces.as_slice() else { panic!("{found:?}") };
    assert_eq!((one.dhcp, one.addresses.len(), reported.len()), (crate::model::Dhcp::Ipv4, 1, 0));
    assert!(
        notes(Kind::MetaData, "network-interfaces: |\n  auto eth0\n").1[0].contains("a form that this node does not")
    );
}

#[test]
fn there_are_limits() {
    let many: String = (0..2000).map(|index| format!("\"vm.a{index}\" = 1\n")).collect();
    let (found, reported) = read(Kind::Settings, &format!("hostname = \"a\"\n[kernel.sysctl]\n{many}"));
    assert!(found.hostname.is_some() && found.kernel.sysctl.len() < 1000, "{}", found.kernel.sysctl.len());
    assert!(
        matches!(reported.as_slice(), [reported] if reported.contains("more than 1000 keys and list items in all")),
        "{reported:?}"
    );
    let deep = format!("[time]\nservers = {}1{}\nzone = \"UTC\"\n", "[".repeat(20), "]".repeat(20));
    let (found, reported) = read(Kind::Settings, &deep);
    assert!(
        found.time.zone.is_some() && reported.iter().any(|reported| reported.contains("deeper than 8")),
        "{reported:?}"
    );
    let deep = format!("#cloud-config\nntp: {}1{}\ntimezone: UTC\n", "[".repeat(20), "]".repeat(20));
    let (found, reported) = read(Kind::Settings, &deep);
    assert!(
        found.time.zone.is_some() && reported.iter().any(|reported| reported.contains("deeper than 8")),
        "{reported:?}"
    );
}

#[test]
fn f02_a_line_that_is_no_toml_costs_itself_alone() {
    for line in [
        "nonsense",
        "this is no TOML",
        "- a",
        "x: y",
        "<<<<<<< HEAD",
        "a.b",
        "hostnam =",
        "[unclosed",
        "a = \"unclosed",
    ] {
        let text =
            format!("hostname = \"a\"\n{line}\n[log]\nlevel = \"debug\"\n{line}\n[update]\nauto = true\nx = 1\n");
        let (found, problems) = read(Kind::Settings, &text);
        assert_eq!(found.hostname.unwrap().as_str(), "a", "{line}");
        assert_eq!((found.log.level.name(), found.update.auto), ("debug", true), "{line}: {problems:?}");
        for reported in ["u:2:", "u:5:", "u:8:1: update.x: there is no such key"] {
            assert!(problems.iter().any(|problem| problem.starts_with(reported)), "{line}: {reported} {problems:?}");
        }
    }
    let many = "nonsense\n".repeat(1000);
    assert!(read(Kind::Settings, &many).1.len() >= 32);
}
