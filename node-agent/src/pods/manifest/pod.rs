//! A Pod: its metadata, and what holds for all of its containers.
//! (kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1)

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use super::{
    container, credentials,
    downward::ByContainer,
    env::Metadata,
    files, names, network,
    objects::Objects,
    reader::{Fields, Report},
    resources, security, volume,
};
use crate::pods::model::{Container, DEFAULT_NAMESPACE, Key, Port, RestartPolicy, Spec, Volume};

/// What Kubernetes gives a pod that does not say.
const DEFAULT_GRACE_SECS: u64 = 30;

/// A year: longer is a mistake.
const LONGEST_GRACE_SECS: u64 = 366 * 24 * 3600;

/// A name of RFC 1123, as all that follows it is refused.
pub(super) const NAME: &str = "expected small letters, digits and hyphens (RFC 1123)";

const POLICIES: [(&str, RestartPolicy); 3] =
    [("Always", RestartPolicy::Always), ("OnFailure", RestartPolicy::OnFailure), ("Never", RestartPolicy::Never)];

/// (kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption)
const CLASSES: [(&str, i32); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// What an API server writes into metadata, and what only it reads.
pub(super) const METADATA_WITHOUT_EFFECT: [&str; 10] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "uid",
];

/// What a scheduler or a person reads: this node is the only one there is to choose.
const SPEC_WITHOUT_EFFECT: [&str; 10] = [
    "affinity",
    "enableServiceLinks",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "schedulerName",
    "tolerations",
    "topologySpreadConstraints",
];

/// What stands beside the pod.
pub(super) struct Origin<'a> {
    /// ConfigMaps and Secrets of the same file.
    pub(super) objects: &'a Objects,
}

/// The pod; None if something is missing without which nothing can be said.
pub(super) fn pod<'a>(mut fields: Fields<'a>, report: &'a RefCell<Report>, origin: &Origin<'_>) -> Option<Spec> {
    fields.without_effect(&["status"]);
    let (metadata, spec) = (need(&mut fields, "metadata", report), need(&mut fields, "spec", report));
    fields.finish();
    let metadata = metadata.map(self::metadata);
    let spec = spec?;
    self::spec(metadata?, spec, origin)
}

/// The mapping `key`, without which nothing can be said.
pub(super) fn need<'a>(fields: &mut Fields<'a>, key: &'static str, report: &'a RefCell<Report>) -> Option<Fields<'a>> {
    match fields.take(key) {
        Some(node) => Fields::of(node, &fields.key(key), report),
        None => {
            fields.refuse_at(fields.line(), "", &format!("the field `{key}` is missing"));
            None
        }
    }
}

/// The labels and annotations of a template, whose pod is named by what it is in.
pub(super) fn template_metadata(mut fields: Fields<'_>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let read = (fields.map("labels"), fields.map("annotations"));
    fields.without_effect(&METADATA_WITHOUT_EFFECT);
    fields.without_effect(&["name", "namespace"]);
    fields.finish();
    read
}

/// Which pod, and what is written on it.
pub(super) fn metadata(mut fields: Fields<'_>) -> Metadata {
    let name = fields.need("name");
    if let Some(name) = name {
        fields.require(names::is_subdomain(name.text), name, "name", NAME);
    }
    let namespace = fields.text("namespace");
    if let Some(namespace) = namespace {
        fields.require(names::is_label(namespace.text), namespace, "namespace", NAME);
    }
    let metadata = Metadata {
        key: Key {
            namespace: namespace.map_or(DEFAULT_NAMESPACE, |namespace| namespace.text).to_owned(),
            name: name.map_or("", |name| name.text).to_owned(),
        },
        labels: fields.map("labels"),
        annotations: fields.map("annotations"),
    };
    fields.without_effect(&METADATA_WITHOUT_EFFECT);
    fields.finish();
    metadata
}

/// What the pod `metadata` is to be.
pub(super) fn spec(metadata: Metadata, mut fields: Fields<'_>, origin: &Origin<'_>) -> Option<Spec> {
    fields.without_effect(&SPEC_WITHOUT_EFFECT);
    service_account(&mut fields);
    host_users(&mut fields);
    let (naming, dns) = (network::naming(&mut fields), network::dns(&mut fields));
    let host_network = fields.flag("hostNetwork").unwrap_or_default();
    let host_pid = fields.flag("hostPID").unwrap_or_default();
    let share_pid = fields.flag("shareProcessNamespace").unwrap_or_default();
    if host_pid && share_pid {
        fields.refuse_at(fields.line(), "shareProcessNamespace", "is not possible with hostPID");
    }
    let host_ipc = fields.flag("hostIPC").unwrap_or_default();
    let line = fields.line_of("securityContext");
    let security = fields.fields("securityContext").map(security::of_pod).unwrap_or_default();
    security::check_sysctls(&fields, line, &security, host_network, host_ipc);
    let resources = by_container(&fields);
    let sources = files::Sources { metadata: &metadata, objects: origin.objects, resources: &resources };
    let volumes = volumes(&mut fields, &sources);
    let context = container::Context {
        metadata: &metadata,
        objects: origin.objects,
        resources: &resources,
        volumes: &volumes,
        host_network,
        security: &security,
    };
    let (init_containers, containers) = containers(&mut fields, &context);
    let credentials = credentials::credentials(&mut fields, &metadata, origin.objects);
    let spec = Spec {
        labels: metadata.labels.clone(),
        annotations: metadata.annotations.clone(),
        host_network,
        host_pid,
        host_ipc,
        share_pid,
        hostname: naming.hostname,
        subdomain: naming.subdomain,
        has_full_name: naming.has_full_name,
        host_aliases: naming.aliases,
        dns,
        supplemental_groups: security.supplemental_groups.clone(),
        fs_group: security.fs_group,
        sysctls: security.sysctls.clone(),
        priority: priority(&mut fields),
        restart_policy: fields.word("restartPolicy", &POLICIES).unwrap_or(RestartPolicy::Always),
        grace: Duration::from_secs(
            fields.number("terminationGracePeriodSeconds", LONGEST_GRACE_SECS).unwrap_or(DEFAULT_GRACE_SECS),
        ),
        key: metadata.key.clone(),
        volumes,
        credentials,
        containers,
        init_containers,
        active_deadline: active_deadline(&mut fields),
        backoff_limit: None,
    };
    fields.finish();
    Some(spec)
}

