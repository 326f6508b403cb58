//! What the loop does about the kubelet: what the settings, the cluster and the manifests say of it, and how an artifact is fetched.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::{Agent, Observed, unix_secs};
use crate::{
    cluster::{
        self,
        model::{FailedRelease, Hosted, Release, Report, Role, State},
    },
    kubelet::{
        self,
        model::{Authority, Step, Wanted},
    },
    pods::{desired::Desired, hosted::static_pods, preloaded},
    settings::model::{Authority as Known, Cluster, ClusterRole, Settings},
    update,
};

/// What one look at the kubelet shows.
pub(super) struct Observation {
    wanted: Option<Wanted>,
    /// Whether the settings say that one runs here, even if what it needs is not known.
    has_role: bool,
    observed: kubelet::model::Observed,
    problems: Vec<String>,
    /// Whether the API server answers, if there is one.
    is_reachable: bool,
}

impl Observation {
    /// How long the loop may wait before the next look.
    pub(super) fn wait(&self) -> Duration {
        kubelet::plan::wait(&self.observed)
    }

    /// Whether a kubelet runs the pods here, or something that one reads is still there: one may run.
    pub(super) fn is_hosted(&self) -> bool {
        let names = |wanted| kubelet::plan::image(wanted, &self.observed.memory).is_some();
        !self.observed.files.is_empty() || self.wanted.as_ref().is_some_and(names)
    }
}

impl Agent {
    /// How it is; None where there is none, and none is wanted.
    pub(super) async fn observe_kubelet(&mut self, observed: &Observed) -> Option<Observation> {
        let settings = observed.settings();
        let has_role = cluster(settings).is_some() || is_standalone(settings);
        let is_needed = self.kubelet.check_needed(has_role).await;
        if !self.warnings.note(is_needed)? {
            return None;
        }
        let desired = observed.pods.as_ref().map(|(desired, _)| desired);
        let reports = self.memberships.reports();
        let (wanted, problems) = wanted(settings, &reports, desired);
        let is_there = |report: &Report| report.role == Role::Kubelet && report.state == State::Connected;
        let is_reachable = is_standalone(settings) || reports.iter().any(is_there);
        let seen = self.kubelet.observe(wanted.as_ref(), observed.systemd.as_ref(), self.runtime.cri()).await;
        let observed = self.warnings.note(seen)?;
        Some(Observation { wanted, has_role, observed, problems, is_reachable })
    }

    /// Imports what the OS brings along, once: the sandboxes of a kubelet's pods need it, and it cannot be pulled.
    fn provide_images(&mut self) {
        let Some(cri) = self.runtime.cri().filter(|_| !self.has_provided_images) else { return };
        self.has_provided_images = true;
        let (host, cri) = (self.host.clone(), cri.clone());
        tokio::spawn(async move {
            if let Err(error) = preloaded::provide_all(&host, &cri).await {
                log::error!("importing the images of the OS: {error:#}");
            }
        });
    }

    /// Does what it calls for, one step in a pass.
    pub(super) async fn act_on_kubelet(&mut self, observed: &Observed, plan: &kubelet::model::Plan) {
        let (Some(seen), Some(step)) = (&observed.kubelet, &plan.step) else { return };
        let image = if let Step::Fetch { image } = step { image.clone() } else { String::new() };
        let settings = self.update_settings(observed.settings());
        let revoked = observed.update.as_ref().map(|update| update.revoked.clone()).unwrap_or_default();
        if matches!(step, Step::Fetch { .. }) && observed.update.is_none() {
            // Which keys are revoked is not known in this pass.
            return;
        }
        if matches!(step, Step::Start { .. }) {
            self.provide_images();
        }
        let registry = update::act::artifact_registry(self.host.clone(), image, settings, revoked);
        let (systemd, cri) = (observed.systemd.as_ref(), self.runtime.cri());
        let done = self.kubelet.act(step.clone(), &seen.observed, systemd, cri, registry).await;
        self.warnings.note(done);
    }
}

/// What it calls for; empty where there is none.
pub(super) fn plan(observed: &Observed, now: SystemTime) -> kubelet::model::Plan {
    let Some(Observation { wanted, has_role, observed, problems, .. }) = &observed.kubelet else {
        return kubelet::model::Plan::default();
    };
    let mut plan = kubelet::plan::plan(wanted.as_ref(), *has_role, observed, unix_secs(now));
    plan.problems.extend(problems.iter().cloned());
    if wanted.is_some() && plan.status.is_none() {
        let problem = "a cluster has the role kubelet, and neither kubelet.image nor its NodeOS names a kubelet";
        plan.problems.push(problem.to_owned());
    }
    plan
}

