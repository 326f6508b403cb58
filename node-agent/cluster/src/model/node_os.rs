//! `NodeOS`, the operating system of a node as an object of the cluster: the custom resource's types. From them the CRD is made
//! (`manifests/crd.yaml`), so what is said here of a field is what `kubectl explain nodeos` shows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Who writes status, to server-side apply.
pub const FIELD_MANAGER: &str = "ballast-agent";

/// How long pods have to go before a reboot, if the spec does not say.
const DRAIN_TIMEOUT_SECONDS: u32 = 900;

/// What the operator wants of the node's operating system. The node only reads it.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "os.ballast.dev",
    version = "v1alpha1",
    kind = "NodeOS",
    root = "NodeOs",
    plural = "nodeoses",
    singular = "nodeos",
    shortname = "nos",
    status = "NodeOsStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "The operating system of the node of the same name: what shall run there, and what does.",
    printcolumn = r#"{"name": "Version", "type": "string", "jsonPath": ".status.booted.version", "description": "The release that runs"}"#,
    printcolumn = r#"{"name": "Next", "type": "string", "jsonPath": ".status.next.version", "description": "The release that boots next, if it is another"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase", "description": "The state of the upgrade to spec.image"}"#,
    printcolumn = r#"{"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1, "description": "The phase in a sentence"}"#,
    printcolumn = r#"{"name": "Pool", "type": "string", "jsonPath": ".status.pool", "description": "The pool whose slots the node takes to reboot"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeOsSpec {
    /// The release that shall run: REGISTRY/NAME[:TAG][@DIGEST]. A tag is resolved when this field changes. Absent: the node is left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The kubelet that shall run, where the node hosts one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<KubeletSpec>,
    /// Nothing new is begun. A slot and a cordon are given back before a reboot.
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// When the node may drain and reboot, as "Mon-Fri 02:00-04:00 Europe/Berlin". Absent: at any time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<String>,
    /// Whether the node reboots by itself.
    pub reboot_policy: RebootPolicy,
    /// How long pods have to go before a reboot, in seconds.
    pub drain_timeout_seconds: u32,
    /// What happens when pods have not ended by then.
    pub drain_timeout_policy: DrainTimeoutPolicy,
}

impl Default for NodeOsSpec {
    fn default() -> Self {
        Self {
            image: None,
            kubelet: None,
            paused: false,
            window: Vec::new(),
            reboot_policy: RebootPolicy::default(),
            drain_timeout_seconds: DRAIN_TIMEOUT_SECONDS,
            drain_timeout_policy: DrainTimeoutPolicy::default(),
        }
    }
}

/// The kubelet that shall run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeletSpec {
    /// Its artifact: REGISTRY/NAME[:TAG][@DIGEST]. A tag is resolved when this field changes. Absent: kubelet.image of the node's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Whether the node reboots by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RebootPolicy {
    /// As soon as window, slot and pods allow it.
    #[default]
    Auto,
    /// The release is prepared, and somebody reboots the node.
    Manual,
}

/// What happens when pods have not gone in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DrainTimeoutPolicy {
    /// The node is uncordoned, gives its slot back, and tries again later.
    #[default]
    Retry,
    /// It reboots all the same.
    Force,
}

/// What the node reports about its operating system. Only the node writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeOsStatus {
    /// The release that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booted: Option<Release>,
    /// The release that boots next, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Release>,
    /// The release that boots if the next fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good: Option<Release>,
    /// Releases that failed on this node. They are not tried again until "ballast allow" there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedReleaseStatus>,
    /// The kubelet, where the node hosts one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<KubeletStatus>,
    /// Where operators reach the node's API, if its settings have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiStatus>,
    /// The state of the upgrade to spec.image and spec.kubelet.image.
    pub phase: Phase,
    /// The phase in a sentence.
    pub message: String,
    /// The slot that the node claims, on its Lease in kube-node-lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The pool whose slots the node takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The spec.image that was resolved last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_image: Option<String>,
    /// What it was resolved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_digest: Option<String>,
    /// The metadata.generation that this status answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the node booted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub booted_at: Option<Time>,
    /// Milliseconds from the kernel's start until the node could run pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_millis: Option<u64>,
    /// OSUpgrade, OSDegraded and SettingsDegraded, as on the Node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

impl NodeOsStatus {
    /// Whether both report the same of what others go by.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let reported = |status: &Self| {
            let Self {
                booted, next, kubelet, api, phase, message, slot, pool, observed_image, observed_digest, ..
            } = status.clone();
            (booted, next, kubelet, api, phase, message, slot, pool, (observed_image, observed_digest))
        };
        reported(self) == reported(other)
    }
}

/// A moment, as Kubernetes writes it.
fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// The standard's conditions, merged by their type.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    let text = json_schema!({ "type": "string" });
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": text,
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "reason": text,
                "message": text,
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "observedGeneration": { "type": "integer", "format": "int64" },
            },
        },
    })
}

/// A release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Release {
    /// As it was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// The digest of its manifest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// The kubelet that the node hosts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeletStatus {
    /// The version that runs, or is about to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The digest of its artifact's manifest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// How it is, as "ballast status" on the node says: healthy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// The version that waits for a slot and for the node's drain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Release>,
    /// Versions that failed on this node. Each is tried again with another configuration only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedReleaseStatus>,
}

/// Where operators reach the node's API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiStatus {
    /// ADDRESS:PORT.
    pub address: String,
    /// By what the node is known there: sha256: and the SHA-256 of its certificate.
    pub fingerprint: String,
}

/// A release that failed on this node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedReleaseStatus {
    /// The digest of its manifest.
    pub digest: String,
    /// Its version.
    pub version: String,
    /// What was wrong.
    pub reason: String,
    /// When that was found.
    #[schemars(schema_with = "time")]
    pub at: Time,
}

/// What a node is at with the image that it shall run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing is wanted, or what is wanted runs and is well.
    #[default]
    Idle,
    /// The release is fetched and made ready to boot; pods do not notice.
    Preparing,
    /// It boots next, and something stands between it and the reboot: by hand, or a time after a drain that failed.
    Prepared,
    /// It boots next, once the window opens.
    WaitingForWindow,
    /// It boots next, once a slot of the pool is free.
    WaitingForSlot,
    /// No new pods come, those that are here are asked to go.
    Draining,
    /// The node goes down.
    Rebooting,
    /// The release runs and has yet to prove itself.
    Verifying,
    /// The release does not run here; the message says why.
    Failed,
    /// spec.paused holds it.
    Paused,
}
