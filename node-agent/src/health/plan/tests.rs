//! Tables of healths and what follows from them.

use std::time::SystemTime;

use super::*;

const TIME: Duration = Duration::from_secs(300);

/// All is well, ten seconds into the trial.
fn healthy() -> (Observed, Trial) {
    let trial = Trial {
        uptime: Duration::from_secs(20),
        until: Some(Duration::from_secs(310)),
        has_esp: true,
        is_booted: Some(true),
        restarting_units: vec![],
        network_problem: None,
        var_problem: None,
        steady: Some(Steady { since: Duration::from_secs(10), restarts: 0 }),
        blessing: Blessing::New,
    };
    (Observed { failed_units: Some(vec![]), checks: vec![], trial: None }, trial)
}

fn check(name: &str, state: CheckState) -> Check {
    Check { name: name.to_owned(), modified: SystemTime::UNIX_EPOCH, state }
}

fn units(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|&name| name.into()).collect())
}

/// What is said in time and after it.
fn verdicts(runtime: Option<&str>, change: impl Fn(&mut Observed, &mut Trial)) -> [Verdict; 2] {
    [20, 310].map(|uptime| {
        let (mut observed, mut trial) = healthy();
        trial.uptime = Duration::from_secs(uptime);
        change(&mut observed, &mut trial);
        observed.trial = Some(trial);
        verdict(&observed, Runtime { problem: runtime, ..Runtime::default() }, TIME)
    })
}

#[test]
fn each_failed_unit_is_named() {
    let reasons_of = |failed_units| reasons(&Observed { failed_units, ..Observed::default() });
    assert_eq!(reasons_of(units(&[])), [""; 0]);
    assert_eq!(reasons_of(units(&["a.service", "b.mount"])), ["unit a.service failed", "unit b.mount failed"]);
    assert_eq!(reasons_of(None), [""; 0]);
}

#[test]
fn without_a_trial_there_is_no_verdict() {
    let (mut observed, _) = healthy();
    observed.failed_units = units(&["a.service"]);
    assert_eq!(
        verdict(&observed, Runtime { problem: Some("it is down"), ..Runtime::default() }, TIME),
        Verdict::NotOnTrial
    );
}

#[test]
fn a_trial_begins_with_its_time_before_any_verdict() {
    let begins = Verdict::Begins { until: Duration::from_secs(320) };
    let [first, _] = verdicts(Some("it is down"), |_, trial| trial.until = None);
    assert_eq!(first, begins);
}

#[test]
fn what_is_missing_is_waited_for_and_then_fails_the_release() {
    type Change = fn(&mut Observed, &mut Trial);
    let table: &[(Option<&str>, Change, &str)] = &[
        (Some("container runtime does not answer"), |_, _| {}, "container runtime does not answer"),
        (None, |observed, _| observed.failed_units = units(&["a.service"]), "unit a.service failed"),
        (None, |observed, _| observed.failed_units = None, "systemd does not answer"),
        (None, |_, trial| trial.is_booted = Some(false), "systemd is still starting units"),
        (None, |_, trial| trial.is_booted = None, "systemd is still starting units"),
        (
            None,
            |_, trial| trial.restarting_units = vec!["a.service".to_owned()],
            "unit a.service is restarted again and again",
        ),
        (None, |_, trial| trial.has_esp = false, "the boot entries cannot be seen: nothing is mounted on /efi"),
        (None, |_, trial| trial.network_problem = Some("no network".to_owned()), "no network"),
        (None, |_, trial| trial.var_problem = Some("/var is in memory".to_owned()), "/var is in memory"),
        (None, |observed, _| observed.checks = vec![check("db", CheckState::New)], "health check db has not ended"),
        (None, |observed, _| observed.checks = vec![check("db", CheckState::Running)], "health check db has not ended"),
        (
            None,
            |observed, _| {
                let reason = "db failed (exit status: 1): no answer".to_owned();
                let bad = check("db", CheckState::Failed { reason, is_due: false });
                observed.checks = vec![check("a", CheckState::Passed), bad];
            },
            "health check db failed (exit status: 1): no answer",
        ),
        (
            None,
            |_, trial| trial.blessing = Blessing::Failed { reason: "timed out".to_owned(), is_due: false },
            "blessing the boot entry failed: timed out",
        ),
        (
            Some("container runtime does not run: no socket"),
            |observed, _| observed.failed_units = units(&["a.service"]),
            "container runtime does not run: no socket; unit a.service failed",
        ),
    ];
    for (runtime, change, missing) in table {
        let expected = [
            Verdict::Waiting { for_what: (*missing).to_owned() },
            Verdict::Failed { reason: format!("it was not healthy in time: {missing}") },
        ];
        assert_eq!(verdicts(*runtime, change), expected);
    }
}

