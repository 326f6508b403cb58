//! Settings as people write them, after public reports: each is accepted, or the message says what to write.

use crate::{
    Rank, Source,
    model::{BondMode, InterfaceMatch, Settings},
    settings,
};

fn read(text: &str) -> (Settings, Vec<String>) {
    let (settings, problems) = settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
    (settings, problems.iter().map(ToString::to_string).collect())
}

/// The files of these settings whose path has `part` in it, one after the other.
fn rendered(settings: &Settings, part: &str) -> String {
    let files = crate::render::render(settings);
    let text = files.iter().filter(|file| file.path.contains(part)).map(|file| match &file.content {
        crate::render::Content::Bytes(bytes) => format!("=== {}\n{}", file.path, String::from_utf8_lossy(bytes)),
        crate::render::Content::Link(_) => String::new(),
    });
    text.collect()
}

#[test]
fn a_gateway_outside_the_prefix_is_on_the_link() {
    let (found, reported) = read(include_str!("../../tests/field/gateway-outside-prefix.toml"));
    assert_eq!(reported, [""; 0]);
    let text = rendered(&found, ".network");
    assert!(text.contains("[Route]\nGateway=10.0.2.2\nGatewayOnLink=yes\n"), "{text}");
    assert!(!text.contains("\nDNS=10.0.2.3\nGateway="), "{text}");
    // One that an address's network has in it is reached as ever, and so is a link-local one.
    for (address, gateway) in [("192.0.2.10/24", "192.0.2.1"), ("2001:db8::5/128", "fe80::1")] {
        let (found, reported) = read(&format!(
            "[[network.interface]]\nname = \"e*\"\naddresses = [\"{address}\"]\ngateway = \"{gateway}\"\n"
        ));
        let text = rendered(&found, ".network");
        assert!(
            reported.is_empty() && text.contains(&format!("\nGateway={gateway}\n")) && !text.contains("OnLink"),
            "{text}"
        );
    }
    let (found, _) = read(
        "[[network.interface]]\nname = \"e*\"\naddresses = [\"192.0.2.10/32\"]\n\
         routes = [{ to = \"default\", via = \"198.51.100.1\" }]\n",
    );
    let text = rendered(&found, ".network");
    assert!(text.contains("Gateway=198.51.100.1\nGatewayOnLink=yes\n"), "{text}");
}

#[test]
fn what_stands_there_twice_holds_once() {
    let (found, reported) = read(
        "[[network.interface]]\nname = \"e*\"\naddresses = [\"192.0.2.10/24\", \"192.0.2.10/24\"]\n\
         routes = [{ to = \"10.0.0.0/8\" }, { to = \"10.0.0.0/8\" }]\n",
    );
    let [interface] = found.network.interfaces.as_slice() else { panic!("{found:?}") };
    assert_eq!((interface.addresses.len(), interface.routes.len(), reported.len()), (1, 1, 2), "{reported:#?}");
    assert!(
        reported[0].starts_with("f:3:13: network.interface.\"e*\": has 192.0.2.10/24 in it twice"),
        "{reported:#?}"
    );
}

#[test]
fn docker_hub_s_mirror_is_docker_hub_s_whatever_it_is_called() {
    let (found, reported) = read(include_str!("../../tests/field/docker-io-mirror.toml"));
    assert_eq!(reported, [""; 0]);
    assert_eq!((found.registries.len(), found.registries[0].mirrors.len()), (1, 1));
}

