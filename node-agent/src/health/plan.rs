//! What the node's health means for the status, and for a release on trial.

use std::time::Duration;

use super::model::{Blessing, Check, CheckState, Observed, Runtime, Steady, Trial, Verdict};

/// Units whose failure says nothing about the release. All others count.
const NOT_COUNTING: [&str; 4] = [
    // The verdict's own instruments
    "systemd-bless-boot.service",
    "trial-watch.service",
    // A person's shell on a console that may not be there
    "debug-shell.service",
    // Of a version that the OS does not bring: it is on trial by itself
    "ballast-kubelet.service",
];

/// How long a release on trial has to be healthy, at each probe: as long as the runtime's probes are apart, so that one that hangs
/// between two of them is found out.
const STEADY: Duration = Duration::from_secs(10);

/// What `systemd-run` makes for a person.
const TRANSIENT: &str = "run-";

/// One sentence for each thing that is wrong.
pub fn reasons(observed: &Observed) -> Vec<String> {
    let mut reasons: Vec<String> = observed.failed_units.iter().flatten().map(|name| failed(name)).collect();
    reasons.extend(observed.checks.iter().filter_map(check_problem));
    if let Some(trial) = &observed.trial {
        reasons.extend(trial.network_problem.clone());
        reasons.extend(blessing_problem(&trial.blessing));
    }
    reasons
}

/// What becomes of the release that runs; a trial that begins now gets `time`.
pub fn verdict(observed: &Observed, runtime: Runtime<'_>, time: Duration) -> Verdict {
    let Some(trial) = &observed.trial else { return Verdict::NotOnTrial };
    let Some(until) = trial.until else { return Verdict::Begins { until: trial.uptime + time } };
    let mut missing: Vec<String> = runtime.problem.map(str::to_owned).into_iter().collect();
    missing.extend(runtime.kubelet.map(str::to_owned));
    missing.extend(missing_of_system(observed, trial));
    missing.extend(observed.checks.iter().filter_map(missing_of_check));
    if missing.is_empty() {
        match &trial.blessing {
            Blessing::New => return settled(trial, runtime.restarts),
            Blessing::Running | Blessing::Done => return Verdict::Good,
            Blessing::Failed { is_due: true, .. } if trial.uptime < until => return Verdict::Good,
            Blessing::Failed { .. } => missing.extend(blessing_problem(&trial.blessing)),
        }
    }
    let missing = missing.join("; ");
    if trial.uptime < until {
        Verdict::Waiting { for_what: missing }
    } else {
        Verdict::Failed { reason: format!("it was not healthy in time: {missing}") }
    }
}

/// Healthy at this probe; also at those before?
fn settled(trial: &Trial, restarts: u32) -> Verdict {
    let begins = Steady { since: trial.uptime, restarts };
    let steady = trial.steady.filter(|steady| steady.restarts == restarts).unwrap_or(begins);
    match (steady.since + STEADY).checked_sub(trial.uptime) {
        None | Some(Duration::ZERO) => Verdict::Good,
        Some(left) => Verdict::Settles { steady, left },
    }
}

/// The checks to run now.
pub fn due_checks(observed: &Observed) -> Vec<&Check> {
    let is_due = |check: &&Check| matches!(check.state, CheckState::New | CheckState::Failed { is_due: true, .. });
    observed.checks.iter().filter(is_due).collect()
}

fn missing_of_system(observed: &Observed, trial: &Trial) -> Vec<String> {
    let mut missing = Vec::new();
    match &observed.failed_units {
        None => missing.push("systemd does not answer".to_owned()),
        Some(names) => missing.extend(names.iter().filter(|name| counts(name)).map(|name| failed(name))),
    }
    let restarting = trial.restarting_units.iter().filter(|name| counts(name));
    missing.extend(restarting.map(|name| format!("unit {name} is restarted again and again")));
    if let (Some(_), Some(false) | None) = (&observed.failed_units, trial.is_booted) {
        missing.push("systemd is still starting units".to_owned());
    }
    if !trial.has_esp {
        missing.push("the boot entries cannot be seen: nothing is mounted on /efi".to_owned());
    }
    missing.extend(trial.network_problem.clone());
    missing.extend(trial.var_problem.clone());
    missing
}

fn counts(unit: &str) -> bool {
    !NOT_COUNTING.contains(&unit) && !unit.starts_with(TRANSIENT)
}

fn failed(unit: &str) -> String {
    format!("unit {unit} failed")
}

/// A file that is not executable is reported, and fails no release: it was there before.
fn missing_of_check(check: &Check) -> Option<String> {
    match &check.state {
        CheckState::NotExecutable | CheckState::Passed => None,
        CheckState::New | CheckState::Running => Some(format!("health check {} has not ended", check.name)),
        CheckState::Failed { .. } => check_problem(check),
    }
}

fn check_problem(check: &Check) -> Option<String> {
    match &check.state {
        CheckState::New | CheckState::Running | CheckState::Passed => None,
        CheckState::NotExecutable => Some(format!("health check {} is not executable, so it is not run", check.name)),
        CheckState::Failed { reason, .. } => Some(format!("health check {reason}")),
    }
}

fn blessing_problem(blessing: &Blessing) -> Option<String> {
    match blessing {
        Blessing::New | Blessing::Running | Blessing::Done => None,
        Blessing::Failed { reason, .. } => Some(format!("blessing the boot entry failed: {reason}")),
    }
}

#[cfg(test)]
mod tests;
