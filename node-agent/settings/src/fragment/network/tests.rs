//! Interfaces of platforms, as they reach the settings.

use crate::{
    Kind, Outcome, Rank, Source,
    model::{Dhcp, Interface, InterfaceMatch, Problem},
    tree::{Table, Value},
};

fn read(kind: Kind, text: &str) -> Outcome {
    crate::read(&[Source { name: "u", rank: Rank::Volume, kind, bytes: text.as_bytes() }])
}

/// The interfaces, and what is wrong.
fn interfaces(kind: Kind, text: &str) -> (Vec<Interface>, Vec<String>) {
    let Outcome { settings, problems, .. } = read(kind, text);
    (settings.network.interfaces, problems.iter().map(Problem::to_string).collect())
}

fn shown<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn mac(interface: &Interface) -> String {
    match &interface.which {
        InterfaceMatch::Mac(mac) => mac.to_string(),
        InterfaceMatch::Name(name) => panic!("it is reported by its name {name}"),
    }
}

const VERSION_1: &str = "
version: 1
config:
  - type: physical
    name: eth0
    mac_address: '52:54:00:AB:cd:ef'
    mtu: 1400
    subnets:
      - {type: dhcp4}
      - {type: static6, address: '2001:db8::2/64', gateway: 'fe80::1', dns_nameservers: ['2001:db8::53']}
      - type: static
        address: 192.0.2.10
        netmask: 255.255.255.0
        gateway: 192.0.2.1
        dns_search: lab.example corp.example
        routes:
          - {network: 10.0.0.0, netmask: 255.0.0.0, gateway: 192.0.2.254, metric: 7}
  - {type: loopback, name: lo, subnets: [{type: loopback}]}
  - {type: nameserver, address: 192.0.2.53, search: [a.example], interface: eth0}
  - {type: nameserver, address: [192.0.2.54]}
  - {type: route, destination: 198.51.100.0/24, gateway: 192.0.2.7}
";

#[test]
fn version_1_becomes_interfaces() {
    let found = read(Kind::NetworkConfig, VERSION_1);
    assert_eq!((&found.problems, &found.notes), (&vec![], &vec![]));
    let network = found.settings.network;
    let [one] = network.interfaces.as_slice() else { panic!("{network:?}") };
    assert_eq!((mac(one).as_str(), one.mtu, one.dhcp), ("52:54:00:ab:cd:ef", Some(1400), Dhcp::Ipv4));
    assert_eq!(shown(&one.addresses), ["2001:db8::2/64", "192.0.2.10/24"]);
    assert_eq!(one.gateway.unwrap().to_string(), "fe80::1");
    let routes: Vec<String> = one
        .routes
        .iter()
        .map(|route| format!("{} {:?} {:?}", route.to, route.via.map(|via| via.to_string()), route.metric))
        .collect();
    let expected = [
        "10.0.0.0/8 Some(\"192.0.2.254\") Some(7)",
        "198.51.100.0/24 Some(\"192.0.2.7\") None",
        "0.0.0.0/0 Some(\"192.0.2.1\") None",
    ];
    assert_eq!(routes, expected);
    assert_eq!(shown(&one.dns), ["2001:db8::53", "192.0.2.53"]);
    assert_eq!(shown(&one.domains), ["lab.example", "corp.example", "a.example"]);
    assert_eq!(shown(&network.dns), ["192.0.2.54"]);
    let disabled = read(Kind::NetworkConfig, "version: 1\nconfig: disabled\n");
    assert_eq!((disabled.settings.network.interfaces, disabled.problems), (vec![], vec![]));
}

const VERSION_2: &str = "
network:
  version: 2
  renderer: networkd
  ethernets:
    id0:
      match: {macaddress: '00:11:22:33:44:55'}
      set-name: lan0
      dhcp4: yes
      dhcp6: true
      addresses: [192.168.14.2/24, '2001:1::1/64', {'10.1.0.1/8': {label: x}}]
      gateway4: 192.168.14.1
      gateway6: '2001:1::2'
      optional: true
      nameservers: {search: [foo.local], addresses: [192.0.2.53]}
      routes: [{to: 192.0.2.0/24, via: 192.168.14.9, metric: 3}, {to: default, via: 192.168.14.3, metric: 9}]
    eno1: {}
    all: {match: {name: 'en*'}, dhcp4: true, wakeonlan: true}
";

