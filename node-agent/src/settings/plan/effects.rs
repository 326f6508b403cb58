//! The effects of the settings, from the state of networkd, resolved and timesyncd: a pure function.

use std::{collections::BTreeMap, time::Duration};

use ballast_settings::{
    Origin,
    model::{Dhcp, Interface, InterfaceMatch, Network, Problem, Settings},
    quoted,
};

/// An address takes DHCP some seconds; what has not come by then is reported.
const LINK_TIMEOUT: Duration = Duration::from_secs(30);

/// timesyncd asks one server after the other.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(120);

/// resolved's file for those who ask servers directly has no more than these.
const MAX_SERVERS: usize = 3;

/// What the services say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The interfaces; none before networkd has looked at them.
    pub links: Vec<Link>,
    /// The name servers that resolved goes by; None if nobody wants to know.
    pub servers: Option<Vec<String>>,
    /// Whether timesyncd has set the clock.
    pub is_clock_set: bool,
}

/// An interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Whether it is a device, and not made by somebody.
    pub is_device: bool,
    /// How far networkd came: `configured`, `configuring`, `failed`, …
    pub setup: String,
    /// What it is good for: `no-carrier`, `degraded`, `routable`, …
    pub operational: String,
    /// The name of the file that it is configured by.
    pub file: String,
}

/// Something that does not hold yet, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What is reported then. The same sentence as long as nothing changes.
    pub problem: Problem,
    /// How long it may take.
    pub timeout: Duration,
}

/// What of `settings` does not hold by what is `observed`, with the key that says it.
pub fn pending(settings: &Settings, origins: &BTreeMap<String, Origin>, observed: &Observed) -> Vec<Pending> {
    let says = Says { origins };
    let mut all = Vec::new();
    if !observed.links.is_empty() {
        all.extend(interfaces(&says, &settings.network, &observed.links));
        all.extend(made(&says, &settings.network, &observed.links));
    }
    let mut all: Vec<Pending> = all.into_iter().map(|problem| Pending { problem, timeout: LINK_TIMEOUT }).collect();
    if let Some(servers) = observed.servers.as_ref().filter(|servers| servers.len() < MAX_SERVERS) {
        let unused = settings.network.dns.iter().find(|server| !servers.contains(&server.to_string()));
        let what = |server| format!("systemd-resolved does not go by {server}: it was not restarted, or failed");
        let problem = unused.map(|server| says.problem("network", &["dns"], what(server), ""));
        all.extend(problem.map(|problem| Pending { problem, timeout: LINK_TIMEOUT }));
    }
    if !settings.time.servers.is_empty() && !observed.is_clock_set {
        let what = "none of the servers has set the clock; systemd-timesyncd goes on asking".to_owned();
        let problem = says.problem("time", &["servers"], what, "NTP servers that the node reaches (UDP port 123)");
        all.push(Pending { problem, timeout: CLOCK_TIMEOUT });
    }
    all
}

/// Who says which key.
struct Says<'a> {
    origins: &'a BTreeMap<String, Origin>,
}

impl Says<'_> {
    /// `what` is wrong with the first of `keys` of `table` that somebody says.
    fn problem(&self, table: &str, keys: &[&str], what: String, expected: &str) -> Problem {
        let names = keys.iter().map(|key| format!("{table}.{key}"));
        let found = names.into_iter().find_map(|name| self.origins.get_key_value(&name));
        let of_table = || self.origins.iter().find(|(name, _)| name.starts_with(&format!("{table}.")));
        let found = found.or_else(of_table);
        Problem {
            file: found.map_or_else(|| "settings".to_owned(), |(_, origin)| origin.source.to_string()),
            place: found.and_then(|(_, origin)| origin.place),
            key: Some(found.map_or_else(|| table.to_owned(), |(name, _)| name.clone())),
            what,
            expected: expected.to_owned(),
        }
    }
}

impl<'a> Says<'a> {
    /// The source of the first key of `table`.
    fn source(&self, table: &str) -> Option<&'a str> {
        let of_table = |(name, _): &(&String, &Origin)| name.starts_with(&format!("{table}."));
        self.origins.iter().find(of_table).map(|(_, origin)| &*origin.source)
    }
}

/// Whether networkd configures `link` by the file of the entry number `index`.
fn follows(link: &Link, index: usize) -> bool {
    let rest = link.file.strip_prefix(&format!("10-ballast-{index:03}"));
    rest.is_some_and(|rest| rest == ".network" || rest.starts_with('-'))
}

