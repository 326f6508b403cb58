//! Which slot a node takes, and how that is written.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde_json::{Value, json};

use crate::model::{CLAIM_NAMESPACE, Claim, Identity, POOL_LABEL, REASON_ANNOTATION, SLOT_LABEL, Slot};

/// What the slots of the pool mean to a node that wants one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    /// It has this one, and nobody else claims it.
    Has(&'a Slot),
    /// It claims this one as others do, who are to let it go: of several the first by name stays.
    IsFirst(&'a Slot),
    /// It claims this one as others do, one of whom stays.
    IsLate(&'a Slot),
    /// It claims this one, which is of another pool, in which it was before, or is there no more.
    HasOthers(&'a Slot),
    /// Nobody claims this one.
    MayTake(&'a Slot),
    /// All are claimed, by these.
    Full(Vec<&'a Claim>),
    /// The pool has none.
    NoSlots,
}

/// The slot that `identity` claims, of whatever pool.
pub fn held<'a>(slots: &'a [Slot], identity: &Identity) -> Option<(&'a Slot, &'a Claim)> {
    slots.iter().find_map(|slot| Some((slot, slot.claims.iter().find(|claim| claim.node == identity.name)?)))
}

/// What `slots` mean to `identity`.
pub fn choose<'a>(slots: &'a [Slot], identity: &Identity) -> Choice<'a> {
    if let Some((slot, _)) = held(slots, identity) {
        return match slot.claims.iter().map(|claim| &claim.node).min() {
            _ if slot.pool != identity.pool => Choice::HasOthers(slot),
            _ if slot.claims.len() == 1 => Choice::Has(slot),
            Some(first) if *first == identity.name && !slot.claims.iter().any(|claim| claim.is_old) => {
                Choice::IsFirst(slot)
            }
            _ => Choice::IsLate(slot),
        };
    }
    let pool = || slots.iter().filter(|slot| slot.pool == identity.pool);
    let free: Vec<&Slot> = pool().filter(|slot| slot.claims.is_empty()).collect();
    // Not all take the first, or all but one of those who wait would lose it.
    match free.get(pick(&identity.name, free.len())) {
        Some(slot) => Choice::MayTake(slot),
        None if pool().next().is_none() => Choice::NoSlots,
        None => Choice::Full(pool().flat_map(|slot| &slot.claims).collect()),
    }
}

/// One of `count`, another for each name (FNV-1a).
fn pick(name: &str, count: usize) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    usize::try_from(hash % count).unwrap_or(0)
}

/// The slots that the operator's Leases are, with what nodes' Leases say of them. `own`: a holder that a slot itself names counts unless it is this node,
/// which nobody may bring down by writing its name there. (Until no agent of a release before claims runs any more.)
pub fn slots(defined: &[Lease], claims: &[Lease], own: &str) -> Vec<Slot> {
    let label = |lease: &Lease, key: &str| lease.metadata.labels.as_ref()?.get(key).cloned();
    let reason = |lease: &Lease| {
        let annotations = lease.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(REASON_ANNOTATION)).cloned().unwrap_or_default()
    };
    let mut slots: BTreeMap<String, Slot> = BTreeMap::new();
    for lease in defined {
        let (Some(name), Some(pool)) = (lease.metadata.name.clone(), label(lease, POOL_LABEL)) else { continue };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        let holder = holder.filter(|holder| !holder.is_empty() && holder != own);
        let claims = holder.map(|node| Claim { node, reason: reason(lease), is_old: true, ..Claim::default() });
        slots.insert(name.clone(), Slot { name, pool, claims: claims.into_iter().collect() });
    }
    for lease in claims {
        let (Some(node), Some(name)) = (lease.metadata.name.clone(), label(lease, SLOT_LABEL)) else { continue };
        let claim = Claim {
            node,
            resource_version: lease.metadata.resource_version.clone().unwrap_or_default(),
            reason: reason(lease),
            is_old: false,
        };
        slots.entry(name.clone()).or_insert_with(|| Slot { name, ..Slot::default() }).claims.push(claim);
    }
    slots.into_values().collect()
}

/// The merge patch of the node's own Lease that claims `slot`, if it is still as it was read.
pub fn taken(slot: &str, resource_version: &str, reason: &str) -> Value {
    json!({
        "metadata": {
            "resourceVersion": resource_version,
            "labels": { SLOT_LABEL: slot },
            "annotations": { REASON_ANNOTATION: reason },
        },
    })
}

/// The merge patch that says what the node is at, if its Lease is still as it was read.
pub fn reported(claim: &Claim, reason: &str) -> Value {
    json!({
        "metadata": { "resourceVersion": claim.resource_version, "annotations": { REASON_ANNOTATION: reason } },
    })
}

/// The merge patch that claims nothing any more, if the node's Lease is still as it was read.
pub fn given_back(claim: &Claim) -> Value {
    json!({
        "metadata": {
            "resourceVersion": claim.resource_version,
            "labels": { SLOT_LABEL: null },
            "annotations": { REASON_ANNOTATION: null },
        },
    })
}