#[test]
fn registries_are_taken_in_the_spellings_of_other_programs() {
    let (found, reported) = read(include_str!("../../tests/field/registries-with-paths.toml"));
    let hosts: Vec<&str> = found.registries.iter().map(|registry| registry.host.as_str()).collect();
    assert_eq!(hosts, ["docker.io", "*", "ghcr.io", "quay.io", "registry.k8s.io", "gcr.io"]);
    let docker = &found.registries[0];
    assert!(docker.access.credentials.is_some() && docker.mirrors[0].place.as_str() == "mirror.example");
    let k8s = &found.registries[4];
    let mirrors: Vec<(&str, bool)> =
        k8s.mirrors.iter().map(|mirror| (mirror.place.as_str(), mirror.access.plain_http)).collect();
    assert_eq!(
        mirrors,
        [
            ("10.0.2.2:5005", true),
            ("https://nexus.example/repository/docker-proxy/v2", false),
            ("10.0.2.2:5005/proxy/hub", false)
        ]
    );
    // What is not taken says what to write.
    let expected = [
        ("Docker-Remote", "write \"https://artifactory.example/api/docker/Docker-Remote\""),
        ("skip_verify", "write the authority's certificate in ca"),
        ("insecure", "write plain_http = true"),
        ("override_path", "write the path in host"),
    ];
    assert_eq!(reported.len(), expected.len(), "{reported:#?}");
    for (what, how) in expected {
        assert!(
            reported.iter().any(|reported| reported.contains(what) && reported.contains(how)),
            "{what}: {reported:#?}"
        );
    }
    let hosts = rendered(&found, "certs.d/registry.k8s.io/hosts.toml");
    for url in [
        "[host.\"http://10.0.2.2:5005\"]",
        "[host.\"https://nexus.example/repository/docker-proxy/v2\"]",
        "[host.\"https://10.0.2.2:5005/v2/proxy/hub\"]",
    ] {
        assert!(hosts.contains(url), "{url}: {hosts}");
    }
    let all = rendered(&found, "certs.d/_default/hosts.toml");
    assert!(all.contains("[host.\"https://mirror.example\"]") && !all.contains("server"), "{all}");
    // For upgrades, whose image names have no such paths, the others hold.
    let conf = rendered(&found, "registries.conf.d");
    assert!(conf.contains("location = \"10.0.2.2:5005/proxy/hub\"") && !conf.contains("nexus"), "{conf}");
    assert!(!conf.contains('*') && !conf.contains("_default"), "{conf}");
}

#[test]
fn sysctls_of_guides_apply_or_the_refusal_says_why() {
    let text = include_str!("../../tests/field/sysctls-of-guides.toml");
    let (found, reported) = read(text);
    let all = text.lines().filter(|line| line.contains(" = ")).count();
    assert_eq!((found.kernel.sysctl.len(), all), (14, 25), "{reported:#?}");
    assert_eq!(reported.len(), 11);
    for reported in &reported {
        let (_, why) = reported.split_once("is not one of them: ").unwrap_or_else(|| panic!("{reported}"));
        assert!(why.len() > 20, "{reported}");
    }
    for (name, why) in [("kernel.panic\"", "reboots"), ("nr_hugepages", "hugepages="), ("core_pattern", "container")] {
        assert!(
            reported.iter().any(|reported| reported.contains(name) && reported.contains(why)),
            "{name}: {reported:#?}"
        );
    }
}

