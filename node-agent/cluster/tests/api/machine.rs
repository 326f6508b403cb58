//! A machine: facts that a test sets, orders that it sees.

use std::{path::Path, sync::Arc};

use ballast_cluster::{
    Membership,
    model::{Authority, Capacity, Config, Credentials, Facts, Order, Os, Release, Report, Role, Secret},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::server::Api;

pub(crate) const NODE: &str = "/api/v1/nodes/n1";
pub(crate) const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1";
pub(crate) const NODE_OS: &str = "/apis/os.ballast.dev/v1alpha1/nodeoses/n1";
pub(crate) const CSRS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

pub(crate) struct Machine {
    pub(crate) facts: watch::Sender<Arc<Facts>>,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// To the same place, so that a test can fill it.
    pub(crate) ordering: mpsc::Sender<Order>,
    pub(crate) report: watch::Receiver<Report>,
    task: JoinHandle<()>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The whole way to `api` in one text, with a token.
pub(crate) fn kubeconfig(api: &Api) -> Credentials {
    let text = format!(
        "contexts: [{{name: a, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: t0ken}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}', certificate-authority-data: {}}}}}]\n",
        api.url,
        STANDARD.encode(&api.ca)
    );
    Credentials::Kubeconfig(Secret::new(text))
}

pub(crate) fn config(api: &Api) -> Config {
    Config {
        name: "test".to_owned(),
        servers: vec![api.url.clone()],
        authority: Authority::Pem(api.ca.clone()),
        credentials: Credentials::Token(Secret::new("abcdef.0123456789abcdef")),
        role: Role::Node,
        pool: "default".to_owned(),
        node_name: None,
        node_labels: std::collections::BTreeMap::new(),
        node_taints: Vec::new(),
    }
}

pub(crate) fn facts() -> Facts {
    let booted =
        Release { digest: format!("sha256:{}", "a".repeat(64)), version: "1".to_owned(), ..Release::default() };
    Facts {
        hostname: "N1".to_owned(),
        boot_id: "boot-1".to_owned(),
        clock_is_set: true,
        capacity: Capacity { cpus: 2, memory_bytes: 2 << 30, storage_bytes: 8 << 30, pids_max: 4096, pods: 110 },
        ready: Ok(()),
        os: Os { booted, ..Os::default() },
        ..Facts::default()
    }
}

impl Machine {
    pub(crate) fn start(config: Config, folder: &Path, facts: Facts) -> Self {
        let (facts, facts_in) = watch::channel(Arc::new(facts));
        let (orders_out, orders) = mpsc::channel(4);
        let (report_out, report) = watch::channel(Report::default());
        let task = Membership::start(config, folder.to_owned(), facts_in, orders_out.clone(), report_out);
        Self { facts, orders, ordering: orders_out, report, task }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Facts)) {
        self.facts.send_modify(|facts| change(Arc::make_mut(facts)));
    }

    pub(crate) async fn until(&mut self, what: &str, is_so: impl FnMut(&Report) -> bool) {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(30), self.report.wait_for(is_so)).await;
        let is_so = waited.is_ok_and(|found| found.is_ok());
        assert!(is_so, "{what}: not within 30 s; the report: {:#?}", self.report.borrow());
    }
}