/// spec.priority, else what Kubernetes gives its two own classes: others are an API server's to know.
fn priority(fields: &mut Fields<'_>) -> i32 {
    let (class, number) = (fields.text("priorityClassName"), fields.text("priority"));
    let class = class.and_then(|class| {
        let known = CLASSES.iter().find(|(name, _)| *name == class.text).map(|(_, priority)| *priority);
        if known.is_none() && number.is_none() {
            fields.note("priorityClassName", "is no class that this node knows; spec.priority says a number");
        }
        known
    });
    let Some(number) = number else { return class.unwrap_or_default() };
    let parsed = number.text.parse();
    fields.require(parsed.is_ok(), number, "priority", "expected a whole number of at most 32 bits");
    parsed.unwrap_or_default()
}

/// spec.initContainers and spec.containers.
fn containers(fields: &mut Fields<'_>, context: &container::Context<'_>) -> (Vec<Container>, Vec<Container>) {
    let mut names: Vec<String> = Vec::new();
    let mut ports: Vec<Port> = Vec::new();
    let mut read = |key: &'static str, is_init: bool| {
        let mut containers = Vec::new();
        let written = fields.all(key);
        if written.is_empty() && !is_init {
            fields.refuse_at(fields.line(), key, "expected at least one container");
        }
        for written in written {
            let (key, line) = (written.key("name"), written.line());
            let Some(container) = container::container(written, context, is_init) else { continue };
            if names.contains(&container.name) {
                fields.refuse_whole(line, &key, "this name is given to two containers");
            }
            names.push(container.name.clone());
            if container.ports.iter().any(|own| ports.iter().any(|port| own.is_in_the_way_of(port))) {
                match context.host_network {
                    true => fields.note("hostNetwork", "two containers name the same port of the host"),
                    false => fields.refuse_whole(line, &key, "its hostPort is given to two containers"),
                }
            }
            ports.extend(container.ports.iter().cloned());
            containers.push(container);
        }
        containers
    };
    (read("initContainers", true), read("containers", false))
}

/// spec.activeDeadlineSeconds
pub(super) fn active_deadline(fields: &mut Fields<'_>) -> Option<Duration> {
    let secs = fields.number("activeDeadlineSeconds", u64::from(i32::MAX.unsigned_abs()))?;
    if secs == 0 {
        fields.refuse_at(fields.line_of("activeDeadlineSeconds"), "activeDeadlineSeconds", "expected at least 1");
    }
    Some(Duration::from_secs(secs))
}

/// What each container asks for and may take, looked at before the containers are read: volumes and variables may refer to it.
fn by_container(fields: &Fields<'_>) -> ByContainer {
    let report = RefCell::new(Report::default());
    let mut all = ByContainer::new();
    for key in ["initContainers", "containers"] {
        for mut container in fields.peek_all(key, &report) {
            let Some(name) = container.peek("name") else { continue };
            let resources = container.fields("resources").map(resources::resources).unwrap_or_default();
            all.insert(name.to_owned(), resources);
        }
    }
    all
}

fn volumes(fields: &mut Fields<'_>, sources: &files::Sources<'_>) -> BTreeMap<String, Volume> {
    let mut volumes = BTreeMap::new();
    for written in fields.all("volumes") {
        let (key, line) = (written.key("name"), written.line());
        let Some((name, volume)) = volume::volume(written, sources) else { continue };
        if volumes.insert(name, volume).is_some() {
            fields.refuse_whole(line, &key, "this name is given to two volumes");
        }
    }
    volumes
}

/// A pod whose users are not the node's is none that this node can make.
fn host_users(fields: &mut Fields<'_>) {
    match fields.flag("hostUsers") {
        Some(true) => fields.note("hostUsers", "without effect on this node"),
        Some(false) => fields.refuse_at(fields.line_of("hostUsers"), "hostUsers", "is not supported on this node"),
        None => {}
    }
}

/// A pod gets a token from an API server, of which this node has none.
fn service_account(fields: &mut Fields<'_>) {
    let is_off = fields.flag("automountServiceAccountToken") == Some(false);
    for key in ["serviceAccountName", "serviceAccount"] {
        let Some(account) = fields.text(key) else { continue };
        if is_off || account.text == "default" {
            fields.note(key, "without effect on this node");
        } else {
            let message = "needs a Kubernetes API server for its token; if the pod can do without, say \
                           automountServiceAccountToken: false";
            fields.refuse_at(account.line, key, message);
        }
    }
}