#[test]
fn vlans_and_bonds_are_made_of_what_is_there() {
    let (found, reported) = read(include_str!("../../tests/field/vlan-bond.toml"));
    assert_eq!(reported, [""; 0]);
    let [bond] = found.network.bonds.as_slice() else { panic!("{found:?}") };
    let [vlan] = found.network.vlans.as_slice() else { panic!("{found:?}") };
    assert_eq!((bond.mode, bond.interfaces.len(), vlan.id), (BondMode::Lacp, 2, 100));
    assert!(matches!(&vlan.interface, InterfaceMatch::Name(name) if name.as_str() == "bond0"));
    let text = rendered(&found, "systemd/network");
    for part in [
        "05-ballast-bond0.netdev\n# Rendered from the settings; `ballast settings` changes it.\n[NetDev]\nName=bond0\nKind=bond\n\n[Bond]\nMode=802.3ad\n",
        "[NetDev]\nName=bond0.100\nKind=vlan\n\n[VLAN]\nId=100\n",
        "[Match]\nName=eno2\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nBond=bond0\n",
        // The bond only carries its VLAN, so it asks nobody for addresses.
        "[Match]\nName=bond0\n\n[Link]\nRequiredForOnline=yes\n\n[Network]\nDHCP=no\n",
        "VLAN=bond0.100\n",
        "[Match]\nName=bond0.100\n\n[Link]\nRequiredForOnline=yes\n\n[Network]\nDHCP=no\n",
        "Gateway=192.0.2.1\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_vlan_s_interface_keeps_what_a_pattern_says_of_it() {
    let text = "[[network.interface]]\nname = \"e*\"\ndhcp = \"ipv4\"\n[[network.vlan]]\nname = \"eth1.7\"\n\
                [[network.vlan]]\nname = \"storage\"\nid = 8\ninterface = \"52:54:00:00:00:01\"\n";
    let (found, reported) = read(text);
    assert_eq!(reported, [""; 0]);
    let files = rendered(&found, ".network");
    let names: Vec<&str> = files.lines().filter_map(|line| line.strip_prefix("=== /etc/systemd/network/")).collect();
    assert_eq!(
        names,
        [
            "08-ballast-525400000001.network",
            "10-ballast-000-eth1.network",
            "10-ballast-000.network",
            "20-ballast-eth1.7.network",
            "20-ballast-storage.network"
        ]
    );
    let eth1 = rendered(&found, "10-ballast-000-eth1");
    assert!(eth1.contains("Name=eth1\n") && eth1.contains("DHCP=ipv4\n") && eth1.contains("VLAN=eth1.7\n"), "{eth1}");
    assert!(!rendered(&found, "10-ballast-000.network").contains("VLAN="), "{files}");
    let mac = rendered(&found, "08-ballast");
    assert!(mac.contains("MACAddress=52:54:00:00:00:01\nKind=!*\n") && mac.contains("VLAN=storage\n"), "{mac}");
}

#[test]
fn a_member_is_known_by_the_address_that_it_was_made_with() {
    let (found, reported) =
        read("[[network.bond]]\nname = \"bond0\"\ninterfaces = [\"52:54:00:00:00:01\", \"eno*\"]\n");
    assert_eq!(reported, [""; 0]);
    let text = rendered(&found, "05-ballast-bond0-");
    assert!(text.contains("[Match]\nPermanentMACAddress=52:54:00:00:00:01\nKind=!*\n"), "{text}");
    assert!(text.contains("[Match]\nName=eno*\nKind=!*\n"), "{text}");
    // A bond of which nothing else is said asks for addresses, as every port does.
    assert!(rendered(&found, "20-ballast-bond0").contains("DHCP=yes\n"));
}

#[test]
fn links_that_mean_nothing_are_named() {
    for (text, expected) in [
        ("[[network.bond]]\nname = \"bond0\"", "f:1:1: network.bond.bond0: has no interface that fits"),
        (
            "[[network.bond]]\nname = \"b*\"\ninterfaces = \"eno1\"",
            "f:2:8: network.bond[0].name: \"b*\" is not an interface's name",
        ),
        (
            "[[network.bond]]\nname = \"b\"\ninterfaces = \"eno1\"\nmode = 4",
            "f:4:8: network.bond.b.mode: is a number, expected \"balance-rr\"",
        ),
        (
            "[[network.bond]]\nname = \"b\"\ninterfaces = \"eno1\"\n[[network.bond]]\nname = \"c\"\ninterfaces = [\"eno2\", \"eno1\"]",
            "f:6:14: network.bond.c: has eno1 in it, which is this bond or in one already",
        ),
        (
            "[[network.vlan]]\nname = \"storage\"",
            "f:1:1: network.vlan.storage: does not say which tag on which other interface",
        ),
        (
            "[[network.vlan]]\nname = \"a.1\"\nid = 4095",
            "f:3:6: network.vlan.\"a.1\".id: is out of range, expected a number from 1 to 4094",
        ),
        (
            "[[network.vlan]]\nname = \"a\"\nid = 1\ninterface = \"e*\"",
            "f:4:13: network.vlan.a.interface: \"e*\" may mean several interfaces",
        ),
    ] {
        let (_, reported) = read(text);
        assert!(
            reported.first().is_some_and(|reported| reported.starts_with(expected)),
            "{text}\n{reported:#?}\n{expected}"
        );
    }
}

#[test]
fn dhcp_s_routes_can_be_put_behind_others() {
    let (found, reported) =
        read("[[network.interface]]\nname = \"e*\"\ndhcp_metric = 2048\ndhcp_default_route = false\n");
    assert_eq!(reported, [""; 0]);
    let text = rendered(&found, ".network");
    for section in ["DHCPv4", "IPv6AcceptRA"] {
        assert!(text.contains(&format!("[{section}]\nUseGateway=no\nRouteMetric=2048\n")), "{text}");
    }
}

#[test]
fn amounts_and_lists_are_taken_in_the_usual_spelling() {
    let (found, reported) = read(
        "[network]\ndns = \"192.0.2.1\"\n[time]\nservers = \"n.example\"\n[update]\nwindow = \"daily 02:00-04:00 UTC\"\n\
         [health]\ndeadline = \"5m\"\n[log]\njournal_max_size = \"512M\"\n[[registry]]\nhost = \"r.example\"\nmirrors = \"m.example\"\n",
    );
    assert_eq!(reported, [""; 0]);
    assert_eq!((found.network.dns.len(), found.time.servers.len(), found.health.deadline.as_secs()), (1, 1, 300));
    assert_eq!((found.update.windows.unwrap().len(), found.registries[0].mirrors.len()), (1, 1));
    assert_eq!(found.log.journal_max_size.unwrap().bytes(), 512 << 20);
    for (text, units) in [
        ("[health]\ndeadline = \"5\"", "units: s, m or min, h"),
        ("[log]\njournal_max_size = \"512\"", "units: B, K, M, G;"),
    ] {
        let (_, reported) = read(text);
        assert!(reported[0].contains("has no unit") && reported[0].contains(units), "{reported:?}");
    }
}
