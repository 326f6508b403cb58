//! The tables `[[network.bond]]` and `[[network.vlan]]`: interfaces that are made of others.

use std::{cell::RefCell, ops::RangeInclusive};

use super::reader::{Found, Reader};
use crate::{
    model::{Bond, BondMode, HashPolicy, InterfaceMatch, LacpRate, Vlan},
    tree::Table,
    values::{InterfaceName, LinkName, Mac, Text},
};

/// 0 and 4095 mean something else (IEEE 802.1Q).
const IDS: RangeInclusive<u32> = 1..=4094;

fn identity(table: &Table) -> Option<String> {
    table.text("name").and_then(|name| LinkName::parse(name).ok()).map(|name| name.to_string())
}

pub(super) fn bonds(network: &mut Reader<'_>) -> Vec<Bond> {
    let known: RefCell<Vec<InterfaceMatch>> = RefCell::default();
    network.keyed_tables("bond", identity, |table| {
        let name: Option<LinkName> = table.need("name");
        let members: Vec<Member> = table.list("interfaces").or(Vec::new());
        let mode = table.choice("mode", &BondMode::ALL.map(|mode| (mode.name(), mode))).or(BondMode::default());
        let hash_policy = table.choice("hash_policy", &HashPolicy::ALL.map(|one| (one.name(), one))).given();
        let lacp_rate = table.choice("lacp_rate", &LacpRate::ALL.map(|one| (one.name(), one))).given();
        let name = name?;
        let mut interfaces = Vec::new();
        for Member(member) in members {
            let is_itself = matches!(&member, InterfaceMatch::Name(one) if one.as_str() == name.as_str());
            if is_itself || known.borrow().contains(&member) {
                let what =
                    format!("has {member} in it, which is this bond or in one already; that member does not apply");
                table.refuse_keys(&["interfaces"], &what, "each interface in one bond");
            } else {
                known.borrow_mut().push(member.clone());
                interfaces.push(member);
            }
        }
        if interfaces.is_empty() {
            table.refuse_table("has no interface that fits; it does not apply", "interfaces = [\"eth0\", …]");
            return None;
        }
        Some(Bond { name, interfaces, mode, hash_policy, lacp_rate })
    })
}

pub(super) fn vlans(network: &mut Reader<'_>, bonds: &[Bond]) -> Vec<Vlan> {
    network.keyed_tables("vlan", identity, |table| {
        let name: Option<LinkName> = table.need("name");
        let id = table.number("id", IDS);
        let interface: Found<Single> = table.get("interface");
        let name = name?;
        if bonds.iter().any(|bond| bond.name == name) {
            table.refuse_table("has the name of a bond; it does not apply", "a name of its own");
            return None;
        }
        // What does not fit is named already, and nothing else is meant by it.
        let of_name = name.as_str().rsplit_once('.');
        let id = match id {
            Found::Given(id) => Some(id),
            Found::Absent => of_name.and_then(|(_, id)| id.parse().ok()).filter(|id| IDS.contains(id)),
            Found::Refused => return None,
        };
        let interface = match interface {
            Found::Given(Single(interface)) => Some(interface),
            Found::Absent => of_name.and_then(|(before, _)| Single::parse(before).ok()).map(|Single(single)| single),
            Found::Refused => return None,
        };
        let is_itself = matches!(&interface, Some(InterfaceMatch::Name(one)) if one.as_str() == name.as_str());
        let (Some(id), Some(interface), false) = (id, interface, is_itself) else {
            let expected = "id and interface, or a name that says both, as \"eth0.100\"";
            table.refuse_table("does not say which tag on which other interface; it does not apply", expected);
            return None;
        };
        Some(Vlan { name, id, interface })
    })
}

/// A bond's member: a name, a pattern, or a hardware address.
struct Member(InterfaceMatch);

impl Text for Member {
    const EXPECTED: &'static str =
        "an interface's name, pattern or hardware address, as \"eno1\" or \"52:54:00:12:34:56\"";

    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(mac) = Mac::parse(text) {
            return Ok(Self(InterfaceMatch::Mac(mac)));
        }
        InterfaceName::parse(text).map(|name| Self(InterfaceMatch::Name(name)))
    }
}

/// One interface: a name or a hardware address.
struct Single(InterfaceMatch);

impl Text for Single {
    const EXPECTED: &'static str = "one interface's name or hardware address, as \"eno1\" or \"52:54:00:12:34:56\"";

    fn parse(text: &str) -> Result<Self, String> {
        match Member::parse(text)?.0 {
            InterfaceMatch::Name(name) if name.is_pattern() => Err(format!("{text:?} may mean several interfaces")),
            single @ (InterfaceMatch::Name(_) | InterfaceMatch::Mac(_)) => Ok(Self(single)),
        }
    }
}
