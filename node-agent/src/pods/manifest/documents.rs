//! From the documents of a file to the pods in it: what each of them is, is looked at first.

use std::cell::RefCell;

use super::{
    ManifestError, pod,
    reader::{Fields, Report},
    tree::{self, Node},
};
use crate::pods::model::Spec;

/// Kinds that make pods of a template: of these the template is what this node could run.
const WORKLOADS: [&str; 8] =
    ["CronJob", "DaemonSet", "Deployment", "Job", "PodTemplate", "ReplicaSet", "ReplicationController", "StatefulSet"];

/// Kinds that mean something only to a pod that names them.
const BESIDE: [&str; 2] = ["ConfigMap", "Secret"];

/// What a file's text is.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The pods that are understood, with what of each has no effect.
    pub(super) pods: Vec<(Spec, Vec<ManifestError>)>,
    /// What keeps others from being taken, by line.
    pub(super) problems: Vec<ManifestError>,
    /// What beside pods has no effect.
    pub(super) notes: Vec<ManifestError>,
}

pub(super) fn read(text: &str) -> Documents {
    let (documents, broken) = tree::documents(text);
    let mut all = Documents::default();
    if documents.is_empty() && broken.is_none() {
        let message = "the file has nothing in it, expected a v1 Pod".to_owned();
        all.problems.push(ManifestError { line: None, key: String::new(), message });
    }
    for document in &documents {
        all.add(document, "");
    }
    all.problems.extend(broken);
    all.problems.sort_by_key(|problem| problem.line);
    all
}

impl Documents {
    fn add(&mut self, node: &Node, path: &str) {
        let report = RefCell::new(Report::default());
        let spec = Fields::of(node, path, &report).and_then(|fields| self.object(fields, &report));
        let Report { problems, notes } = report.into_inner();
        match spec {
            Some(spec) if problems.is_empty() => self.pods.push((spec, notes)),
            Some(_) | None => self.notes.extend(notes),
        }
        self.problems.extend(problems);
    }

    /// The pod, if it is one.
    fn object<'a>(&mut self, mut fields: Fields<'a>, report: &'a RefCell<Report>) -> Option<Spec> {
        let kind = fields.need("kind")?;
        let version = fields.need("apiVersion")?;
        match kind.text {
            "Pod" => {
                fields.require(version.text == "v1", version, "apiVersion", "expected v1");
                pod::pod(fields, report)
            }
            "List" | "PodList" => {
                for (path, node) in fields.list("items") {
                    self.add(node, &path);
                }
                None
            }
            beside if BESIDE.contains(&beside) => {
                fields.note("kind", &format!("this {beside} has no effect: pods of this node cannot refer to it"));
                None
            }
            workload if WORKLOADS.contains(&workload) => {
                let message = format!(
                    "expected Pod, found {workload}: write what stands in its template as `apiVersion: v1`, `kind: Pod`, with a \
                     name in its metadata"
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