/// Why it speaks against a release on trial: it proved itself under another one, and does not work now. An API server that is away may be why, and
/// fails no release; a kubelet that is on trial itself has its own.
pub(super) fn unwell(observed: &Observed, plan: &kubelet::model::Plan) -> Option<String> {
    let (seen, status) = (observed.kubelet.as_ref()?, plan.status.as_ref()?);
    is_unwell(status, seen.is_reachable).then(|| {
        let version = status.runs.as_ref().map_or("", |runs| &runs.version);
        format!("kubelet {version}, which worked before, is {}", status.state.name())
    })
}

fn is_unwell(status: &kubelet::model::Status, is_reachable: bool) -> bool {
    use kubelet::model::State as Is;
    match status.state {
        Is::Starting | Is::Silent => is_reachable && status.runs.is_some() && !status.is_on_trial,
        Is::Fetching | Is::WaitingForCluster | Is::Trial | Is::Healthy | Is::Failed | Is::Refused => false,
    }
}

/// How it is, for the clusters.
pub(super) fn hosted(seen: Option<&Observation>, plan: &kubelet::model::Plan) -> Option<Hosted> {
    let (seen, status) = (seen?, plan.status.as_ref()?);
    let release = |version: &kubelet::model::Version| Release {
        digest: version.digest.clone(),
        version: version.version.clone(),
        ..Release::default()
    };
    let failed = |failed: &kubelet::model::Failed| FailedRelease {
        digest: failed.digest.clone(),
        version: failed.version.clone(),
        reason: failed.reason.clone(),
        at: failed.at,
    };
    Some(Hosted {
        runs: status.runs.as_ref().map(release),
        state: status.state.name().to_owned(),
        on_trial: status.is_on_trial,
        waits: status.waits.as_ref().map(release),
        stuck: status.stuck.as_ref().map(failed),
        failed: seen.observed.memory.failed.iter().map(failed).collect(),
    })
}

/// How it is, for the status.
pub(super) fn shown<'a>(
    seen: Option<&'a Observation>,
    plan: &'a kubelet::model::Plan,
) -> Option<kubelet::model::Shown<'a>> {
    let (seen, status) = (seen?, plan.status.as_ref()?);
    Some(kubelet::model::Shown { status, memory: &seen.observed.memory, unit: seen.observed.unit })
}

/// Whether a kubelet is configured to run the pods here, its own and the cluster's.
pub(super) fn is_hosted(settings: &Settings) -> bool {
    let has_server = cluster(settings).is_some_and(|cluster| !cluster.servers.is_empty());
    settings.kubelet.image.is_some() && (has_server || is_standalone(settings))
}

/// Whether a kubelet runs the node's own pods, without any cluster.
fn is_standalone(settings: &Settings) -> bool {
    settings.kubelet.image.is_some() && settings.clusters.is_empty()
}

/// The cluster whose pods run here.
pub(super) fn cluster(settings: &Settings) -> Option<&Cluster> {
    settings.clusters.iter().find(|cluster| cluster.role == ClusterRole::Kubelet)
}

/// What is wanted, and why not all of it can be had. Before the pods were seen at nothing is: it would be started without them.
fn wanted(settings: &Settings, reports: &[Report], desired: Option<&Desired>) -> (Option<Wanted>, Vec<String>) {
    let pods = desired.map(static_pods).unwrap_or_default();
    let problems = pods.problems;
    let mut wanted = of_node(settings, pods.files);
    let Some(cluster) = cluster(settings) else {
        // By its own name, once its pods are known: it would end those that it does not know.
        wanted.node = desired.map(|_| settings.hostname.as_ref().map(ToString::to_string).unwrap_or_default());
        return (is_standalone(settings).then_some(wanted), problems);
    };
    let Some(server) = cluster.servers.first() else {
        let problem = format!("cluster {} has the role kubelet, which needs servers in the settings", cluster.name);
        return (None, vec![problem]);
    };
    let name = cluster.name.to_string();
    let report = reports.iter().find(|report| report.name == name);
    let wanted = Wanted {
        steered: report.and_then(|report| report.kubelet.clone()),
        node: report.and_then(|report| report.node.clone()).filter(|_| desired.is_some()),
        server: Some(server.to_string()),
        server_version: report.and_then(|report| report.server_version.clone()),
        authority: match &cluster.authority {
            None => Authority::Image,
            Some(Known::Certificates(certificates)) => Authority::Pem(certificates.to_string()),
            Some(Known::Hash(_)) => Authority::File(cluster::act::authority_file(&name)),
        },
        credentials: cluster::act::credentials_file(&name),
        serving: cluster::act::serving_file(&name),
        labels: cluster.node_labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        taints: cluster.node_taints.iter().map(ToString::to_string).collect(),
        ..wanted
    };
    (Some(wanted), problems)
}

