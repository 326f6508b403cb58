//! What is known of the kubelet.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// The unit that runs it. Only the agent starts it.
pub const UNIT: &str = "ballast-kubelet.service";

/// What an artifact has to be for, and the file in it that is started.
pub const NAME: &str = "kubelet";

/// Where what it reads is rendered.
pub const FOLDER: &str = "/run/ballast/kubelet";

/// The folder of its static pods in [`FOLDER`].
pub const PODS: &str = "pods";

/// The file in [`FOLDER`] that the unit takes the artifact and the flags from.
pub const ENVIRONMENT: &str = "environment";

/// A new version has to be healthy within this: it starts within seconds, on a busy machine within a minute.
pub const TRIAL: Duration = Duration::from_secs(180);

/// A version is good when it answered for so long.
pub const SETTLED: Duration = Duration::from_secs(10);

/// A version on trial that ended so often by itself will not get better.
pub const MAX_ENDS: u32 = 3;

/// As the unit's exit status when the artifact is not what was signed (EX_CONFIG of sysexits.h).
pub const NOT_STARTED: i32 = 78;

/// So many probes in a row without an answer are a kubelet that hangs: one may be a busy machine.
pub const SILENCES_TO_KILL: u32 = 3;

/// No more failed versions than this are remembered; the oldest are forgotten.
pub const MAX_FAILED: usize = 8;

/// After a fetch that failed, or a version that was damaged: at first, at most.
pub const FETCH_AGAIN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));

/// A version of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The digest of its manifest.
    pub digest: String,
    /// As its manifest says: `1.33.0`.
    pub version: String,
}

/// A version that failed on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The digest of its manifest.
    pub digest: String,
    /// As its manifest says.
    pub version: String,
    /// Why, in a sentence.
    pub reason: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// The fingerprint of what it read; with another configuration it may not fail. Empty: of an agent that did not note it.
    #[serde(default)]
    pub configuration: String,
}

/// What cannot be seen, and is kept over boots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The image of the settings that `wanted` was fetched for.
    #[serde(default)]
    pub image: Option<String>,
    /// What that image was when it was fetched.
    #[serde(default)]
    pub wanted: Option<Version>,
    /// The last version that proved itself.
    #[serde(default)]
    pub good: Option<Version>,
    /// Versions that failed, the newest last.
    #[serde(default)]
    pub failed: Vec<Failed>,
    /// Where those that are kept came from, each by digest: to fetch exactly that one again.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// The image that the cluster named last.
    #[serde(default)]
    pub steered: Option<String>,
    /// The version that was found damaged, until it was fetched anew.
    #[serde(default)]
    pub damaged: Option<String>,
}

impl Memory {
    /// Why the version with `digest` failed with this configuration, if it did.
    pub fn failure_of(&self, digest: &str, configuration: &str) -> Option<&Failed> {
        let is_it = |failed: &&Failed| {
            failed.digest == digest && (failed.configuration.is_empty() || failed.configuration == configuration)
        };
        self.failed.iter().find(is_it)
    }
}

/// Whose certificate a server has to show, and who may speak to the kubelet with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Those that the image believes.
    Image,
    /// This one, in PEM.
    Pem(String),
    /// The one in this file.
    File(String),
}

/// What the settings and the cluster say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `kubelet.image`
    pub image: Option<String>,
    /// What the cluster says of it, and whether it names one; None until it was read.
    pub steered: Option<Option<String>>,
    /// What it is called in the cluster; None until it has joined. Empty: as the machine is.
    pub node: Option<String>,
    /// The API server; None without a cluster: it runs this node's own pods alone.
    pub server: Option<String>,
    /// The API server's version, as far as it is known.
    pub server_version: Option<String>,
    /// Who vouches for it.
    pub authority: Authority,
    /// The file with certificate and key, which the agent keeps and renews.
    pub credentials: String,
    /// The file with the certificate and key that it shows to who asks it, if the cluster gave it one.
    pub serving: String,
    /// `cluster.node_labels`
    pub labels: BTreeMap<String, String>,
    /// `cluster.node_taints`, as KEY=VALUE:EFFECT.
    pub taints: Vec<String>,
    /// `kubelet.cluster_dns`
    pub cluster_dns: Vec<String>,
    /// `kubelet.cluster_domain`
    pub cluster_domain: String,
    /// `kubelet.node_ip`
    pub node_ip: Option<String>,
    /// `kubelet.reserved`: by resource.
    pub reserved: BTreeMap<String, String>,
    /// `kubelet.config`: keys of a KubeletConfiguration, none of those that are rendered.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// `runtime.log_max_size`, in bytes.
    pub log_max_bytes: u64,
    /// `runtime.log_max_files`
    pub log_max_files: u32,
    /// The pods of this node's manifests, by file name.
    pub pods: BTreeMap<String, String>,
}

