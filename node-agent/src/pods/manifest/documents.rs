//! From the documents of a file to the pods in it: what each of them is, is looked at first.

use std::{cell::RefCell, collections::BTreeSet};

use super::{
    ManifestError,
    objects::{ObjectKey, ObjectKind, Objects},
    pod::{self, Origin},
    reader::{Fields, Report},
    tree::{self, Node, Value},
    workloads::workload,
};
use crate::pods::model::Spec;

/// Kinds that make pods when the time has come.
const LATER: [&str; 2] = ["CronJob", "PodTemplate"];

/// Kinds that only an API server, a scheduler or a controller reads: a pod beside them is the same without.
const WITHOUT_EFFECT: [&str; 14] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "HorizontalPodAutoscaler",
    "LimitRange",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PodMonitor",
    "PriorityClass",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "ServiceAccount",
    "ServiceMonitor",
];

/// Kinds that are lists of others.
const LISTS: [&str; 9] = [
    "ConfigMapList",
    "DaemonSetList",
    "DeploymentList",
    "JobList",
    "List",
    "PodList",
    "ReplicaSetList",
    "SecretList",
    "StatefulSetList",
];

/// What a file's text is.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The pods that are understood, with what of each has no effect.
    pub(super) pods: Vec<(Spec, Vec<ManifestError>)>,
    /// What keeps others from being taken, by line.
    pub(super) problems: Vec<ManifestError>,
    /// What beside pods has no effect.
    pub(super) notes: Vec<ManifestError>,
    /// What pods refer to and is not in the file.
    pub(super) missing: BTreeSet<ObjectKey>,
}

/// An object of the file, with its place in the list that it is in.
struct Object<'a> {
    node: &'a Node,
    path: String,
}

pub(super) fn read(text: &str) -> Documents {
    let (documents, broken) = tree::documents(text);
    let mut all = Documents::default();
    if documents.is_empty() && broken.is_none() {
        let message = "the file has nothing in it, expected a v1 Pod".to_owned();
        all.problems.push(ManifestError { line: None, key: String::new(), message });
    }
    let mut found = Vec::new();
    for document in &documents {
        flatten(document, String::new(), &mut found, &mut all);
    }
    // What pods refer to may stand behind them.
    let mut objects = Objects::default();
    let mut keys: Vec<Option<ObjectKey>> = Vec::new();
    for object in &found {
        keys.push(all.beside(object, &mut objects));
    }
    for (object, key) in found.iter().zip(&keys) {
        if key.is_none() {
            all.add(object, &objects);
        }
    }
    for (object, key) in found.iter().zip(keys) {
        let Some(key) = key.filter(|key| !objects.is_asked_for(key)) else { continue };
        let message = format!("this {} has no effect: no pod in this file refers to it", key.kind.name());
        all.notes.push(ManifestError { line: Some(object.node.line), key: object.path.clone(), message });
    }
    all.missing = objects.missing();
    all.problems.extend(broken);
    all.problems.sort_by_key(|problem| problem.line);
    all
}

/// The kind that an object says it is.
pub(super) fn kind(node: &Node) -> Option<String> {
    let report = RefCell::new(Report::default());
    Fields::quietly(node, "", &report)?.peek("kind").map(str::to_owned)
}

/// The objects of a document: those in a list are as good as documents of their own.
fn flatten<'a>(node: &'a Node, path: String, found: &mut Vec<Object<'a>>, all: &mut Documents) {
    let field = |name: &str| match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| &node.value),
        Value::Nothing | Value::Text(_) | Value::List(_) => None,
    };
    let is_list = matches!(field("kind"), Some(Value::Text(kind)) if LISTS.contains(&kind.as_str()));
    if !is_list {
        found.push(Object { node, path });
        return;
    }
    let key = if path.is_empty() { "items".to_owned() } else { format!("{path}.items") };
    match field("items") {
        None | Some(Value::Nothing) => {}
        Some(Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, format!("{key}[{index}]"), found, all);
            }
        }
        Some(Value::Text(_) | Value::Map(_)) => {
            let message = "expected a list".to_owned();
            all.problems.push(ManifestError { line: Some(node.line), key, message });
        }
    }
}

impl Documents {
    /// Takes a ConfigMap or Secret; None if it is neither.
    fn beside(&mut self, object: &Object<'_>, objects: &mut Objects) -> Option<ObjectKey> {
        let report = RefCell::new(Report::default());
        let fields = Fields::quietly(object.node, &object.path, &report)?;
        let kind = match fields.peek("kind")? {
            "ConfigMap" => ObjectKind::ConfigMap,
            "Secret" => ObjectKind::Secret,
            _ => return None,
        };
        let key = Fields::of(object.node, &object.path, &report).and_then(|fields| objects.add(kind, fields));
        self.problems.extend(report.into_inner().problems);
        // One that has no name is none that a pod refers to.
        let none = || ObjectKey { kind, namespace: String::new(), name: String::new() };
        Some(key.unwrap_or_else(none))
    }

    fn add(&mut self, object: &Object<'_>, objects: &Objects) {
        let report = RefCell::new(Report::default());
        let origin = Origin { objects };
        let fields = Fields::of(object.node, &object.path, &report);
        let spec = fields.and_then(|fields| self.object(fields, &report, &origin));
        let Report { problems, notes } = report.into_inner();
        match spec {
            Some(spec) if problems.is_empty() => self.pods.push((spec, notes)),
            Some(_) | None => self.notes.extend(notes),
        }
        self.problems.extend(problems);
    }

    /// The pod, if it is one or makes one.
    fn object<'a>(&mut self, mut fields: Fields<'a>, report: &'a RefCell<Report>, origin: &Origin<'_>) -> Option<Spec> {
        let kind = fields.need("kind")?;
        let version = fields.need("apiVersion")?;
        if let Some(workload) = workload(kind.text) {
            return workload.pod(fields, report, origin);
        }
        match kind.text {
            "Pod" => {
                fields.require(version.text == "v1", version, "apiVersion", "expected v1");
                pod::pod(fields, report, origin)
            }
            beside if WITHOUT_EFFECT.contains(&beside) => {
                fields.note(
                    "kind",
                    &format!("this {beside} has no effect: only a Kubernetes API server and its controllers read it"),
                );
                None
            }
            later if LATER.contains(&later) => {
                let message = format!(
                    "expected Pod, found {later}: write what stands in its template as `apiVersion: v1`, `kind: Pod`, with a name in \
                     its metadata"
                );
                fields.refuse_at(kind.line, "kind", &message);
                None
            }
            other => {
                let message = format!("expected Pod, found {other}, which needs a Kubernetes API server");
                fields.refuse_at(kind.line, "kind", &message);
                None
            }
        }
    }
}