/// What is wanted whatever the cluster, with `pods`.
fn of_node(settings: &Settings, pods: BTreeMap<String, String>) -> Wanted {
    let kubelet = &settings.kubelet;
    let reserved = [
        ("cpu", &kubelet.reserved.cpu),
        ("memory", &kubelet.reserved.memory),
        ("ephemeral-storage", &kubelet.reserved.storage),
    ];
    let reserved =
        reserved.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount.as_ref()?.to_string())));
    Wanted {
        image: kubelet.image.clone(),
        steered: None,
        node: None,
        server: None,
        server_version: None,
        authority: Authority::Image,
        credentials: String::new(),
        serving: String::new(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        cluster_dns: kubelet.cluster_dns.iter().map(ToString::to_string).collect(),
        cluster_domain: kubelet.cluster_domain.to_string(),
        node_ip: kubelet.node_ip.map(|address| address.to_string()),
        reserved: reserved.collect::<BTreeMap<_, _>>(),
        config: kubelet.config.keys().clone(),
        log_max_bytes: settings.runtime.log_max_size.bytes(),
        log_max_files: settings.runtime.log_max_files,
        pods,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        let source = ballast_settings::Source::new("f", ballast_settings::Rank::Node, text.as_bytes());
        let (found, problems) = ballast_settings::settings(&[source]);
        assert_eq!(problems, []);
        found
    }

    const CLUSTER: &str = "[[cluster]]\nname = \"prod\"\nservers = [\"https://a.example:6443\"]\ntoken = \"a.b\"\nrole = \"kubelet\"\n\
                           node_taints = [\"example.com/gpu=true:NoSchedule\"]\n";

    #[test]
    fn what_is_wanted_comes_from_the_settings_and_the_cluster() {
        let settings = settings(&format!(
            "{CLUSTER}[kubelet]\nimage = \"r.example/kubelet:1\"\ncluster_dns = [\"10.96.0.10\"]\nreserved = {{ cpu = \"100m\", storage = \"1Gi\" }}\n"
        ));
        let report = Report { name: "prod".to_owned(), node: Some("node-1".to_owned()), ..Report::default() };
        let (found, problems) = wanted(&settings, std::slice::from_ref(&report), Some(&Desired::default()));
        let found = found.unwrap();
        assert_eq!(problems, [""; 0]);
        assert_eq!((found.node.as_deref(), found.server.as_deref()), (Some("node-1"), Some("https://a.example:6443")));
        assert_eq!(found.credentials, "/var/lib/ballast/clusters/prod/client.pem");
        assert_eq!(found.taints, ["example.com/gpu=true:NoSchedule"]);
        assert_eq!(found.reserved.keys().collect::<Vec<_>>(), ["cpu", "ephemeral-storage"]);
        // Not before its own pods are known: it would end them.
        assert_eq!(wanted(&settings, &[report], None).0.unwrap().node, None);
    }

    #[test]
    fn without_an_image_or_the_role_there_is_none() {
        // Its cluster may name one.
        assert!(wanted(&settings(CLUSTER), &[], None).0.is_some_and(|wanted| wanted.image.is_none()));
        let image = "[kubelet]\nimage = \"r.example/kubelet:1\"\n";
        let no_role = settings(&format!("{}{image}", CLUSTER.replace("role = \"kubelet\"\n", "")));
        let (found, problems) = wanted(&no_role, &[], None);
        assert!(found.is_none() && problems.is_empty() && !is_hosted(&no_role));
        let mut no_server = settings(CLUSTER);
        no_server.clusters[0].servers.clear();
        let (found, problems) = wanted(&no_server, &[], None);
        assert!(found.is_none() && problems[0].contains("needs servers"), "{problems:?}");
    }

    #[test]
    fn a_release_under_which_a_good_kubelet_does_not_work_is_none() {
        use kubelet::model::{State as Is, Status, Version};
        let runs = Some(Version { digest: "sha256:a".to_owned(), version: "1.33.0".to_owned() });
        let status = |state, is_on_trial| Status { runs: runs.clone(), state, waits: None, stuck: None, is_on_trial };
        for (state, is_on_trial, is_reachable, expected) in [
            (Is::Healthy, false, true, false),
            (Is::Starting, false, true, true),
            (Is::Silent, false, true, true),
            // Without its API server it may not come up, and it may be bad itself.
            (Is::Starting, false, false, false),
            (Is::Silent, true, true, false),
            (Is::Fetching, false, true, false),
            (Is::WaitingForCluster, false, true, false),
        ] {
            assert_eq!(is_unwell(&status(state, is_on_trial), is_reachable), expected, "{state:?}");
        }
    }

    #[test]
    fn without_any_cluster_it_runs_the_nodes_own_pods() {
        let alone = settings("hostname = \"edge-1\"\n[kubelet]\nimage = \"r.example/kubelet:1\"\n");
        let (found, problems) = wanted(&alone, &[], Some(&Desired::default()));
        let found = found.unwrap();
        assert!(problems.is_empty() && is_hosted(&alone));
        assert_eq!((found.node.as_deref(), found.server), (Some("edge-1"), None));
        assert_eq!(wanted(&alone, &[], None).0.unwrap().node, None);
        assert!(!is_hosted(&settings("")) && wanted(&settings(""), &[], None).0.is_none());
    }
}
