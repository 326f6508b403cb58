//! Which slot a node takes, and how slots are written.

use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use serde_json::{Value, json};

use crate::model::{HOLDER_ANNOTATION, Holder, HolderObject, Identity, POOL_LABEL, REASON_ANNOTATION, Slot};

/// What the slots of the pool mean to a node that wants one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    /// It has this one.
    Has(&'a Slot),
    /// It has this one and another: after an answer that was lost, and came late.
    HasTooMany(&'a Slot),
    /// It has this one of another pool, in which it was before.
    HasOthers(&'a Slot),
    /// This one is free, or its holder does not exist any more.
    MayTake(&'a Slot),
    /// All are taken, by these.
    Full(Vec<&'a Holder>),
    /// The pool has none.
    NoSlots,
}

/// The slot that `identity` has, of whatever pool.
pub fn held<'a>(slots: &'a [Slot], identity: &Identity) -> Option<&'a Slot> {
    slots.iter().find(|slot| is_ours(slot, identity))
}

/// What `slots` mean to `identity`; those in `gone` do not exist any more.
pub fn choose<'a>(slots: &'a [Slot], identity: &Identity, gone: &[Holder]) -> Choice<'a> {
    if let Some(slot) = slots.iter().find(|slot| is_ours(slot, identity) && slot.pool != identity.pool) {
        return Choice::HasOthers(slot);
    }
    let pool = || slots.iter().filter(|slot| slot.pool == identity.pool);
    let mut ours = pool().filter(|slot| is_ours(slot, identity));
    match (ours.next(), ours.next()) {
        (Some(_), Some(surplus)) => return Choice::HasTooMany(surplus),
        (Some(slot), None) => return Choice::Has(slot),
        (None, _) => {}
    }
    let is_free = |slot: &&Slot| slot.holder.as_ref().is_none_or(|holder| gone.contains(holder));
    let free: Vec<&Slot> = pool().filter(is_free).collect();
    // Not all take the first, or all but one of those who wait would lose it.
    match free.get(pick(&identity.name, 0, free.len())) {
        Some(slot) => Choice::MayTake(slot),
        None if pool().next().is_none() => Choice::NoSlots,
        None => Choice::Full(pool().filter_map(|slot| slot.holder.as_ref()).collect()),
    }
}

fn is_ours(slot: &Slot, identity: &Identity) -> bool {
    slot.holder.as_ref().is_some_and(|holder| holder.name == identity.name)
}

/// One of `count`, another for each name and each turn (FNV-1a).
pub fn pick(name: &str, turn: u64, count: usize) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step).wrapping_add(turn);
    let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    usize::try_from(hash % count).unwrap_or(0)
}

/// A slot as the cluster has it. None: it has no name, as no object of the API is.
pub fn slot(lease: &Lease) -> Option<Slot> {
    let annotation = |key: &str| lease.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).filter(|name| !name.is_empty());
    let label = |key: &str| lease.metadata.labels.as_ref()?.get(key).cloned();
    Some(Slot {
        pool: label(POOL_LABEL).unwrap_or_default(),
        name: lease.metadata.name.clone()?,
        resource_version: lease.metadata.resource_version.clone()?,
        holder: holder.map(|name| Holder {
            name: name.to_owned(),
            object: HolderObject::of(annotation(HOLDER_ANNOTATION).unwrap_or_default()),
        }),
        reason: annotation(REASON_ANNOTATION).unwrap_or_default().to_owned(),
    })
}

/// The merge patch that makes `slot` the node's, if it is still as it was read.
pub fn taken(slot: &Slot, identity: &Identity, reason: &str, now: &MicroTime) -> Value {
    let object = HolderObject::from(identity.role).name();
    json!({
        "metadata": {
            "resourceVersion": slot.resource_version,
            "annotations": { HOLDER_ANNOTATION: object, REASON_ANNOTATION: reason },
        },
        "spec": { "holderIdentity": identity.name, "acquireTime": now, "renewTime": now },
    })
}

/// The merge patch that says on `slot` what its holder is at.
pub fn told(slot: &Slot, reason: &str) -> Value {
    json!({
        "metadata": { "resourceVersion": slot.resource_version, "annotations": { REASON_ANNOTATION: reason } },
    })
}

