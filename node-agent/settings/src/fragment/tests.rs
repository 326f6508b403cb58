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
        let (_, told) = read(Kind::Settings, &format!("#cloud-config\n{text}\n"));
        assert!(
            matches!(told.as_slice(), [told] if told.starts_with(&expected)),
            "{text}: {told:#?}\nexpected {expected}"
        );
    }
}

#[test]
fn broken_yaml_is_named_with_its_place() {
    for text in ["hostname: [", "a: 1\na: 2", "- 1\n- 2", "hostname: \"", "a: &a [*a]", "? [a]: b"] {
        let (found, told) = read(Kind::Settings, &format!("#cloud-config\n{text}\n"));
        assert_eq!(found, Settings::default(), "{text}");
        assert!(!told.is_empty(), "{text}");
    }
    let (_, told) = read(Kind::Settings, "#cloud-config\nhostname: a\nhostname: b\n");
    assert!(told[0].starts_with("u:3:1: ") && told[0].ends_with("; nothing in it applies"), "{told:?}");
}

#[test]
fn other_user_data_is_named_and_not_run() {
    for (text, what) in [
        ("#!/bin/sh\nrm -rf /\n", "a script"),
        ("Content-Type: multipart/mixed; boundary=\"x\"\n", "a MIME message"),
        ("#include\nhttp://x/\n", "a list of URLs"),
        ("{\"hostname\": \"a\"}", "JSON"),
    ] {
        let told = read(Kind::Settings, text).1;
        let expected = format!("u: it is {what}, which this node does not run; nothing in it applies");
        assert!(matches!(told.as_slice(), [told] if told.starts_with(&expected)), "{text}: {told:?}");
    }
    let bytes = [0x1f, 0x8b, 8, 0, 0xff];
    let (_, problems) = crate::settings(&[Source::new("u", Rank::Volume, &bytes)]);
    assert!(problems[0].to_string().starts_with("u: it is compressed; nothing in it applies"), "{problems:?}");
    let large = vec![b'#'; 300 * 1024];
    let (_, problems) = crate::settings(&[Source::new("u", Rank::Volume, &large)]);
    assert_eq!(problems[0].to_string(), "u: it has more than 256 KiB; nothing in it applies");
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
        let (found, told) = read(kind, text);
        assert_eq!((found.hostname.as_ref().map(|name| name.as_str()), told), (name, vec![]), "{text}");
    }
    assert_eq!(read(Kind::Hostname, "<html>").1.len(), 1);
}

#[test]
fn there_are_limits() {
    let many: String = (0..2000).map(|index| format!("\"vm.a{index}\" = 1\n")).collect();
    let (found, told) = read(Kind::Settings, &format!("hostname = \"a\"\n[kernel.sysctl]\n{many}"));
    assert!(found.hostname.is_some() && found.kernel.sysctl.len() < 1000, "{}", found.kernel.sysctl.len());
    assert!(
        matches!(told.as_slice(), [told] if told.contains("more than 1000 keys and list items in all")),
        "{told:?}"
    );
    let deep = format!("[time]\nservers = {}1{}\nzone = \"UTC\"\n", "[".repeat(20), "]".repeat(20));
    let (found, told) = read(Kind::Settings, &deep);
    assert!(found.time.zone.is_some() && told.iter().any(|told| told.contains("deeper than 8")), "{told:?}");
    let deep = format!("#cloud-config\nntp: {}1{}\ntimezone: UTC\n", "[".repeat(20), "]".repeat(20));
    let (found, told) = read(Kind::Settings, &deep);
    assert!(found.time.zone.is_some() && told.iter().any(|told| told.contains("deeper than 8")), "{told:?}");
}

#[test]
fn f02_a_line_that_is_no_toml_costs_itself_alone() {
    for line in ["nonsense", "this is no TOML", "- a", "x: y", "<<<<<<< HEAD", "a.b", "hostnam =", "[unclosed", "a = \"unclosed"] {
        let text = format!("hostname = \"a\"\n{line}\n[log]\nlevel = \"debug\"\n{line}\n[update]\nauto = true\nx = 1\n");
        let (found, problems) = read(Kind::Settings, &text);
        assert_eq!(found.hostname.unwrap().as_str(), "a", "{line}");
        assert_eq!((found.log.level.name(), found.update.auto), ("debug", true), "{line}: {problems:?}");
        for told in ["u:2:", "u:5:", "u:8:1: update.x: there is no such key"] {
            assert!(problems.iter().any(|problem| problem.starts_with(told)), "{line}: {told} {problems:?}");
        }
    }
    let many = "nonsense\n".repeat(1000);
    assert!(read(Kind::Settings, &many).1.len() >= 32);
}