fn is_meant(which: &InterfaceMatch, link: &Link) -> bool {
    match which {
        InterfaceMatch::Name(name) => name.matches(&link.name) && (!name.is_pattern() || link.is_device),
        InterfaceMatch::Mac(mac) => link.mac == mac.to_string(),
    }
}

fn interfaces(says: &Says<'_>, network: &Network, links: &[Link]) -> Vec<Problem> {
    let mut all = Vec::new();
    for (index, interface) in network.interfaces.iter().enumerate().filter(|(_, interface)| interface.required) {
        let table = table_of(&interface.which);
        let own: Vec<&Link> = links.iter().filter(|link| follows(link, index)).collect();
        if own.is_empty() {
            all.extend(of_no_interface(says, network, &table, &interface.which, links));
        } else if !own.iter().any(|link| link.setup == "configured") {
            // Of several that a pattern means one is enough.
            all.extend(own.first().map(|link| not_configured(says, &table, interface, link)));
        }
    }
    all
}

fn table_of(which: &InterfaceMatch) -> String {
    format!("network.interface.{}", quoted(&which.to_string()))
}

/// The table of the entry or bond that `link` follows.
fn followed(network: &Network, link: &Link) -> Option<String> {
    let entry = network.interfaces.iter().enumerate().find(|(index, _)| follows(link, *index));
    let bond = || network.bonds.iter().find(|bond| link.file.starts_with(&format!("05-ballast-{}-", bond.name)));
    let of_bond = || bond().map(|bond| format!("network.bond.{}", quoted(bond.name.as_str())));
    entry.map(|(_, interface)| table_of(&interface.which)).or_else(of_bond)
}

/// The devices that there are, for people.
fn devices(links: &[Link]) -> String {
    let names: Vec<String> =
        links.iter().filter(|link| link.is_device).map(|link| format!("{} ({})", link.name, link.mac)).collect();
    if names.is_empty() { "no interface at all".to_owned() } else { names.join(", ") }
}

/// Of different sources the entry of one may be for the ports that another does not name: an operator's pattern beside the platform's list.
fn of_no_interface(
    says: &Says<'_>,
    network: &Network,
    table: &str,
    which: &InterfaceMatch,
    links: &[Link],
) -> Option<Problem> {
    let keys = ["name", "mac"];
    let problem = match links.iter().find(|link| is_meant(which, link)) {
        Some(link) if link.file.is_empty() => {
            let what = format!("systemd-networkd does not configure {}", link.name);
            says.problem(table, &keys, what, "")
        }
        Some(link) if followed(network, link).is_some_and(|other| says.source(&other) != says.source(table)) => {
            return None;
        }
        Some(link) => {
            let what = format!("{} follows {}, which comes before it", link.name, link.file);
            says.problem(table, &keys, what, "an interface in one entry or bond, or the more exact entry first")
        }
        None => {
            let what = format!("this node has no such interface; it has {}", devices(links));
            says.problem(table, &keys, what, "one of these, or required = false")
        }
    };
    Some(problem)
}

fn not_configured(says: &Says<'_>, table: &str, interface: &Interface, link: &Link) -> Problem {
    let name = &link.name;
    match (link.setup.as_str(), link.operational.as_str()) {
        (_, "no-carrier" | "off" | "missing") => {
            let what = format!("{name} has no carrier: no cable, or the other end is off");
            says.problem(table, &["name", "mac"], what, "another interface, or required = false")
        }
        ("failed", operational) => {
            let what = format!("systemd-networkd could not configure {name} (it is failed, {operational})");
            says.problem(table, &["gateway", "routes", "addresses", "mtu", "name", "mac"], what, "")
        }
        (_, _) if interface.dhcp != Dhcp::No && interface.addresses.is_empty() => {
            let what = format!("{name} gets no address: no DHCP server and no router answers");
            says.problem(table, &["dhcp", "name", "mac"], what, "a network with DHCP, or addresses")
        }
        (setup, operational) => {
            let what = format!("systemd-networkd does not come to an end with {name} (it is {setup}, {operational})");
            let expected = "routes and gateways that the kernel takes, and addresses that nobody else has";
            says.problem(table, &["gateway", "routes", "addresses", "name", "mac"], what, expected)
        }
    }
}