/// The merge patch that makes `slot` nobody's, if it is still as it was read.
pub fn given_back(slot: &Slot) -> Value {
    json!({
        "metadata": {
            "resourceVersion": slot.resource_version,
            "annotations": { HOLDER_ANNOTATION: null, REASON_ANNOTATION: null },
        },
        "spec": { "holderIdentity": null, "acquireTime": null, "renewTime": null },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn identity(name: &str) -> Identity {
        Identity { name: name.to_owned(), role: Role::Node, pool: "default".to_owned() }
    }

    /// `"a:one b gpu/c"`: slot a is held by one, slot b is free, so is c of the pool gpu.
    fn slots(text: &str) -> Vec<Slot> {
        let slot = |word: &str| {
            let (pool, word) = word.split_once('/').unwrap_or(("default", word));
            let (name, holder) = word.split_once(':').unwrap_or((word, ""));
            let holder = Holder { name: holder.to_owned(), object: HolderObject::Node };
            Slot {
                name: name.to_owned(),
                pool: pool.to_owned(),
                holder: Some(holder).filter(|holder| !holder.name.is_empty()),
                ..Slot::default()
            }
        };
        text.split_whitespace().map(slot).collect()
    }

    fn shown(choice: &Choice<'_>) -> String {
        match choice {
            Choice::Has(slot) => format!("has {}", slot.name),
            Choice::HasTooMany(slot) => format!("surplus {}", slot.name),
            Choice::HasOthers(slot) => format!("others' {}", slot.name),
            Choice::MayTake(slot) => format!("take {}", slot.name),
            Choice::Full(holders) => format!("full {}", holders.len()),
            Choice::NoSlots => "none".to_owned(),
        }
    }

    #[test]
    fn a_node_takes_what_is_free_and_keeps_what_it_has() {
        for (text, gone, expected) in [
            ("", "", "none"),
            ("a", "", "take a"),
            ("a:one b", "", "take b"),
            ("a:one b:me", "", "has b"),
            ("a:me b:me", "", "surplus b"),
            ("a:one b:two", "", "full 2"),
            ("a:one b:two", "two", "take b"),
            ("a:one b:me", "one", "has b"),
            ("gpu/a", "", "none"),
            ("gpu/a b", "", "take b"),
            ("gpu/a b:one", "", "full 1"),
            ("gpu/a:me b", "", "others' a"),
            ("gpu/a:me b:me", "", "others' a"),
        ] {
            let gone: Vec<Holder> =
                gone.split_whitespace().map(|name| Holder { name: name.to_owned(), ..Holder::default() }).collect();
            assert_eq!(shown(&choose(&slots(text), &identity("me"), &gone)), expected, "{text} without {gone:?}");
        }
    }

    #[test]
    fn nodes_do_not_all_take_the_same() {
        let free = slots("a b c d");
        let taken = |name: String| shown(&choose(&free, &identity(&name), &[]));
        let all: std::collections::BTreeSet<String> = (0..40).map(|number| taken(format!("node-{number}"))).collect();
        assert_eq!(all.len(), 4);
        assert_eq!(pick("any", 7, 0), 0);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let lease = |patch: &Value| {
            let mut lease = patch.clone();
            lease["metadata"]["name"] = json!("default-0");
            lease["metadata"]["labels"] = json!({ POOL_LABEL: "gpu" });
            serde_json::from_value::<Lease>(lease).unwrap()
        };
        let free = Slot { name: "default-0".to_owned(), resource_version: "7".to_owned(), ..Slot::default() };
        let now: MicroTime = serde_json::from_value(json!("2026-11-21T00:00:00.000000Z")).unwrap();
        let report_only = Identity { role: Role::ReportOnly, ..identity("me") };
        let found = slot(&lease(&taken(&free, &report_only, "draining", &now))).unwrap();
        assert_eq!(found.holder, Some(Holder { name: "me".to_owned(), object: HolderObject::NodeOs }));
        assert_eq!(found.pool, "gpu");
        assert_eq!((found.reason.as_str(), found.resource_version.as_str()), ("draining", "7"));
        assert_eq!(slot(&lease(&told(&found, "stuck"))).unwrap().reason, "stuck");
        let given_back = given_back(&found);
        assert_eq!(given_back["spec"]["holderIdentity"], Value::Null);
        assert_eq!(given_back["metadata"]["resourceVersion"], "7");
    }
}
