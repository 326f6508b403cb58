//! What the loop does about pods: reads what shall run and what runs, starts the jobs that bring one to the other, keeps room.

use super::{Agent, Observed};
use crate::{
    pods::{self, desired::Desired, disk::model::Marks, logs::LogLimits, plan::Plan},
    settings::model::{Runtime, Settings},
};

impl Agent {
    /// What shall run and what runs; None while the runtime has no socket.
    pub(super) async fn observe_pods(&mut self, settings: &Settings) -> Option<(Desired, pods::model::Observed)> {
        let cri = self.runtime.cri()?;
        let observed = self.pods.observe(&self.host, cri, &mut self.jobs, marks(settings)).await;
        let observed = self.warnings.note(observed)?;
        let manifests =
            self.host.read("reading the manifests of pods", |host| Ok(pods::observe::manifests(host))).await;
        let desired = pods::desired::desired(self.warnings.note(manifests)?, &observed.sandboxes);
        Some((desired, observed))
    }

    /// Begins what `plan` calls for; nothing is waited for.
    pub(super) fn act_on_pods(&mut self, observed: &Observed, plan: Option<&Plan>) {
        if let (Some((desired, pods)), Some(plan), Some(cri)) = (&observed.pods, plan, self.runtime.cri()) {
            self.jobs.rotate_logs(pods, cri, log_limits(observed.settings()));
            let is_ending = observed.is_ending;
            self.jobs.give_up(|key, uid| !is_ending && desired.pods.get(key).is_some_and(|pod| pod.uid == uid));
            self.jobs.follow_resolver(desired, pods);
            self.jobs.limit_pids(observed.settings().runtime.pids_limit);
            for job in &plan.jobs {
                self.jobs.start(job.clone(), cri);
            }
            self.jobs.probe(&plan.probed, desired, cri);
            self.jobs.clean(plan.leftovers.clone());
            let kept = self.jobs.keep_room(&plan.disk, cri);
            self.warnings.note(kept);
        }
    }
}

/// When logs of containers are begun anew.
fn log_limits(settings: &Settings) -> LogLimits {
    let Runtime { log_max_size, log_max_files, .. } = settings.runtime;
    LogLimits { max_bytes: log_max_size.bytes(), max_files: log_max_files }
}

/// When images that nothing uses are removed.
fn marks(settings: &Settings) -> Marks {
    let images = &settings.images;
    Marks {
        high_percent: images.gc_high_percent,
        low_percent: images.gc_low_percent,
        minimum_age: images.gc_minimum_age,
    }
}
