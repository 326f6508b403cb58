//! Kinds that make pods of a template: with one replica it is the pod of that name.

use std::cell::RefCell;

use super::{
    pod::{self, Origin},
    reader::{Fields, Report},
};
use crate::pods::model::Spec;

/// What a controller reads, and a node does not: how old pods make place for new ones, and which are whose.
const WITHOUT_EFFECT: [&str; 18] = [
    "backoffLimitPerIndex",
    "completionMode",
    "managedBy",
    "manualSelector",
    "maxFailedIndexes",
    "minReadySeconds",
    "ordinals",
    "paused",
    "persistentVolumeClaimRetentionPolicy",
    "podFailurePolicy",
    "podManagementPolicy",
    "podReplacementPolicy",
    "progressDeadlineSeconds",
    "revisionHistoryLimit",
    "selector",
    "serviceName",
    "strategy",
    "updateStrategy",
];

/// Of a Job: when what is left of it is removed.
const OF_JOBS: [&str; 2] = ["successPolicy", "ttlSecondsAfterFinished"];

/// How often a Job may fail that does not say it (Kubernetes' default).
const BACKOFF_LIMIT: u32 = 6;

/// More pods than this are a mistake in writing.
const MOST_REPLICAS: u64 = 1_000_000;

/// A kind with the version that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Workload {
    kind: &'static str,
    version: &'static str,
    /// The field that says how many pods there are.
    replicas: Option<&'static str>,
}

const WORKLOADS: [Workload; 6] = [
    Workload { kind: "DaemonSet", version: "apps/v1", replicas: None },
    Workload { kind: "Deployment", version: "apps/v1", replicas: Some("replicas") },
    Workload { kind: "Job", version: "batch/v1", replicas: Some("completions") },
    Workload { kind: "ReplicaSet", version: "apps/v1", replicas: Some("replicas") },
    Workload { kind: "ReplicationController", version: "v1", replicas: Some("replicas") },
    Workload { kind: "StatefulSet", version: "apps/v1", replicas: Some("replicas") },
];

/// The workload of this kind.
pub(super) fn workload(kind: &str) -> Option<Workload> {
    WORKLOADS.into_iter().find(|workload| workload.kind == kind)
}

impl Workload {
    /// Its one pod; None if it has none, or is refused.
    pub(super) fn pod<'a>(
        self,
        mut fields: Fields<'a>,
        report: &'a RefCell<Report>,
        origin: &Origin<'_>,
    ) -> Option<Spec> {
        let Self { kind, version, replicas } = self;
        if let Some(said) = fields.text("apiVersion") {
            fields.require(said.text == version, said, "apiVersion", &format!("expected {version}"));
        }
        fields.without_effect(&["status"]);
        let (metadata, spec) = (pod::need(&mut fields, "metadata", report), pod::need(&mut fields, "spec", report));
        fields.finish();
        let own = metadata.map(|metadata| pod::metadata(metadata))?;
        let mut spec = spec?;
        let wanted = replicas.and_then(|key| {
            let count = spec.number(key, MOST_REPLICAS)?;
            if count > 1 {
                spec.refuse_at(spec.line_of(key), key, "expected 1: a node runs one of each pod");
            }
            Some(count)
        });
        let job = (kind == "Job").then(|| {
            let limit = spec.number("backoffLimit", u64::from(i32::MAX.unsigned_abs()));
            (
                limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(BACKOFF_LIMIT),
                pod::active_deadline(&mut spec),
            )
        });
        if kind == "Job" {
            // However many may run at once: there is one.
            spec.number("parallelism", MOST_REPLICAS);
            spec.without_effect(&OF_JOBS);
        }
        let is_suspended = kind == "Job" && spec.flag("suspend") == Some(true);
        if let Some(claims) = spec.take("volumeClaimTemplates") {
            spec.refuse_at(claims.line, "volumeClaimTemplates", "needs a Kubernetes API server");
        }
        spec.without_effect(&WITHOUT_EFFECT);
        let template = pod::need(&mut spec, "template", report);
        spec.finish();
        let mut template = template?;
        let name = if kind == "StatefulSet" { format!("{}-0", own.key.name) } else { own.key.name.clone() };
        let metadata = template.fields("metadata").map(pod::template_metadata).unwrap_or_default();
        let metadata = super::env::Metadata {
            key: crate::pods::model::Key { name: name.clone(), ..own.key },
            labels: metadata.0,
            annotations: metadata.1,
        };
        let inside = pod::need(&mut template, "spec", report);
        template.finish();
        if kind == "StatefulSet" {
            fields.note("kind", &format!("of this {kind} the pod {name} is taken"));
        } else {
            fields.note("kind", &format!("of this {kind} its one pod is taken, under its name"));
        }
        let inside = inside?;
        if kind == "Job" && inside.peek("restartPolicy").is_none_or(|policy| policy == "Always") {
            inside.refuse_at(inside.line_of("restartPolicy"), "restartPolicy", "expected OnFailure or Never in a Job");
        }
        let mut spec = pod::spec(metadata, inside, origin);
        if let (Some(spec), Some((limit, deadline))) = (&mut spec, job) {
            spec.backoff_limit = Some(limit);
            spec.active_deadline = spec.active_deadline.into_iter().chain(deadline).min();
        }
        spec.filter(|_| wanted != Some(0) && !is_suspended)
    }
}
