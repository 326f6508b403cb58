//! What to do about the kubelet: a pure function of what is wanted and what was observed.

pub mod render;
mod skew;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ballast_client::backoff;

use super::model::{
    ENVIRONMENT, FETCH_AGAIN, Failed, Health, MAX_ENDS, Memory, NOT_STARTED, Observed, PODS, Plan, SETTLED,
    SILENCES_TO_KILL, State, Status, Step, TRIAL, UNIT, Unit, UnitState, Version, Wanted,
};

/// What `observed` calls for. `has_role`: whether the settings say that a kubelet runs here at all; `wanted` is None without, or if something
/// that it needs is not known. `now`: seconds since 1970.
pub fn plan(wanted: Option<&Wanted>, has_role: bool, observed: &Observed, now: u64) -> Plan {
    let memory = &observed.memory;
    let Some((wanted, image)) = wanted.and_then(|wanted| Some((wanted, image(wanted, memory)?))) else {
        // A mistake in the settings, or a memory that was damaged, ends no pods.
        let step = if has_role { None } else { ending(observed) };
        return Plan { step, ..Plan::default() };
    };
    let resolved = memory.wanted.as_ref().filter(|_| memory.image.as_deref() == Some(image));
    let mut problems = Vec::new();
    // Before the first fetch of another image what ran so far runs on.
    let Choice { runs, waits, stuck, is_refused } = choose(wanted, observed, image, resolved, &mut problems);
    let fetch = || fetch(observed, image, resolved);
    let (step, state) = match &runs {
        Some(runs) => {
            let (step, state) = run(wanted, observed, runs, now, &mut problems);
            (step.or_else(fetch), state)
        }
        None => {
            let state = match resolved {
                None => State::Fetching,
                Some(_) if is_refused => State::Refused,
                Some(_) => State::Failed,
            };
            // One that failed is not left to be restarted by systemd for ever.
            let is_up = observed.unit.is_some_and(|unit| unit.state != UnitState::Stopped);
            (if is_up && resolved.is_some() { Some(Step::Stop) } else { fetch() }, state)
        }
    };
    let named = wanted.steered.as_ref().filter(|named| **named != memory.steered);
    let step = named.map(|named| Step::Steer { image: named.clone() }).or(step);
    let is_on_trial = runs.is_some() && memory.good.as_ref() != runs.as_ref();
    Plan { step, problems, status: Some(Status { runs, state, waits, stuck, is_on_trial }) }
}

/// The image that is wanted: the cluster's, or that of the settings. If both name none any more, it is still the last one: nobody ends all pods of a
/// node by making its NodeOS anew.
pub fn image<'a>(wanted: &'a Wanted, memory: &'a Memory) -> Option<&'a str> {
    let steered = wanted.steered.as_ref().unwrap_or(&memory.steered);
    steered.as_deref().or(wanted.image.as_deref()).or(memory.image.as_deref())
}

/// Without the role: the unit ends first, or it would begin its pods anew; then they do.
fn ending(observed: &Observed) -> Option<Step> {
    match (observed.unit?.state, &observed.sandboxes) {
        (UnitState::Active | UnitState::Changing, _) => Some(Step::Stop),
        (UnitState::Stopped, None) => None,
        (UnitState::Stopped, Some(left)) if !left.is_empty() => (!observed.is_busy).then_some(Step::EndPods),
        (UnitState::Stopped, Some(_)) => (!observed.files.is_empty()).then_some(Step::Clear),
    }
}

/// Which version is to run, and why it is not another.
#[derive(Debug, Default)]
struct Choice {
    runs: Option<Version>,
    waits: Option<Version>,
    stuck: Option<Failed>,
    is_refused: bool,
}

