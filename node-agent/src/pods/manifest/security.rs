//! securityContext, of the pod and of its containers: what a container says itself comes first.

use std::collections::BTreeMap;

use super::{mounts::is_inside, reader::Fields};
use crate::pods::model::{Capabilities, SECCOMP_PROFILES, Seccomp};

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
    pub(super) fs_group: Option<i64>,
    pub(super) sysctls: BTreeMap<String, String>,
}

/// What a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OfContainer {
    pub(super) identity: Identity,
    pub(super) is_privileged: bool,
    pub(super) has_read_only_root: bool,
    pub(super) may_gain_privileges: bool,
    pub(super) capabilities: Capabilities,
    pub(super) is_proc_unmasked: bool,
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
    let fs_group = fields.number("fsGroup", LAST_ID).map(|number| i64::try_from(number).unwrap_or_default());
    // Of what is in a volume of ours the owner is always right.
    fields.word("fsGroupChangePolicy", &[("OnRootMismatch", ()), ("Always", ())]);
    fields.word("supplementalGroupsPolicy", &[("Merge", ())]);
    let mut sysctls = BTreeMap::new();
    for mut sysctl in fields.all("sysctls") {
        let (name, value) = (sysctl.need("name"), sysctl.need("value"));
        sysctl.finish();
        sysctls.extend(name.zip(value).map(|(name, value)| (name.text.replace('/', "."), value.text.to_owned())));
    }
    fields.finish();
    OfPod { identity, supplemental_groups, fs_group, sysctls }
}

/// The kernel has these once for each pod; all others are the node's, and settings.
pub(super) fn check_sysctls(fields: &Fields<'_>, line: u64, pod: &OfPod, host_network: bool, host_ipc: bool) {
    let key = "securityContext.sysctls";
    for name in pod.sysctls.keys() {
        let is_ipc = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."].iter().any(|part| name.starts_with(part));
        if !is_ipc && !name.starts_with("net.") {
            let message = format!("{name} is the node's and no pod's: it belongs into the settings (kernel.sysctl)");
            fields.refuse_at(line, key, &message);
        } else if is_ipc && host_ipc || !is_ipc && host_network {
            fields.refuse_at(line, key, &format!("{name} is the node's in a pod that shares it with the node"));
        }
    }
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
    if security.identity.is_non_root == Some(true) && security.identity.user == Some(0) {
        fields.refuse_at(line, key, "is not possible with runAsUser: 0");
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
            seccomp: own.seccomp.or_else(|| pod.seccomp.clone()),
        },
        is_privileged: fields.flag("privileged").unwrap_or_default(),
        has_read_only_root: fields.flag("readOnlyRootFilesystem").unwrap_or_default(),
        may_gain_privileges: fields.flag("allowPrivilegeEscalation").unwrap_or(true),
        ..OfContainer::default()
    };
    let is_proc_unmasked = fields.word("procMount", &[("Default", false), ("Unmasked", true)]).unwrap_or_default();
    let capabilities = fields.fields("capabilities").map(capabilities).unwrap_or_default();
    let gains = security.is_privileged || capabilities.add.iter().any(|one| one == "SYS_ADMIN" || one == "ALL");
    if gains && !security.may_gain_privileges {
        let message = "false is not possible with privileged or the capability SYS_ADMIN";
        fields.refuse_at(fields.line(), "allowPrivilegeEscalation", message);
    }
    fields.finish();
    OfContainer { capabilities, is_proc_unmasked, ..security }
}

fn identity(fields: &mut Fields<'_>) -> Identity {
    app_armor(fields);
    selinux(fields);
    let id = |number: u64| i64::try_from(number).unwrap_or_default();
    Identity {
        user: fields.number("runAsUser", LAST_ID).map(id),
        group: fields.number("runAsGroup", LAST_ID).map(id),
        is_non_root: fields.flag("runAsNonRoot"),
        seccomp: fields.fields("seccompProfile").and_then(seccomp),
    }
}

fn seccomp(mut fields: Fields<'_>) -> Option<Seccomp> {
    let words = [("RuntimeDefault", 0), ("Unconfined", 1), ("Localhost", 2)];
    let kind = fields.word("type", &words);
    let file = fields.text("localhostProfile");
    let line = fields.line();
    fields.finish();
    match (kind?, file) {
        (0, None) => Some(Seccomp::RuntimeDefault),
        (1, None) => Some(Seccomp::Unconfined),
        (2, Some(file)) => {
            let message = format!("expected a path below {SECCOMP_PROFILES} without `..`");
            fields.require(is_inside(file.text), file, "localhostProfile", &message);
            Some(Seccomp::Localhost(file.text.to_owned()))
        }
        (2, None) => {
            fields.refuse_at(line, "", "the field `localhostProfile` is missing");
            None
        }
        (_, _) => {
            fields.refuse_at(line, "localhostProfile", "is only for the type Localhost");
            None
        }
    }
}

/// This node has no AppArmor, and containers have what a node without it gives them.
fn app_armor(fields: &mut Fields<'_>) {
    let Some(mut profile) = fields.fields("appArmorProfile") else { return };
    if profile.word("type", &[("RuntimeDefault", ()), ("Unconfined", ())]).is_some() {
        fields.note("appArmorProfile", "without effect on this node, which has no AppArmor");
    }
    profile.ignore(&["localhostProfile"]);
    profile.finish();
}

/// Nor has it SELinux.
fn selinux(fields: &mut Fields<'_>) {
    if fields.take("seLinuxOptions").is_some() {
        fields.note("seLinuxOptions", "without effect on this node, which has no SELinux");
    }
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