#[test]
fn version_2_becomes_interfaces() {
    let found = read(Kind::NetworkConfig, VERSION_2);
    assert_eq!(found.problems, []);
    let reported = shown(&found.notes);
    let is_reported =
        |reported: &String| reported.ends_with(": this is not taken: ethernets.all.wakeonlan, ethernets.id0.set-name");
    assert!(matches!(reported.as_slice(), [reported] if is_reported(reported)), "{reported:?}");
    let [first, second, third] = found.settings.network.interfaces.as_slice() else { panic!("{found:?}") };
    assert_eq!((mac(first).as_str(), first.dhcp, first.required), ("00:11:22:33:44:55", Dhcp::Both, false));
    assert_eq!(shown(&first.addresses), ["192.168.14.2/24", "2001:1::1/64", "10.1.0.1/8"]);
    assert_eq!(first.gateway.unwrap().to_string(), "192.168.14.1");
    let routes: Vec<String> = first.routes.iter().map(|route| format!("{} {:?}", route.to, route.metric)).collect();
    assert_eq!(routes, ["192.0.2.0/24 Some(3)", "default Some(9)", "::/0 None"]);
    assert_eq!((shown(&first.dns), shown(&first.domains)), (vec!["192.0.2.53".into()], vec!["foo.local".into()]));
    // netplan's default is not that of the settings.
    assert!(matches!(&second.which, InterfaceMatch::Name(name) if name.as_str() == "eno1") && second.dhcp == Dhcp::No);
    assert!(matches!(&third.which, InterfaceMatch::Name(name) if name.as_str() == "en*") && third.dhcp == Dhcp::Ipv4);
}