/// The version that is wanted, or the last good one if that failed, is not here, may not run, or waits.
fn choose(
    wanted: &Wanted,
    observed: &Observed,
    image: &str,
    resolved: Option<&Version>,
    problems: &mut Vec<String>,
) -> Choice {
    let memory = &observed.memory;
    let due = due(memory, image, resolved);
    if let Some(failure) = observed.fetch_failure.as_ref().filter(|failure| due == Some(failure.image.as_str())) {
        problems.push(format!("kubelet {} cannot be fetched: {}", failure.image, failure.message));
    }
    let failure_of = |version: &Version| memory.failure_of(&version.digest, &render::fingerprint(wanted, version));
    let good = memory.good.as_ref().filter(|good| failure_of(good).is_none());
    let instead = || match good {
        Some(good) => format!("{} runs in its place", good.version),
        None => "no other is here".to_owned(),
    };
    let Some(resolved) = resolved else { return Choice { runs: good.cloned(), ..Choice::default() } };
    if let Some(failure) = failure_of(resolved) {
        problems.push(format!(
            "kubelet {} failed on this node ({}), {}; name another, or put right what it reads of [kubelet]",
            failure.version,
            failure.reason,
            instead()
        ));
        return Choice { runs: good.cloned(), stuck: Some(failure.clone()), ..Choice::default() };
    }
    if let Some(reason) = skew::refusal(&resolved.version, wanted.server_version.as_deref()) {
        let version = &resolved.version;
        // What has proved itself here is not ended: its pods run.
        if good == Some(resolved) {
            problems.push(format!("kubelet {version} may not speak to the API server: {reason}"));
            return Choice { runs: Some(resolved.clone()), ..Choice::default() };
        }
        problems.push(format!("kubelet {version} may not speak to the API server: {reason}; {}", instead()));
        let Version { digest, version } = resolved.clone();
        let stuck = Some(Failed { digest, version, reason, at: 0, configuration: String::new() });
        return Choice { runs: good.cloned(), stuck, is_refused: true, ..Choice::default() };
    }
    match good.filter(|good| wanted.server.is_some() && must_wait(observed, good, resolved)) {
        Some(good) => Choice { runs: Some(good.clone()), waits: Some(resolved.clone()), ..Choice::default() },
        None => Choice { runs: Some(resolved.clone()), ..Choice::default() },
    }
}

/// Whether pods have to leave before `resolved` runs in the place of `good`: what they are made of differs between minor versions.
fn must_wait(observed: &Observed, good: &Version, resolved: &Version) -> bool {
    let minors = (render::minor(&good.version), render::minor(&resolved.version));
    let is_patch = minors.0.is_some() && minors.0 == minors.1;
    let is_begun = [rendered(observed), observed.permitted.as_deref()].contains(&Some(&resolved.digest));
    good.digest != resolved.digest && !is_patch && !is_begun
}

/// The image that is to be fetched: what was found damaged, or `image` if it was not fetched yet.
fn due<'a>(memory: &'a Memory, image: &'a str, resolved: Option<&Version>) -> Option<&'a str> {
    let damaged = memory.damaged.as_ref().map(|damaged| memory.sources.get(damaged).map_or(image, String::as_str));
    damaged.or_else(|| resolved.is_none().then_some(image))
}

/// A fetch, if there is one to do and it is time for it.
fn fetch(observed: &Observed, image: &str, resolved: Option<&Version>) -> Option<Step> {
    let image = due(&observed.memory, image, resolved)?;
    let failure = observed.fetch_failure.as_ref().filter(|failure| failure.image == image);
    let waits = failure.is_some_and(|failure| failure.ago < back_off(failure.count));
    (!observed.is_busy && !waits).then(|| Step::Fetch { image: image.to_owned() })
}

/// How long after the last of `count` failures in a row it is tried again.
fn back_off(count: u32) -> Duration {
    let (first, longest) = FETCH_AGAIN;
    backoff::doubled(first, longest, count)
}

