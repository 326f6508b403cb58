//! What the loop does about the kubelet: what the settings, the cluster and the manifests say of it, and how an artifact is fetched.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::{Agent, Observed, unix_secs};
use crate::{
    cluster::{self, model::Report},
    kubelet::{
        self,
        model::{Authority, Step, Wanted},
    },
    pods::{desired::Desired, hosted::static_pods, preloaded},
    settings::model::{Authority as Known, Cluster, ClusterRole, Settings},
    update,
};

/// What one look at the kubelet shows.
pub(super) struct Looked {
    wanted: Option<Wanted>,
    observed: kubelet::model::Observed,
    problems: Vec<String>,
}

impl Looked {
    /// How long the loop may wait before the next look.
    pub(super) fn wait(&self) -> Duration {
        kubelet::plan::wait(&self.observed)
    }

    /// Whether something that a kubelet reads is still there: one may run.
    pub(super) fn is_left(&self) -> bool {
        !self.observed.files.is_empty()
    }
}

impl Agent {
    /// How it is; None where there is none, and none is wanted.
    pub(super) async fn observe_kubelet(&mut self, observed: &Observed) -> Option<Looked> {
        let settings = observed.settings();
        let is_needed = self.kubelet.is_needed(cluster(settings).is_some()).await;
        if !self.warnings.note(is_needed)? {
            return None;
        }
        let desired = observed.pods.as_ref().map(|(desired, _)| desired);
        let (wanted, problems) = wanted(settings, &self.memberships.reports(), desired);
        let looked = self.kubelet.observe(wanted.as_ref(), observed.systemd.as_ref(), self.runtime.cri()).await;
        let observed = self.warnings.note(looked)?;
        Some(Looked { wanted, observed, problems })
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
        let (Some(looked), Some(step)) = (&observed.kubelet, &plan.step) else { return };
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
        let done = self.kubelet.act(step.clone(), &looked.observed, systemd, cri, registry).await;
        self.warnings.note(done);
    }
}

/// What it calls for; empty where there is none.
pub(super) fn plan(observed: &Observed, now: SystemTime) -> kubelet::model::Plan {
    let Some(Looked { wanted, observed, problems }) = &observed.kubelet else {
        return kubelet::model::Plan::default();
    };
    let mut plan = kubelet::plan::plan(wanted.as_ref(), observed, unix_secs(now));
    plan.problems.extend(problems.iter().cloned());
    plan
}

/// How it is, for the status.
pub(super) fn shown<'a>(
    looked: Option<&'a Looked>,
    plan: &'a kubelet::model::Plan,
) -> Option<kubelet::model::Shown<'a>> {
    let (looked, status) = (looked?, plan.status.as_ref()?);
    Some(kubelet::model::Shown { status, memory: &looked.observed.memory, unit: looked.observed.unit })
}

/// Whether a kubelet is configured to run the pods here, its own and the cluster's.
pub(super) fn is_hosted(settings: &Settings) -> bool {
    settings.kubelet.image.is_some() && cluster(settings).is_some_and(|cluster| !cluster.servers.is_empty())
}

/// The cluster whose pods run here.
pub(super) fn cluster(settings: &Settings) -> Option<&Cluster> {
    settings.clusters.iter().find(|cluster| cluster.role == ClusterRole::Kubelet)
}

/// What is wanted, and why not all of it can be had. Before the pods were looked at nothing is: it would be started without them.
fn wanted(settings: &Settings, reports: &[Report], desired: Option<&Desired>) -> (Option<Wanted>, Vec<String>) {
    let (Some(cluster), kubelet) = (cluster(settings), &settings.kubelet) else { return (None, Vec::new()) };
    let Some(image) = kubelet.image.clone() else {
        let problem = format!("cluster {} has the role kubelet, and kubelet.image names none", cluster.name);
        return (None, vec![problem]);
    };
    let Some(server) = cluster.servers.first() else {
        let problem = format!("cluster {} has the role kubelet, which needs servers in the settings", cluster.name);
        return (None, vec![problem]);
    };
    let pods = desired.map(static_pods).unwrap_or_default();
    let name = cluster.name.to_string();
    let report = reports.iter().find(|report| report.name == name);
    let reserved = [
        ("cpu", &kubelet.reserved.cpu),
        ("memory", &kubelet.reserved.memory),
        ("ephemeral-storage", &kubelet.reserved.storage),
    ];
    let reserved =
        reserved.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount.as_ref()?.to_string())));
    let wanted = Wanted {
        image,
        node: report.and_then(|report| report.node.clone()).filter(|_| desired.is_some()),
        server: server.to_string(),
        authority: match &cluster.authority {
            None => Authority::Image,
            Some(Known::Certificates(certificates)) => Authority::Pem(certificates.to_string()),
            Some(Known::Hash(_)) => Authority::File(cluster::act::authority_file(&name)),
        },
        credentials: cluster::act::credentials_file(&name),
        labels: cluster.node_labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        taints: cluster.node_taints.iter().map(ToString::to_string).collect(),
        cluster_dns: kubelet.cluster_dns.iter().map(ToString::to_string).collect(),
        cluster_domain: kubelet.cluster_domain.to_string(),
        node_ip: kubelet.node_ip.map(|address| address.to_string()),
        reserved: reserved.collect::<BTreeMap<_, _>>(),
        config: kubelet.config.keys().clone(),
        log_max_bytes: settings.runtime.log_max_size.bytes(),
        log_max_files: settings.runtime.log_max_files,
        pods: pods.files,
    };
    (Some(wanted), pods.problems)
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
        assert_eq!((found.node.as_deref(), found.server.as_str()), (Some("node-1"), "https://a.example:6443"));
        assert_eq!(found.credentials, "/var/lib/ballast/clusters/prod/client.pem");
        assert_eq!(found.taints, ["example.com/gpu=true:NoSchedule"]);
        assert_eq!(found.reserved.keys().collect::<Vec<_>>(), ["cpu", "ephemeral-storage"]);
        // Not before its own pods are known: it would end them.
        assert_eq!(wanted(&settings, &[report], None).0.unwrap().node, None);
    }

    #[test]
    fn without_an_image_or_the_role_there_is_none() {
        let (found, problems) = wanted(&settings(CLUSTER), &[], None);
        assert!(found.is_none() && problems[0].contains("kubelet.image names none"), "{problems:?}");
        let (found, problems) = wanted(&settings("[kubelet]\nimage = \"r.example/kubelet:1\"\n"), &[], None);
        assert!(found.is_none() && problems.is_empty());
    }
}