#[test]
fn openstack_s_networks_become_interfaces() {
    let text = "{
\t\"links\": [
\t\t{\"id\": \"tap1\", \"type\": \"ovs\", \"ethernet_mac_address\": \"fa:16:3e:00:00:01\", \"mtu\": 1450, \"vif_id\": \"x\"},
\t\t{\"id\": \"tap2\", \"type\": \"phy\", \"ethernet_mac_address\": \"fa:16:3e:00:00:02\", \"mtu\": null},
\t\t{\"id\": \"tap3\", \"type\": \"vif\", \"ethernet_mac_address\": \"fa:16:3e:00:00:03\"}
\t],
\t\"networks\": [
\t\t{\"id\": \"n1\", \"link\": \"tap1\", \"type\": \"ipv4_dhcp\", \"network_id\": \"u\"},
\t\t{\"id\": \"n2\", \"link\": \"tap2\", \"type\": \"ipv6\", \"ip_address\": \"2001:db8::5\", \"netmask\": \"ffff:ffff:ffff:ffff::\",
\t\t \"routes\": [{\"network\": \"::\", \"netmask\": \"::\", \"gateway\": \"2001:db8::1\", \"services\": []}],
\t\t \"services\": [{\"type\": \"dns\", \"address\": \"2001:db8::53\"}, {\"type\": \"ntp\", \"address\": \"2001:db8::7\"}]}
\t],
\t\"services\": [{\"type\": \"dns\", \"address\": \"192.0.2.53\"}]
}";
    let found = read(Kind::NetworkData, text);
    assert_eq!((&found.problems, &found.notes), (&vec![], &vec![]));
    let network = found.settings.network;
    let [first, second] = network.interfaces.as_slice() else { panic!("{network:?}") };
    assert_eq!((mac(first).as_str(), first.dhcp, first.mtu), ("fa:16:3e:00:00:01", Dhcp::Ipv4, Some(1450)));
    assert_eq!(
        (shown(&second.addresses), shown(&second.dns)),
        (vec!["2001:db8::5/64".into()], vec!["2001:db8::53".into()])
    );
    assert_eq!((second.gateway.unwrap().to_string().as_str(), second.dhcp), ("2001:db8::1", Dhcp::No));
    assert_eq!(shown(&network.dns), ["192.0.2.53"]);
    for nothing in ["{}", "{\"links\": [], \"networks\": [], \"services\": []}", ""] {
        let found = read(Kind::NetworkData, nothing);
        assert_eq!((found.settings, found.problems, found.notes), Default::default(), "{nothing}");
    }
}

#[test]
fn what_the_operator_says_of_an_interface_counts_more() {
    let user_data = "[[network.interface]]\nmac = \"52:54:00:ab:cd:ef\"\naddresses = [\"198.51.100.9/24\"]\n";
    let sources = [
        Source { name: "n", rank: Rank::Volume, kind: Kind::NetworkConfig, bytes: VERSION_1.as_bytes() },
        Source { rank: Rank::Volume, ..Source::new("u", Rank::Volume, user_data.as_bytes()) },
    ];
    let mut sorted = sources;
    sorted.reverse();
    let [one] = <[Interface; 1]>::try_from(crate::settings(&sorted).0.network.interfaces).unwrap();
    assert_eq!((shown(&one.addresses), one.mtu), (vec!["198.51.100.9/24".to_owned()], Some(1400)));
}

#[test]
fn what_cannot_be_taken_is_a_problem_with_its_key() {
    let of = |text: &str| interfaces(Kind::NetworkConfig, text).1;
    for (text, expected) in [
        ("version: 3\n", "u:1:10: version: is none that this node reads; no interface of it applies, expected 1 or 2"),
        ("ethernets: {}\n", "u:1:1: version: is none that this node reads"),
        ("network: 7\n", "u:1:10: network: is a number, expected a mapping"),
        ("version: 2\nethernets: {a: {addresses: [10.0.0.1]}}\n", "u:2:29: ethernets.a.addresses: \"10.0.0.1\" is not"),
        ("version: 2\nethernets: {a: {match: {driver: x}}}\n", "u:2:24: ethernets.a.match: says neither a macaddress"),
        ("version: 2\nbridges: {br0: {dhcp4: true}}\n", "u:2:1: bridges: is not made by this node; it does not apply"),
        ("version: 2\nethernets: [a]\n", "u:2:1: ethernets: is a list, expected a mapping"),
        ("version: 1\nconfig: [{type: bridge, name: br0}]\n", "u:2:10: config[0].type: is \"bridge\", which this node"),
        (
            "version: 1\nconfig:\n- {type: physical, name: a, subnets: [{type: static, address: nonsense}]}\n",
            "u:3:39: config[0].subnets[0].address: \"nonsense\" is not",
        ),
        (
            "version: 1\nconfig: [{type: route, destination: 10.0.0.0/8, gateway: 10.1.1.1}]\n",
            "u:2:10: config[0]: has a gateway",
        ),
        ("- a\n", "u:1:1: it is a list; nothing in it applies"),
    ] {
        let reported = of(text);
        assert!(
            matches!(reported.as_slice(), [reported] if reported.starts_with(expected)),
            "{text}: {reported:#?}\nexpected {expected}"
        );
    }
}

/// The entries of the list `key` of `network`, each `key=value key=value`.
fn made(table: &Table, key: &str) -> Vec<String> {
    fn value(item: &Value) -> String {
        if let Value::List(items) = item {
            return items.iter().map(|item| value(&item.value)).collect::<Vec<_>>().join("+");
        }
        let switch = item.as_switch().map(|switch| switch.to_string());
        let text = item.as_text().map(str::to_owned).or_else(|| item.as_integer().map(|number| number.to_string()));
        text.or(switch).unwrap()
    }
    let network = table.get("network").unwrap().value.as_table().unwrap();
    let Some(Value::List(items)) = network.get(key).map(|item| &item.value) else { return Vec::new() };
    let tables = items.iter().map(|item| item.value.as_table().unwrap());
    let shown = |table: &Table| {
        let entries: Vec<String> =
            table.entries.iter().map(|entry| format!("{}={}", entry.name, value(&entry.item.value))).collect();
        entries.join(" ")
    };
    tables.map(shown).collect()
}

#[test]
fn bonds_and_vlans_are_put_in_the_settings_words() {
    let bond = "name=bond0 interfaces=52:54:00:00:00:01+eth1 mode=802.3ad hash_policy=layer3+4";
    let vlan = "name=bond0.7 id=7 interface=bond0";
    let on_them = ["name=bond0 dhcp=false", "name=bond0.7 dhcp=ipv4"];
    let version_1 = "version: 1
config:
- {type: physical, name: eth0, mac_address: '52:54:00:00:00:01'}
- {type: physical, name: eth1}
- {type: bond, name: bond0, bond_interfaces: [eth0, eth1], params: {bond-mode: 802.3ad, bond-xmit-hash-policy: layer3+4}}
- {type: vlan, name: bond0.7, vlan_link: bond0, vlan_id: 7, subnets: [{type: dhcp}]}
";
    let version_2 = "version: 2
ethernets: {a: {match: {macaddress: '52:54:00:00:00:01'}}, eth1: {}}
bonds: {bond0: {interfaces: [a, eth1], parameters: {mode: 802.3ad, transmit-hash-policy: layer3+4}}}
vlans: {bond0.7: {id: 7, link: bond0, dhcp4: true}}
";
    for text in [version_1, version_2] {
        let source = Source { name: "u", rank: Rank::Volume, kind: Kind::NetworkConfig, bytes: text.as_bytes() };
        let fragments = crate::fragment::Fragment::parse(&source, &mut crate::fragment::Budget::new());
        let [fragment] = fragments.as_slice() else { panic!("{fragments:?}") };
        assert_eq!(fragment.problems, []);
        assert_eq!(made(&fragment.table, "bond"), [bond]);
        assert_eq!(made(&fragment.table, "vlan"), [vlan]);
        assert_eq!(made(&fragment.table, "interface"), on_them);
    }
    let openstack = r#"{"links": [
        {"id": "b", "type": "bond", "bond_links": ["p", "q"], "bond_mode": "802.3ad", "bond_xmit_hash_policy": "layer3+4"},
        {"id": "p", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01"},
        {"id": "q", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:02"},
        {"id": "v", "type": "vlan", "vlan_link": "b", "vlan_id": 7, "vlan_mac_address": "52:54:00:00:00:03"}],
        "networks": [{"link": "v", "type": "ipv4_dhcp"}]}"#;
    let source = Source { name: "u", rank: Rank::Volume, kind: Kind::NetworkData, bytes: openstack.as_bytes() };
    let fragments = crate::fragment::Fragment::parse(&source, &mut crate::fragment::Budget::new());
    assert_eq!(made(&fragments[0].table, "bond"), [bond.replace("eth1", "52:54:00:00:00:02")]);
    assert_eq!(made(&fragments[0].table, "vlan"), ["name=vlan7 id=7 interface=bond0"]);
    assert_eq!(made(&fragments[0].table, "interface"), ["name=bond0 dhcp=false", "name=vlan7 dhcp=ipv4"]);
}
