//! The end of a pass: what it saw and did, for systemd, the socket and the clusters.

use std::time::SystemTime;

use super::{Agent, Observed, Plan, READY_TIMEOUT, cluster::Known, releases, unix_secs};
use crate::{
    clients::{damage, identity, proc},
    report::{
        compose::{self, Facts},
        console,
        exec::shell,
        reset,
        status::{Node, not_ready_line, summary},
    },
    storage, update,
};

impl Agent {
    /// Publishes what this pass saw and did.
    pub(super) async fn report(&mut self, observed: Observed, plan: Plan) {
        let Observed { runtime, health, update, pods, kubelet, settings: read, .. } = observed;
        if let Some(read) = &read {
            let served = self.metrics.serve_root();
            self.warnings.note(served);
            let served = self.api.serve(&read.settings.api).await;
            self.warnings.note(served);
            let served = self.metrics.serve_others(&read.settings.metrics);
            self.warnings.note(served);
        }
        if let (Some((desired, _)), Some(plan)) = (pods, plan.pods) {
            self.last = Some((desired, plan));
        }
        let mut problems = self.init_problems.clone();
        problems.extend(plan.kubelet.problems.iter().cloned());
        problems.extend(self.storage.problem().await);
        problems.extend(self.warnings.note(storage::observe::var_problem(&self.host)).flatten());
        problems.extend(self.update.problems());
        problems.extend(self.systemd.problem());
        problems.extend(self.power.problem());
        problems.extend(damage::reported(&self.host));
        problems.extend(reset::pending(&self.host));
        problems.extend(shell::open_ones(&self.host));
        if let (Some(read), Some(update)) = (&read, &update) {
            problems.extend(update::plan::arguments::reason(update, &releases::arguments(&read.settings)));
        }
        let settings = self.show_settings(read.as_deref());
        self.settings.problems().into_iter().for_each(|problem| self.warnings.report(problem));
        problems.extend(self.warnings.take());
        // While the runtime is unreachable its pods run on, as they were when it was last seen.
        let pods = self.last.as_ref().map_or(&[][..], |(desired, plan)| {
            problems.extend(desired.problems.iter().cloned());
            problems.extend(plan.disk_problem.iter().cloned());
            &plan.pods
        });
        let reports = self.memberships.reports();
        let status = compose::status(Facts {
            os_id: &self.os.id,
            os_version: &self.os.version,
            node: Node {
                hostname: proc::hostname(&self.host).unwrap_or_default(),
                machine_id: identity::machine_id(&self.host).unwrap_or_default(),
            },
            boot: self.boot.as_ref(),
            runtime: &runtime,
            health: health.as_ref(),
            update: update.as_ref(),
            pods,
            disk: self.jobs.disk_use(),
            clusters: &reports,
            kubelet: super::kubelet::shown(kubelet.as_ref(), &plan.kubelet),
            settings,
            api: self.api.shown(),
            going_down: self.power.shown(),
            problems,
            now: unix_secs(SystemTime::now()),
        });
        self.report_clusters(Known {
            runtime: &runtime,
            health: health.as_ref(),
            update: update.as_ref(),
            settings_problems: read
                .iter()
                .flat_map(|read| &read.problems)
                .chain(self.settings.effects())
                .map(ToString::to_string)
                .collect(),
            hostname_is_set: read.as_ref().is_some_and(|read| read.settings.hostname.is_some()),
            status: &status,
            reports: &reports,
            kubelet: super::kubelet::hosted(kubelet.as_ref(), &plan.kubelet),
        })
        .await;
        if status.ready || self.started.elapsed() >= READY_TIMEOUT {
            self.notifier.ready();
        }
        if !self.is_overdue && self.started.elapsed() >= READY_TIMEOUT {
            self.is_overdue = true;
            if let Some(line) = not_ready_line(&status) {
                self.warnings.note(console::print(&self.host, &line));
            }
        }
        self.notifier.status(&summary(&status));
        if self.boot.is_some() || self.is_overdue {
            let shown = self.terminal.show(&self.host, &status);
            self.warnings.note(shown);
        }
        self.status.send_replace(status);
        self.releases.send_replace(compose::releases(update.as_ref(), self.update.running()));
    }
}
