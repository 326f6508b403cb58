//! V: services crash, hang and fail; pods run on.

use anyhow::{Context, ensure};
use qemu_vm::containers;
use qemu_vm::invariants;
use qemu_vm::lab::Options;
use qemu_vm::scenario::{Scenario, unit};

/// Does `harm` to containerd and expects it back, restarted once more, with the very same containers running.
fn comes_back(name: &str, harm: &str, within_secs: u64) {
    Scenario::run(name, |scenario| {
        let mut node = scenario.restored()?;
        let restarts = node.status()?.runtime.restarts;
        let before = containers::running(&mut node.guest)?;
        ensure!(before.len() >= 2, "the canary and its sandbox do not run: {before:?}");
        let pid = node.guest.ask("systemctl show --property=MainPID --value containerd.service")?;
        node.guest.ask(&format!("kill {harm} {pid}"))?;

        let what = format!("containerd is back after kill {harm}");
        let back = node.status_when(&what, within_secs, |status| status.ready && status.runtime.restarts > restarts)?;
        ensure!(back.runtime.restarts == restarts + 1, "it was restarted {} times", back.runtime.restarts - restarts);
        let now = node.guest.ask("systemctl show --property=MainPID --value containerd.service")?;
        ensure!(now != pid, "containerd is still process {pid}");
        let after = containers::running(&mut node.guest)?;
        ensure!(before == after, "the containers were {before:?}, now they are {after:?}");
        let canary = back.pod("canary").context("the canary is gone from the status")?;
        ensure!(
            canary.containers.iter().all(|container| container.restarts == 0),
            "the canary was restarted: {canary:?}"
        );
        invariants::check(&mut node, &scenario.lab.image)?;
        node.power_off()
    });
}

#[test]
fn v01_containerd_crashes_and_pods_run_on() {
    comes_back("v01", "-KILL", 30);
}

/// Two missed probes of five seconds, ten seconds apart, then the restart.
#[test]
fn v02_containerd_hangs_and_is_restarted() {
    comes_back("v02", "-STOP", 90);
}

#[test]
fn v09_failed_unit_shows_as_a_reason() {
    Scenario::run("v09", |scenario| {
        let broken = unit("broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")?;
        let mut node = scenario.healthy(&Options { credentials: vec![broken], ..Options::default() })?;
        let started = node.guest.run(&["systemctl", "start", "broken.service"])?;
        ensure!(started.status != 0, "/bin/false succeeded");
        let says = |reasons: &[String]| reasons.iter().any(|reason| reason.contains("broken.service"));
        let status = node.status_when("the failed unit is a reason", 30, |status| says(&status.reasons))?;
        ensure!(status.ready && status.runtime.ready, "a failed unit is no reason not to run pods: {status:?}");
        invariants::check_but(&mut node, &scenario.lab.image, &["broken.service"])?;

        node.guest.ask("systemctl reset-failed broken.service")?;
        node.status_when("the reason goes with the failure", 30, |status| !says(&status.reasons))?;
        node.power_off()
    });
}