#[test]
fn what_does_not_count_fails_no_release() {
    type Change = fn(&mut Observed, &mut Trial);
    let table: &[Change] = &[
        |_, _| {},
        |observed, _| observed.failed_units = units(&["systemd-bless-boot.service", "run-r1.service"]),
        |observed, _| observed.checks = vec![check("a", CheckState::Passed), check("b", CheckState::NotExecutable)],
        |_, trial| trial.blessing = Blessing::Running,
        |_, trial| trial.blessing = Blessing::Done,
    ];
    for change in table {
        // Healthy at the last moment is healthy.
        assert_eq!(verdicts(None, change), [Verdict::Good, Verdict::Good]);
    }
}

#[test]
fn healthy_for_a_moment_is_not_healthy() {
    let verdicts_with = |steady, uptime: u64, restarts| {
        let (mut observed, mut trial) = healthy();
        (trial.steady, trial.uptime) = (steady, Duration::from_secs(uptime));
        observed.trial = Some(trial);
        verdict(&observed, Runtime { restarts, ..Runtime::default() }, TIME)
    };
    let settles = |since, restarts, left| Verdict::Settles {
        steady: Steady { since: Duration::from_secs(since), restarts },
        left: Duration::from_secs(left),
    };
    let since_ten = Some(Steady { since: Duration::from_secs(10), restarts: 1 });
    assert_eq!(verdicts_with(None, 10, 1), settles(10, 1, 10));
    assert_eq!(verdicts_with(since_ten, 17, 1), settles(10, 1, 3));
    assert_eq!(verdicts_with(since_ten, 20, 1), Verdict::Good);
    // The runtime was restarted between two probes at which it answered.
    assert_eq!(verdicts_with(since_ten, 20, 2), settles(20, 2, 10));
    // The time is over, but it became healthy before that.
    assert_eq!(
        verdicts_with(Some(Steady { since: Duration::from_secs(305), restarts: 1 }), 311, 1),
        settles(305, 1, 4)
    );
}

#[test]
fn a_blessing_is_tried_again_as_long_as_there_is_time() {
    let [in_time, late] = verdicts(None, |_, trial| {
        trial.blessing = Blessing::Failed { reason: "busy".to_owned(), is_due: true };
    });
    assert_eq!(in_time, Verdict::Good);
    assert!(matches!(late, Verdict::Failed { .. }), "{late:?}");
}

#[test]
fn checks_are_run_when_they_are_new_or_failed_a_while_ago() {
    let failed = |is_due| CheckState::Failed { reason: String::new(), is_due };
    let states = [
        ("new", CheckState::New),
        ("due", failed(true)),
        ("fresh", failed(false)),
        ("runs", CheckState::Running),
        ("good", CheckState::Passed),
        ("text", CheckState::NotExecutable),
    ];
    let (mut observed, _) = healthy();
    observed.checks = states.into_iter().map(|(name, state)| check(name, state)).collect();
    let names: Vec<&str> = due_checks(&observed).iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["new", "due"]);
    assert_eq!(reasons(&observed).last().unwrap(), "health check text is not executable, so it is not run");
}

#[test]
fn a_kubelet_that_worked_before_counts() {
    let (mut observed, mut trial) = healthy();
    trial.until = Some(trial.uptime + TIME);
    observed.trial = Some(trial);
    let runtime = Runtime { kubelet: Some("kubelet 1.33.0, which worked before, is silent"), ..Runtime::default() };
    let Verdict::Waiting { for_what } = verdict(&observed, runtime, TIME) else { panic!() };
    assert!(for_what.contains("kubelet 1.33.0"), "{for_what}");
}
