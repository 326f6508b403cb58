//! spec.containers\[\].

use std::collections::{BTreeMap, BTreeSet};

use ballast_types::ImageReference;

use super::{
    env::{self, Metadata},
    expand::expand,
    names,
    pod::NAME,
    quantity,
    reader::Fields,
    security::{self, OfContainer, OfPod},
    volume::{absolute, amount},
};
use crate::pods::model::{Container, Mount, Propagation, PullPolicy, Resources, Volume};

const POLICIES: [(&str, PullPolicy); 3] =
    [("Always", PullPolicy::Always), ("IfNotPresent", PullPolicy::IfNotPresent), ("Never", PullPolicy::Never)];

const PROPAGATIONS: [(&str, Option<Propagation>); 3] = [
    ("None", None),
    ("HostToContainer", Some(Propagation::HostToContainer)),
    ("Bidirectional", Some(Propagation::Bidirectional)),
];

/// A container's last words: nobody asks for them here.
const WITHOUT_EFFECT: [&str; 3] = ["resizePolicy", "terminationMessagePath", "terminationMessagePolicy"];

/// Whether it is TCP, which is as good as any: ports only inform.
const PROTOCOLS: [(&str, ()); 3] = [("TCP", ()), ("UDP", ()), ("SCTP", ())];

const LAST_PORT: u64 = 65_535;

/// What a container has to know of its pod.
pub(super) struct Context<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) volumes: &'a BTreeMap<String, Volume>,
    pub(super) host_network: bool,
    pub(super) security: &'a OfPod,
}

/// The container; None if it has no name or image.
pub(super) fn container(mut fields: Fields<'_>, context: &Context<'_>) -> Option<Container> {
    let name = fields.need("name");
    if let Some(name) = name {
        fields.require(names::is_label(name.text), name, "name", NAME);
    }
    let written = fields.need("image");
    let image = written.as_ref().and_then(|written| match ImageReference::parse(written.text) {
        Ok(image) => Some(image),
        Err(why) => {
            fields.refuse_at(written.line, "image", &why.to_string());
            None
        }
    });
    let is_latest = image.as_ref().is_some_and(ImageReference::is_latest);
    let default_pull = if is_latest { PullPolicy::Always } else { PullPolicy::IfNotPresent };
    let pull = fields.word("imagePullPolicy", &POLICIES).unwrap_or(default_pull);
    let env = env::env(&mut fields, context.metadata);
    let expanded = |words: Vec<String>| -> Vec<String> { words.iter().map(|word| expand(word, &env)).collect() };
    let (command, args) = (expanded(fields.texts("command")), expanded(fields.texts("args")));
    let working_dir = fields.text("workingDir").map_or("", |said| said.text).to_owned();
    ports(&mut fields, context);
    let security = security(&mut fields, context);
    let mounts = mounts(&mut fields, context, security.is_privileged);
    let resources = fields.fields("resources").map(resources).unwrap_or_default();
    let stdin = fields.flag("stdin").unwrap_or_default();
    let stdin_once = fields.flag("stdinOnce").unwrap_or_default();
    let tty = fields.flag("tty").unwrap_or_default();
    fields.without_effect(&WITHOUT_EFFECT);
    fields.finish();
    Some(Container {
        name: name?.text.to_owned(),
        written: full_reference(written?.text),
        image: image?,
        pull,
        command,
        args,
        env,
        working_dir,
        mounts,
        privileged: security.is_privileged,
        run_as_user: security.identity.user,
        run_as_group: security.identity.group,
        read_only_root: security.has_read_only_root,
        no_new_privileges: !security.may_gain_privileges,
        capabilities: security.capabilities,
        seccomp: security.identity.seccomp,
        stdin,
        stdin_once,
        tty,
        resources,
    })
}

/// `busybox` → `docker.io/library/busybox:latest`. It never changes: each release must derive the same uid from a manifest, or its
/// emptyDirs are lost at an upgrade. Nothing else may go by it; images are an [`ImageReference`]'s to complete.
fn full_reference(image: &str) -> String {
    let (domain, rest) = match image.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
        _ => ("docker.io", image),
    };
    let library = if domain == "docker.io" && !rest.contains('/') { "library/" } else { "" };
    let has_tag = rest.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let tag = if rest.contains('@') || has_tag { "" } else { ":latest" };
    format!("{domain}/{library}{rest}{tag}")
}

fn security(fields: &mut Fields<'_>, context: &Context<'_>) -> OfContainer {
    let pod = &context.security.identity;
    let line = fields.line();
    let security = fields.fields("securityContext").map(|own| security::of_container(own, pod));
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

/// A container listens where it likes: a port only informs, but for one of the host that is to lead to it.
fn ports(fields: &mut Fields<'_>, context: &Context<'_>) {
    for mut port in fields.all("ports") {
        let inside = port.number("containerPort", LAST_PORT);
        port.text("name");
        port.word("protocol", &PROTOCOLS);
        port.text("hostIP");
        let host = port.number("hostPort", LAST_PORT).filter(|host| *host > 0);
        if host.is_some() && !context.host_network {
            port.refuse_at(port.line(), "hostPort", "is supported only with hostNetwork: true on this node");
        } else if host.is_some() && host != inside {
            port.refuse_at(port.line(), "hostPort", "has to be containerPort with hostNetwork: true");
        }
        port.finish();
    }
}

fn mounts(fields: &mut Fields<'_>, context: &Context<'_>, is_privileged: bool) -> Vec<Mount> {
    let mut paths = BTreeSet::new();
    let mut mounts = Vec::new();
    for mut mount in fields.all("volumeMounts") {
        let volume = mount.need("name");
        if let Some(volume) = volume {
            let is_known = context.volumes.contains_key(volume.text);
            mount.require(is_known, volume, "name", "expected one of the names in spec.volumes");
        }
        let path = mount.need("mountPath");
        if let Some(path) = path {
            absolute(&mount, path, "mountPath");
            mount.require(paths.insert(path.text), path, "mountPath", "this path is mounted twice");
        }
        let propagation = mount.word("mountPropagation", &PROPAGATIONS).flatten();
        if propagation == Some(Propagation::Bidirectional) && !is_privileged {
            mount.refuse_at(mount.line(), "mountPropagation", "Bidirectional needs securityContext.privileged: true");
        }
        let read_only = mount.flag("readOnly").unwrap_or_default();
        mount.finish();
        if let (Some(volume), Some(path)) = (volume, path) {
            mounts.push(Mount { volume: volume.text.to_owned(), path: path.text.to_owned(), read_only, propagation });
        }
    }
    mounts
}

fn resources(mut fields: Fields<'_>) -> Resources {
    let amounts = |fields: Option<Fields<'_>>| {
        let Some(mut fields) = fields else { return (None, None, None) };
        let amounts = (
            amount(&mut fields, "cpu", quantity::milli_cpu),
            amount(&mut fields, "memory", quantity::bytes),
            amount(&mut fields, "ephemeral-storage", quantity::bytes),
        );
        fields.finish();
        amounts
    };
    let (cpu_limit_milli, memory_limit_bytes, disk_limit_bytes) = amounts(fields.fields("limits"));
    let (cpu_request_milli, memory_request_bytes, disk_request_bytes) = amounts(fields.fields("requests"));
    fields.finish();
    Resources {
        cpu_limit_milli,
        cpu_request_milli,
        memory_limit_bytes,
        memory_request_bytes,
        disk_limit_bytes,
        disk_request_bytes,
    }
}