/// What `runs` needs, and how it is.
fn run(
    wanted: &Wanted,
    observed: &Observed,
    runs: &Version,
    now: u64,
    problems: &mut Vec<String>,
) -> (Option<Step>, State) {
    let Some(unit) = observed.unit else { return (None, State::Starting) };
    let may_begin = observed.has_credentials || wanted.server.is_none();
    let Some(node) = wanted.node.as_ref().filter(|_| may_begin) else {
        return (None, State::WaitingForCluster);
    };
    let files = render::files(wanted, node, runs, observed.serving.as_deref());
    let is_of_now = |name: &String| files.get(name) == observed.files.get(name);
    let is_pod = |name: &String| name.starts_with(&format!("{PODS}/"));
    let names = || files.keys().chain(observed.files.keys());
    if !names().filter(|name| !is_pod(name)).all(is_of_now) {
        return (Some(Step::Start { files }), State::Starting);
    }
    let is_on_trial = observed.memory.good.as_ref() != Some(runs);
    let fail = |reason: String| {
        let Version { digest, version } = runs.clone();
        let configuration = render::fingerprint(wanted, runs);
        Some(Step::Fail(Failed { digest, version, reason, at: now, configuration }))
    };
    if unit.state == UnitState::Stopped && observed.started.is_some() && unit.exit_status == NOT_STARTED {
        problems.push(format!(
            "kubelet {} was not started: what lies on the disk is not what was signed; it is fetched anew",
            runs.version
        ));
        let is_noted = observed.memory.damaged.as_ref() == Some(&runs.digest);
        // What a disk damages again and again is not fetched for ever in one go.
        let waits = observed.mended.is_some_and(|(ago, count)| ago < back_off(count));
        let mend = || Step::Mend { digest: runs.digest.clone() };
        return ((!observed.is_busy && !is_noted && !waits).then(mend), State::Fetching);
    }
    if is_on_trial && unit.restarts >= MAX_ENDS {
        return (
            fail(format!("it ended {} times, at last with status {}", unit.restarts, unit.exit_status)),
            State::Failed,
        );
    }
    if unit.restarts >= MAX_ENDS && observed.health.healthy_for.is_none() {
        problems.push(format!(
            "kubelet {} ended {} times, at last with status {}: see journalctl --unit={UNIT}, and put right what it reads of [kubelet]",
            runs.version, unit.restarts, unit.exit_status
        ));
    }
    let healthy = observed.health.healthy_for;
    if is_on_trial && healthy.is_none() && observed.started.is_some_and(|started| started > TRIAL) {
        return (fail(format!("it was not healthy within {} s", TRIAL.as_secs())), State::Failed);
    }
    if unit.state == UnitState::Stopped {
        return (Some(Step::Start { files }), State::Starting);
    }
    let render = || (!names().all(is_of_now)).then(|| Step::Render { files: files.clone() });
    match (unit, healthy) {
        (Unit { state: UnitState::Active, .. }, Some(time)) if is_on_trial => {
            let settles = (time >= SETTLED).then(|| Step::Good(runs.clone()));
            (settles.or_else(render), State::Trial)
        }
        (Unit { state: UnitState::Active, .. }, Some(_)) => (render(), State::Healthy),
        (Unit { state: UnitState::Active, main_pid, .. }, None) => {
            silent(observed.health, main_pid, observed, problems)
        }
        (Unit { .. }, _) => (render(), State::Starting),
    }
}

fn silent(health: Health, pid: u32, observed: &Observed, problems: &mut Vec<String>) -> (Option<Step>, State) {
    let Health { silences, .. } = health;
    if silences == 0 {
        // Nobody has asked it yet.
        return (None, State::Starting);
    }
    problems.push(format!("the kubelet does not answer on its healthz ({silences} times in a row)"));
    let is_due = silences >= SILENCES_TO_KILL && pid != 0 && observed.killed_pid != Some(pid);
    (is_due.then_some(Step::Kill { pid }), State::Silent)
}

/// Which versions stay in the store: the wanted one, the last good one, and the one that what is rendered starts.
pub fn kept(memory: &Memory, rendered: Option<&str>) -> Vec<String> {
    let known = memory.wanted.iter().chain(&memory.good).map(|version| version.digest.as_str());
    let mut kept: Vec<String> = known.chain(rendered).map(str::to_owned).collect();
    kept.sort();
    kept.dedup();
    kept
}

/// The version that what is rendered starts.
pub fn rendered(observed: &Observed) -> Option<&str> {
    observed.files.get(ENVIRONMENT).and_then(|text| text.lines().find_map(|line| line.strip_prefix("ARTIFACT=")))
}

/// How long the loop may wait before the next look.
pub fn wait(observed: &Observed) -> Duration {
    let is_asked = observed.unit.is_some_and(|unit| unit.state == UnitState::Active);
    if is_asked && observed.health.healthy_for.is_none() { super::probe::AGAIN } else { super::probe::EVERY }
}
