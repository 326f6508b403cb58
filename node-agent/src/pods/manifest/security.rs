//! securityContext, of the pod and of its containers: what a container says itself comes first.

use super::reader::Fields;
use crate::pods::model::{Capabilities, Seccomp};

/// Linux counts users in 32 bits, and the last number is none.
const LAST_ID: u64 = u32::MAX as u64 - 1;

/// Who a container is, as far as it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) user: Option<i64>,
    pub(super) group: Option<i64>,
    pub(super) is_non_root: Option<bool>,
    pub(super) seccomp: Option<Seccomp>,
}

/// What holds for all containers of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OfPod {
    pub(super) identity: Identity,
    pub(super) supplemental_groups: Vec<i64>,
}

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OfContainer {
    pub(super) identity: Identity,
    pub(super) is_privileged: bool,
    pub(super) has_read_only_root: bool,
    pub(super) may_gain_privileges: bool,
    pub(super) capabilities: Capabilities,
}

pub(super) fn of_pod(mut fields: Fields<'_>) -> OfPod {
    let identity = identity(&mut fields);
    let mut supplemental_groups = Vec::new();
    for (index, said) in fields.said("supplementalGroups").into_iter().enumerate() {
        match said.text.parse().ok().filter(|id| (0..=i64::from(u32::MAX) - 1).contains(id)) {
            Some(id) => supplemental_groups.push(id),
            None => fields.refuse_at(said.line, &format!("supplementalGroups[{index}]"), "expected a group's number"),
        }
    }
    fields.finish();
    OfPod { identity, supplemental_groups }
}

/// What the container may do, whose field `securityContext` is.
pub(super) fn security(fields: &mut Fields<'_>, pod: &OfPod) -> OfContainer {
    let pod = &pod.identity;
    let line = fields.line();
    let security = fields.fields("securityContext").map(|own| of_container(own, pod));
    let security = security.unwrap_or_else(|| OfContainer {
        identity: pod.clone(),
        may_gain_privileges: true,
        ..OfContainer::default()
    });
    let key = "securityContext.runAsNonRoot";
    match (security.identity.is_non_root, security.identity.user) {
        (Some(true), None) => {
            fields.refuse_at(line, key, "needs runAsUser on this node, which does not look into images");
        }
        (Some(true), Some(0)) => fields.refuse_at(line, key, "is not possible with runAsUser: 0"),
        (Some(_) | None, _) => {}
    }
    if security.identity.group.is_some() && security.identity.user.is_none() {
        fields.refuse_at(line, "securityContext.runAsGroup", "needs runAsUser beside it");
    }
    security
}

/// `pod` is what the pod says.
fn of_container(mut fields: Fields<'_>, pod: &Identity) -> OfContainer {
    let own = identity(&mut fields);
    let security = OfContainer {
        identity: Identity {
            user: own.user.or(pod.user),
            group: own.group.or(pod.group),
            is_non_root: own.is_non_root.or(pod.is_non_root),
            seccomp: own.seccomp.or(pod.seccomp),
        },
        is_privileged: fields.flag("privileged").unwrap_or_default(),
        has_read_only_root: fields.flag("readOnlyRootFilesystem").unwrap_or_default(),
        may_gain_privileges: fields.flag("allowPrivilegeEscalation").unwrap_or(true),
        ..OfContainer::default()
    };
    if let Some(mount) = fields.text("procMount") {
        fields.require(mount.text == "Default", mount, "procMount", "expected Default");
    }
    let capabilities = fields.fields("capabilities").map(capabilities).unwrap_or_default();
    let gains = security.is_privileged || capabilities.add.iter().any(|one| one == "SYS_ADMIN" || one == "ALL");
    if gains && !security.may_gain_privileges {
        let message = "false is not possible with privileged or the capability SYS_ADMIN";
        fields.refuse_at(fields.line(), "allowPrivilegeEscalation", message);
    }
    fields.finish();
    OfContainer { capabilities, ..security }
}

fn identity(fields: &mut Fields<'_>) -> Identity {
    let id = |number: u64| i64::try_from(number).unwrap_or_default();
    Identity {
        user: fields.number("runAsUser", LAST_ID).map(id),
        group: fields.number("runAsGroup", LAST_ID).map(id),
        is_non_root: fields.flag("runAsNonRoot"),
        seccomp: fields.fields("seccompProfile").and_then(seccomp),
    }
}

fn seccomp(mut fields: Fields<'_>) -> Option<Seccomp> {
    let words = [("RuntimeDefault", Seccomp::RuntimeDefault), ("Unconfined", Seccomp::Unconfined)];
    let profile = fields.word("type", &words);
    fields.finish();
    profile
}

fn capabilities(mut fields: Fields<'_>) -> Capabilities {
    let mut read = |key: &'static str| {
        let names = fields.said(key);
        for (index, name) in names.iter().enumerate() {
            let is_word = |word: &str| !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_uppercase());
            let is_name = name.text.split('_').all(is_word) && !name.text.starts_with("CAP_");
            fields.require(is_name, *name, &format!("{key}[{index}]"), "expected a capability such as NET_RAW, or ALL");
        }
        names.iter().map(|name| name.text.to_owned()).collect()
    };
    let capabilities = Capabilities { add: read("add"), drop: read("drop") };
    fields.finish();
    capabilities
}