/// The Lease of a node without a Node, which has none yet, with its claim. `owner`: the uid of its NodeOS, with which it goes.
pub fn lease(identity: &Identity, owner: &str, slot: &str, reason: &str) -> Lease {
    let owner = OwnerReference {
        api_version: "os.ballast.dev/v1alpha1".to_owned(),
        kind: "NodeOS".to_owned(),
        name: identity.name.clone(),
        uid: owner.to_owned(),
        ..OwnerReference::default()
    };
    Lease {
        metadata: ObjectMeta {
            name: Some(identity.name.clone()),
            namespace: Some(CLAIM_NAMESPACE.to_owned()),
            labels: Some(BTreeMap::from([(SLOT_LABEL.to_owned(), slot.to_owned())])),
            annotations: Some(BTreeMap::from([(REASON_ANNOTATION.to_owned(), reason.to_owned())])),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec { holder_identity: Some(identity.name.clone()), ..LeaseSpec::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn identity(name: &str) -> Identity {
        Identity { name: name.to_owned(), role: Role::Node, pool: "default".to_owned() }
    }

    /// `"a:one+!two b gpu/c"`: slot a is claimed by one and by the old agent two, slot b by nobody, so is c of the pool gpu.
    fn seen(text: &str) -> Vec<Slot> {
        let slot = |word: &str| {
            let (pool, word) = word.split_once('/').unwrap_or(("default", word));
            let (name, nodes) = word.split_once(':').unwrap_or((word, ""));
            let claims = nodes.split('+').filter(|node| !node.is_empty());
            let claim = |node: &str| {
                let (is_old, node) = node.strip_prefix('!').map_or((false, node), |node| (true, node));
                Claim { node: node.to_owned(), is_old, ..Claim::default() }
            };
            let claims = claims.map(claim).collect();
            Slot { name: name.to_owned(), pool: pool.to_owned(), claims }
        };
        text.split_whitespace().map(slot).collect()
    }

    fn shown(choice: &Choice<'_>) -> String {
        match choice {
            Choice::Has(slot) => format!("has {}", slot.name),
            Choice::IsFirst(slot) => format!("first of {}", slot.name),
            Choice::IsLate(slot) => format!("late for {}", slot.name),
            Choice::HasOthers(slot) => format!("others' {}", slot.name),
            Choice::MayTake(slot) => format!("take {}", slot.name),
            Choice::Full(claims) => format!("full {}", claims.len()),
            Choice::NoSlots => "none".to_owned(),
        }
    }

    #[test]
    fn a_node_takes_what_is_free_and_keeps_what_it_has() {
        for (text, expected) in [
            ("", "none"),
            ("a", "take a"),
            ("a:one b", "take b"),
            ("a:one b:me", "has b"),
            ("a:one b:two", "full 2"),
            ("gpu/a", "none"),
            ("gpu/a b", "take b"),
            ("gpu/a b:one", "full 1"),
            ("gpu/a:me b", "others' a"),
            // Two took it at once, or somebody claims what another has: at most one of them goes on.
            ("a:me+two b", "first of a"),
            ("a:me+another b", "late for a"),
            // An old agent does not let go.
            ("a:!two b", "take b"),
            ("a:!two", "full 1"),
            ("a:me+!two", "late for a"),
            // It is there no more.
            ("/gone:me a", "others' gone"),
            ("/gone:one", "none"),
        ] {
            assert_eq!(shown(&choose(&seen(text), &identity("me"))), expected, "{text}");
        }
    }

    #[test]
    fn nodes_do_not_all_take_the_same() {
        let free = seen("a b c d");
        let taken = |name: String| shown(&choose(&free, &identity(&name)));
        let all: std::collections::BTreeSet<String> = (0..40).map(|number| taken(format!("node-{number}"))).collect();
        assert_eq!(all.len(), 4);
        assert_eq!(pick("any", 0), 0);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let defined = |holder: &str| {
            serde_json::from_value::<Lease>(json!({
                "metadata": { "name": "default-0", "labels": { POOL_LABEL: "gpu" }, "annotations": { REASON_ANNOTATION: "down" } },
                "spec": { "holderIdentity": holder },
            }))
            .unwrap()
        };
        let lease = |patch: &Value| {
            let mut lease = patch.clone();
            lease["metadata"]["name"] = json!("me");
            lease["metadata"]["resourceVersion"] = json!("7");
            serde_json::from_value::<Lease>(lease).unwrap()
        };
        let read = |claims: &[Lease]| slots(&[defined("me")], claims, "me");
        let free = Slot { name: "default-0".to_owned(), pool: "gpu".to_owned(), claims: Vec::new() };
        // Whoever may write there gives this node nothing by it, and another only the time that an old agent needs.
        assert_eq!(read(&[]), std::slice::from_ref(&free));
        assert_eq!(slots(&[defined("")], &[], "me"), std::slice::from_ref(&free));
        let old = Claim { node: "old".to_owned(), reason: "down".to_owned(), is_old: true, ..Claim::default() };
        assert_eq!(slots(&[defined("old")], &[], "me")[0].claims, [old]);
        let found = read(&[lease(&taken("default-0", "6", "draining"))]);
        let (node, resource_version, reason) = ("me".to_owned(), "7".to_owned(), "draining".to_owned());
        let claim = Claim { node, resource_version, reason, is_old: false };
        assert_eq!(found, [Slot { claims: vec![claim.clone()], ..free.clone() }]);
        assert_eq!(held(&found, &identity("me")), Some((&found[0], &claim)));
        assert_eq!(reported(&claim, "stuck")["metadata"]["resourceVersion"], "7");
        let given_back = given_back(&claim);
        assert_eq!(given_back["metadata"]["labels"], json!({ SLOT_LABEL: null }));
        assert_eq!(given_back["metadata"]["resourceVersion"], "7");
        let made = super::lease(&identity("me"), "uid", "default-0", "draining");
        assert_eq!(read(&[made])[0].claims[0].node, "me");
    }
}