/// Bonds, their members, and VLANs.
fn made(says: &Says<'_>, network: &Network, links: &[Link]) -> Vec<Problem> {
    let is_there = |name: &str| links.iter().any(|link| link.name == name);
    let mut all = Vec::new();
    for bond in &network.bonds {
        let table = format!("network.bond.{}", quoted(bond.name.as_str()));
        if !is_there(bond.name.as_str()) {
            let what = "systemd-networkd has not made this bond; what is changed in one holds from the next boot on";
            all.push(says.problem(&table, &["name"], what.to_owned(), ""));
        }
        for (index, member) in bond.interfaces.iter().enumerate() {
            let file = format!("05-ballast-{}-{index:03}.network", bond.name);
            if !links.iter().any(|link| link.file == file) {
                let what = format!("no interface of this node is {member}; it has {}", devices(links));
                all.push(says.problem(&table, &["interfaces"], what, "some of these"));
            }
        }
    }
    for vlan in network.vlans.iter().filter(|vlan| !is_there(vlan.name.as_str())) {
        let table = format!("network.vlan.{}", quoted(vlan.name.as_str()));
        let what = if links.iter().any(|link| is_meant(&vlan.interface, link)) {
            format!("systemd-networkd has not made this VLAN on {}", vlan.interface)
        } else {
            format!("there is no interface {} for it; there are {}", vlan.interface, devices(links))
        };
        all.push(says.problem(&table, &["interface", "name"], what, ""));
    }
    all
}

#[cfg(test)]
mod tests {
    use ballast_settings::{Rank, Source};

    use super::*;

    fn link(name: &str, setup: &str, operational: &str, file: &str) -> Link {
        Link {
            name: name.to_owned(),
            mac: "52:54:00:12:34:56".to_owned(),
            is_device: true,
            setup: setup.to_owned(),
            operational: operational.to_owned(),
            file: file.to_owned(),
        }
    }

    fn reported(text: &str, observed: &Observed) -> Vec<String> {
        let outcome = ballast_settings::read(&[Source::new("f", Rank::Node, text.as_bytes())]);
        assert_eq!(outcome.problems, []);
        let pending = pending(&outcome.settings, &outcome.origins, observed);
        pending.iter().map(|pending| pending.problem.to_string()).collect()
    }

    #[test]
    fn what_does_not_come_to_hold_is_reported_with_its_key() {
        const STATIC: &str =
            "[[network.interface]]\nname = \"e*\"\naddresses = [\"10.0.2.15/32\"]\ngateway = \"10.0.2.2\"\n";
        const DHCP: &str = "[[network.interface]]\nmac = \"52:54:00:12:34:56\"\n";
        const FIRST: &str = "10-ballast-000.network";
        let table = [
            (STATIC, link("eth0", "configured", "routable", FIRST), None),
            (STATIC, link("eth0", "configured", "routable", "10-ballast-000-eth0.network"), None),
            (
                STATIC,
                link("eth0", "configuring", "degraded", FIRST),
                Some("f:4:11: network.interface.\"e*\".gateway: systemd-networkd does not come to an end with eth0"),
            ),
            (
                STATIC,
                link("eth0", "failed", "degraded", FIRST),
                Some("f:4:11: network.interface.\"e*\".gateway: systemd-networkd could not configure eth0"),
            ),
            (
                STATIC,
                link("eth0", "configuring", "no-carrier", FIRST),
                Some("f:2:8: network.interface.\"e*\".name: eth0 has no carrier"),
            ),
            (
                STATIC,
                link("wan0", "configured", "routable", "80-dhcp.network"),
                Some(
                    "f:2:8: network.interface.\"e*\".name: this node has no such interface; it has wan0 (52:54:00:12:34:56), expected one of these",
                ),
            ),
            (
                STATIC,
                link("eth0", "configured", "routable", "05-ballast-bond0-000.network"),
                Some("f:2:8: network.interface.\"e*\".name: eth0 follows 05-ballast-bond0-000.network"),
            ),
            (
                DHCP,
                link("eth0", "configuring", "degraded", FIRST),
                Some("f:2:7: network.interface.\"52:54:00:12:34:56\".mac: eth0 gets no address"),
            ),
            (
                "[[network.interface]]\nname = \"x\"\nrequired = false\n",
                link("eth0", "configured", "routable", ""),
                None,
            ),
            ("", link("eth0", "configuring", "no-carrier", "80-dhcp.network"), None),
        ];
        for (text, link, expected) in table {
            let reported = reported(text, &Observed { links: vec![link.clone()], ..Observed::default() });
            match (reported.as_slice(), expected) {
                ([], None) => {}
                ([reported], Some(expected)) if reported.starts_with(expected) => {}
                _ => panic!("{text}{link:?}\n{reported:#?}\nexpected {expected:?}"),
            }
        }
        // Before networkd has looked at them nothing is known.
        assert_eq!(reported(STATIC, &Observed::default()), [""; 0]);
    }

