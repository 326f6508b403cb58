//! One interface while it is put together, in the settings' terms.

use std::net::IpAddr;

use ipnet::IpNet;

use super::value::{entry, keyed, list, scalar, text};
use crate::tree::{Entry, Item, Origin, Table, Value};

/// What an interface is made of.
#[derive(Debug)]
pub(super) enum Made {
    /// It is there: a port.
    Port,
    /// Of the interfaces that the description calls so.
    Bond { members: Vec<Item>, parameters: Vec<Entry> },
    /// A tag on another.
    Vlan { link: Option<Item>, id: Option<Item> },
}

/// An interface.
#[derive(Debug)]
pub(super) struct Link {
    /// What the description calls it.
    pub(super) id: String,
    /// Where it stands, and how problems name it.
    pub(super) origin: Origin,
    pub(super) made: Made,
    pub(super) name: Option<Item>,
    pub(super) mac: Option<Item>,
    pub(super) dhcp4: bool,
    pub(super) dhcp6: bool,
    pub(super) addresses: Vec<Item>,
    pub(super) gateways: Vec<Item>,
    pub(super) routes: Vec<Item>,
    pub(super) dns: Vec<Item>,
    pub(super) domains: Vec<Item>,
    pub(super) mtu: Option<Item>,
    pub(super) required: Option<Item>,
    /// Whether anything is said of it, beside what it is a part of.
    pub(super) is_listed: bool,
}

impl Link {
    /// The interface that the description calls `id`, at `path` in it.
    pub(super) fn new(id: &str, path: &str, origin: &Origin, made: Made) -> Self {
        let origin = Origin { key: Some(path.into()), ..origin.clone() };
        Self {
            id: id.to_owned(),
            origin,
            made,
            name: None,
            mac: None,
            dhcp4: false,
            dhcp6: false,
            addresses: Vec::new(),
            gateways: Vec::new(),
            routes: Vec::new(),
            dns: Vec::new(),
            domains: Vec::new(),
            mtu: None,
            required: None,
            is_listed: true,
        }
    }

    /// How problems name the key `key` of it.
    pub(super) fn path(&self, key: &str) -> String {
        let own = self.origin.key.as_deref().unwrap_or_default();
        if own.is_empty() { key.to_owned() } else { format!("{own}.{key}") }
    }

    /// `item`, named as the key `key` of it.
    pub(super) fn keyed(&self, item: Item, key: &str) -> Item {
        keyed(item, &self.path(key))
    }

    /// How the settings say it from others: a port by its hardware address, if that is known.
    pub(super) fn reference(&self) -> Item {
        let port = matches!(self.made, Made::Port).then_some(self.mac.as_ref()).flatten();
        let known = port.or(self.name.as_ref()).cloned();
        known.unwrap_or_else(|| text(&*self.id, &self.origin))
    }

    /// Whether one of its networks has `gateway` in it.
    pub(super) fn reaches(&self, gateway: IpAddr) -> bool {
        let networks = self.addresses.iter().filter_map(|item| scalar(&item.value)?.parse::<IpNet>().ok());
        networks.into_iter().any(|network| network.contains(&gateway))
    }

    /// A route over it, to a network and over a gateway, each as it stands there.
    pub(super) fn add_route(&mut self, to: Item, via: Option<Item>, metric: Option<Item>) {
        let is_default = scalar(&to.value).is_some_and(|to| ["default", "0.0.0.0/0", "::/0"].contains(&to.as_str()));
        match (is_default, via, metric) {
            (true, Some(via), None) => self.gateways.push(via),
            (_, via, metric) => {
                let origin = to.origin.clone();
                let mut entries = vec![entry("to", to)];
                entries.extend(via.map(|via| entry("via", via)));
                entries.extend(metric.map(|metric| entry("metric", metric)));
                self.routes.push(Item { value: Value::Table(Table { entries }), origin });
            }
        }
    }

    /// As an item of `[[network.interface]]`.
    pub(super) fn interface(mut self) -> Item {
        let reference = self.reference();
        let is_by_mac = matches!(self.made, Made::Port) && self.mac.is_some();
        let mut entries = vec![entry(if is_by_mac { "mac" } else { "name" }, reference)];
        let dhcp = match (self.dhcp4, self.dhcp6) {
            (true, true) => Value::Switch(true),
            (true, false) => Value::Text("ipv4".to_owned()),
            (false, true) => Value::Text("ipv6".to_owned()),
            (false, false) => Value::Switch(false),
        };
        entries.push(entry("dhcp", Item { value: dhcp, origin: self.origin.clone() }));
        // The settings have one gateway, and that of the other family as a route.
        let mut gateways = std::mem::take(&mut self.gateways).into_iter();
        let gateway = gateways.next();
        for via in gateways {
            let is_v6 = scalar(&via.value).is_some_and(|via| via.contains(':'));
            let to = text(if is_v6 { "::/0" } else { "0.0.0.0/0" }, &via.origin);
            let value = Value::Table(Table { entries: vec![entry("to", to), entry("via", via.clone())] });
            self.routes.push(Item { value, origin: via.origin });
        }
        entries.extend(gateway.map(|gateway| entry("gateway", gateway)));
        let lists =
            [("addresses", self.addresses), ("routes", self.routes), ("dns", self.dns), ("domains", self.domains)];
        entries.extend(lists.into_iter().filter_map(|(name, items)| list(name, items)));
        entries.extend(self.mtu.map(|mtu| entry("mtu", mtu)));
        entries.extend(self.required.map(|required| entry("required", required)));
        Item { value: Value::Table(Table { entries }), origin: self.origin }
    }
}
