//! All interfaces of a description, and what is reported of it.

use std::collections::BTreeSet;

use super::{
    Interfaces,
    link::{Link, Made},
    value::{entry, list, scalar},
};
use crate::{
    problem::Problem,
    tree::{Item, Origin, Table, Value},
};

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) links: Vec<Link>,
    /// Name servers and search domains of the whole machine.
    pub(super) dns: Vec<Item>,
    pub(super) domains: Vec<Item>,
    pub(super) problems: Vec<Problem>,
    /// Keys that are not taken.
    skipped: Vec<(String, Origin)>,
}

impl Plan {
    /// Names what is not as it should be.
    pub(super) fn refuse(&mut self, key: &str, origin: &Origin, what: &str, expected: &str) {
        self.problems.push(origin.problem(key, what, expected));
    }

    /// Names an item that is of another kind than it should be.
    pub(super) fn refuse_kind(&mut self, key: &str, item: &Item, expected: &str) {
        if item.value != Value::Broken {
            self.refuse(key, &item.origin, &item.value.kind_clause(), expected);
        }
    }

    /// A key that is not taken, and does no harm.
    pub(super) fn skip(&mut self, key: String, origin: &Origin) {
        self.skipped.push((key, origin.clone()));
    }

    /// The interface that the description calls `id`.
    pub(super) fn link(&mut self, id: &str) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.id == id)
    }

    /// As settings.
    pub(super) fn finish(self) -> Interfaces {
        let Self { links, dns, domains, problems, skipped } = self;
        let mut found = Interfaces { problems, ..Interfaces::default() };
        if let Some((_, origin)) = skipped.first() {
            let keys: BTreeSet<&str> = skipped.iter().map(|(key, _)| key.as_str()).collect();
            let keys: Vec<&str> = keys.into_iter().collect();
            found.notes.push(origin.problem("", &format!("this is not taken: {}", keys.join(", ")), ""));
        }
        let reference = |id: Item| {
            let link = scalar(&id.value).and_then(|id| links.iter().find(|link| link.id == id));
            // Where it stands is where it is referred to.
            link.map_or_else(|| id.clone(), |link| Item { value: link.reference().value, origin: id.origin.clone() })
        };
        let mut made = (Vec::new(), Vec::new());
        let mut members = BTreeSet::new();
        for link in &links {
            let name = entry("name", link.reference());
            match &link.made {
                Made::Port => {}
                Made::Bond { members: items, parameters } => {
                    members.extend(items.iter().filter_map(|item| scalar(&item.value)));
                    let interfaces = list("interfaces", items.iter().cloned().map(reference).collect());
                    let entries = [name].into_iter().chain(interfaces).chain(parameters.clone()).collect();
                    made.0.push(Item { value: Value::Table(Table { entries }), origin: link.origin.clone() });
                }
                Made::Vlan { link: below, id } => {
                    let below = below.clone().map(|below| entry("interface", reference(below)));
                    let id = id.clone().map(|id| entry("id", id));
                    let entries = [name].into_iter().chain(id).chain(below).collect();
                    made.1.push(Item { value: Value::Table(Table { entries }), origin: link.origin.clone() });
                }
            }
        }
        // A bond's members have nothing of their own.
        let interfaces = links.into_iter().filter(|link| link.is_listed && !members.contains(&link.id));
        let interfaces = interfaces.map(Link::interface).collect();
        let lists = [("interface", interfaces), ("bond", made.0), ("vlan", made.1), ("dns", dns), ("domains", domains)];
        let entries: Vec<_> = lists.into_iter().filter_map(|(name, items)| list(name, items)).collect();
        if let Some(origin) = entries.first().map(|entry| entry.origin.clone()) {
            found.table.entries.push(entry("network", Item { value: Value::Table(Table { entries }), origin }));
        }
        found
    }
}