    /// The platform's list comes first, since a hardware address is more exact than a pattern.
    #[test]
    fn a_pattern_beside_the_platforms_entries_is_no_mistake() {
        const OPERATOR: &str = "[[network.interface]]\nname = \"e*\"\n";
        const EXACT: &str = "[[network.interface]]\nmac = \"52:54:00:12:34:56\"\n";
        let sources = [
            Source::new("operator", Rank::Node, OPERATOR.as_bytes()),
            Source::new("platform", Rank::Volume, EXACT.as_bytes()),
        ];
        let reported = |sources: &[Source<'_>]| {
            let outcome = ballast_settings::read(sources);
            assert_eq!(outcome.problems, []);
            let is_exact = |one: &Interface| matches!(one.which, InterfaceMatch::Mac(_));
            let exact = outcome.settings.network.interfaces.iter().position(is_exact).unwrap();
            let links = vec![link("eth0", "configured", "routable", &format!("10-ballast-{exact:03}.network"))];
            let observed = Observed { links, ..Observed::default() };
            let pending = pending(&outcome.settings, &outcome.origins, &observed);
            pending.iter().map(|pending| pending.problem.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(reported(&sources), [""; 0]);
        let both = format!("{EXACT}{OPERATOR}");
        let reported = reported(&[Source::new("operator", Rank::Node, both.as_bytes())]);
        assert!(
            matches!(&reported[..], [reported] if reported.contains("eth0 follows 10-ballast-000.network")),
            "{reported:?}"
        );
    }

    #[test]
    fn of_several_that_a_pattern_means_one_is_enough() {
        let links = vec![
            link("eth0", "configuring", "no-carrier", "10-ballast-000.network"),
            link("eth1", "configured", "routable", "10-ballast-000.network"),
        ];
        assert_eq!(
            reported("[[network.interface]]\nname = \"e*\"\n", &Observed { links, ..Observed::default() }),
            [""; 0]
        );
    }

    #[test]
    fn a_bond_without_its_members_and_a_vlan_without_its_interface_are_reported() {
        let text = "[[network.bond]]\nname = \"bond0\"\ninterfaces = [\"eno1\", \"eno2\"]\n[[network.vlan]]\nname = \"eno7.5\"\n";
        let links = vec![
            link("eno1", "configured", "enslaved", "05-ballast-bond0-000.network"),
            Link { is_device: false, ..link("bond0", "configured", "routable", "20-ballast-bond0.network") },
        ];
        let reported = reported(text, &Observed { links, ..Observed::default() });
        assert_eq!(
            reported,
            [
                "f:3:14: network.bond.bond0.interfaces: no interface of this node is eno2; it has eno1 (52:54:00:12:34:56), \
                 expected some of these",
                "f:5:8: network.vlan.\"eno7.5\".name: there is no interface eno7 for it; there are eno1 (52:54:00:12:34:56)",
            ]
        );
    }

    #[test]
    fn servers_that_nobody_asks_and_a_clock_that_nobody_sets_are_reported() {
        let text = "[network]\ndns = [\"192.0.2.53\"]\n[time]\nservers = [\"192.0.2.123\"]\n";
        let right =
            Observed { servers: Some(vec!["192.0.2.53".to_owned()]), is_clock_set: true, ..Observed::default() };
        assert_eq!(reported(text, &right), [""; 0]);
        let reported = reported(text, &Observed { servers: Some(Vec::new()), ..Observed::default() });
        let expected = [
            "f:2:7: network.dns: systemd-resolved does not go by 192.0.2.53: it was not restarted, or failed",
            "f:4:11: time.servers: none of the servers has set the clock; systemd-timesyncd goes on asking, expected NTP servers \
             that the node reaches (UDP port 123)",
        ];
        assert_eq!(reported, expected);
    }
}