/// Files by their name in [`FOLDER`].
pub type Files = BTreeMap<String, String>;

/// What the unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitState {
    /// It runs.
    Active,
    /// systemd is starting, stopping or about to restart it.
    Changing,
    /// It does not run, and systemd will not start it by itself.
    Stopped,
}

/// The unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// What it does.
    pub state: UnitState,
    /// Its main process, 0 if there is none.
    pub main_pid: u32,
    /// systemd's own restarts since the last start by hand.
    pub restarts: u32,
    /// How its last main process ended.
    pub exit_status: i32,
}

/// Whether it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// Since when it answered without a break; None if it does not.
    pub healthy_for: Option<Duration>,
    /// Probes in a row without an answer.
    pub silences: u32,
}

/// A fetch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFailure {
    /// Of which image.
    pub image: String,
    /// Why.
    pub message: String,
    /// How long ago.
    pub ago: Duration,
    /// How many in a row.
    pub count: u32,
}

/// Everything about it at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// What is remembered.
    pub memory: Memory,
    /// Its unit; None while systemd cannot be asked.
    pub unit: Option<Unit>,
    /// Whether it answers.
    pub health: Health,
    /// What is rendered now.
    pub files: Files,
    /// How long ago the unit was started or restarted by us, with what is rendered; None if it was not in this boot, as far as is known.
    pub started: Option<Duration>,
    /// Whether its credentials are there.
    pub has_credentials: bool,
    /// Which certificate and key the cluster gave it to show, by a fingerprint; None: none yet.
    pub serving: Option<String>,
    /// Whether something is being fetched or removed.
    pub is_busy: bool,
    /// The last fetch, if it failed.
    pub fetch_failure: Option<FetchFailure>,
    /// The process that was killed for not answering: it is not killed twice.
    pub killed_pid: Option<u32>,
    /// The version that the cluster allows to start, after the node was drained: by its digest.
    pub permitted: Option<String>,
    /// How long ago a version was found damaged, and how often in a row.
    pub mended: Option<(Duration, u32)>,
    /// The sandboxes of a kubelet's pods. Looked for without the role alone; None: the runtime does not say.
    pub sandboxes: Option<Vec<String>>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Remember which image the cluster names.
    Steer {
        /// None: it names none any more.
        image: Option<String>,
    },
    /// Fetch the artifact of this image, and take it for the wanted one.
    Fetch {
        /// As the settings or the cluster say it.
        image: String,
    },
    /// Render, and start the unit, or restart it if it runs.
    Start {
        /// All files.
        files: Files,
    },
    /// Render what the kubelet reads again by itself: its static pods.
    Render {
        /// All files.
        files: Files,
    },
    /// End the unit.
    Stop,
    /// End the pods that a kubelet left, with their grace.
    EndPods,
    /// Remove what was rendered for a unit that has ended.
    Clear,
    /// Kill the main process, which hangs; systemd then restarts the unit.
    Kill {
        /// The process.
        pid: u32,
    },
    /// Remember that the version proved itself, and remove those that nobody needs.
    Good(Version),
    /// Remember that the version failed.
    Fail(Failed),
    /// The version with this digest is not what was signed: fetch exactly that one anew.
    Mend {
        /// Which.
        digest: String,
    },
}

/// What is to be done, and what to report of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// At most one step: the next look sees what came of it.
    pub step: Option<Step>,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// How it is; None without the role.
    pub status: Option<Status>,
}

/// What is published of it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// How it is.
    pub status: &'a Status,
    /// What is remembered of others.
    pub memory: &'a Memory,
    /// Its unit.
    pub unit: Option<Unit>,
}

/// How the kubelet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The version that runs, or is to run.
    pub runs: Option<Version>,
    /// How that is.
    pub state: State,
    /// The version that is here and waits until the cluster has the node drained.
    pub waits: Option<Version>,
    /// The version that is wanted, if it failed here, or may not speak to the API server.
    pub stuck: Option<Failed>,
    /// Whether what runs has yet to prove itself.
    pub is_on_trial: bool,
}

/// States of the kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its artifact is not here yet.
    Fetching,
    /// It waits until the node has joined its cluster.
    WaitingForCluster,
    /// It is being started, or ended and is started again.
    Starting,
    /// It answers, and has not proved itself yet.
    Trial,
    /// It answers.
    Healthy,
    /// It runs and does not answer.
    Silent,
    /// No version can be started.
    Failed,
    /// The one that is wanted may not speak to the API server, and there is no other.
    Refused,
}

impl State {
    /// As it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::WaitingForCluster => "waiting-for-cluster",
            Self::Starting => "starting",
            Self::Trial => "trial",
            Self::Healthy => "healthy",
            Self::Silent => "silent",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}
