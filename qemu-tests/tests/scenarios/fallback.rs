//! R: a release that does not prove itself is left, exactly after its tries, for the last good one, and is remembered.

use anyhow::{Context, Result, ensure};
use qemu_vm::console::Line;
use qemu_vm::installed::{Installed, TRIES};
use qemu_vm::node::{Node, READY_LINE};
use qemu_vm::release::{Release, Written};
use qemu_vm::releases::{Ended, Releases};
use qemu_vm::scenario::Scenario;

use crate::upgrade::{runs, settings};

/// A node that was upgraded to a broken release and came back by itself.
struct Fallen<'a> {
    host: Installed<'a>,
    node: Node,
    bad: Written,
    name: String,
}

/// What the console of a boot that fails shows.
#[cfg_attr(not(feature = "soak"), expect(dead_code, reason = "some are soak's alone"))]
#[derive(Clone, Copy)]
enum Console {
    /// This, in a line.
    Says(&'static str),
    /// The release gets READY, and is found bad for another reason.
    Ready,
    /// It never gets READY.
    NeverReady,
    /// It gets READY or not, by who is faster; the reason that is remembered is held in its place.
    EitherWay,
}

impl Console {
    fn check(self, lines: &[Line]) -> Result<()> {
        let has = |text: &str| lines.iter().any(|line| line.text.contains(text));
        match self {
            Self::Says(text) => {
                ensure!(!text.is_empty() && has(text), "the console of a failed boot has no {text:?}");
            }
            Self::Ready => ensure!(has(&format!("ballast {VERSION}{READY_LINE}")), "a failed boot was not READY first"),
            Self::NeverReady => ensure!(!has(READY_LINE), "a failed boot was READY"),
            Self::EitherWay => {}
        }
        Ok(())
    }
}

/// What the broken release is called.
const VERSION: &str = "20261122.1";

/// Upgrades to what `broken` makes; each boot that fails, of which there are `tries`, has the `console`.
fn falls_back(
    name: &str,
    tries: usize,
    console: Console,
    prepare: impl FnOnce(&mut Installed<'_>, &mut Node) -> Result<()>,
    broken: impl FnOnce(Release) -> Result<Release>,
    after: impl FnOnce(&mut Fallen<'_>) -> Result<()>,
) {
    Scenario::run(name, |scenario| {
        let mut host = Installed::on(scenario)?;
        let (bad, bad_name) = host.publish(broken(host.release(VERSION)?)?)?;
        let mut node = host.restored()?;
        prepare(&mut host, &mut node)?;
        host.upgrade_and_reboot(node, &bad_name)?;
        if tries < TRIES {
            ensure!(tries == 1, "a release has {TRIES} tries, or one");
            host.leave_one_try()?;
        }
        let (node, failed) = host.boot_until_settled(tries)?;
        ensure!(failed.len() == tries, "R16: {} boots failed, not {tries}", failed.len());
        for lines in &failed {
            console.check(lines)?;
        }
        let mut fallen = Fallen { host, node, bad, name: bad_name };
        fallen.is_remembered()?;
        after(&mut fallen)?;
        // The boot before the upgrade, the tries, and the one that is up.
        let boots = fallen.host.scenario.boots() as usize;
        ensure!(boots == tries + 2, "R16: {boots} boots, not {}", tries + 2);
        fallen.node.power_off()
    });
}

impl Fallen<'_> {
    /// R15: it is known to be bad, with a reason, and is not taken again.
    fn is_remembered(&mut self) -> Result<String> {
        let old = self.host.base.digest()?;
        runs(&mut self.node, &old)?;
        let releases = Releases::of(&mut self.node.guest)?;
        let bad = releases.failed.iter().find(|bad| bad.digest == self.bad.digest);
        let bad = bad.with_context(|| format!("R15: it is not remembered: {releases:?}"))?;
        ensure!(!bad.reason.is_empty() && bad.version == self.bad.version, "R15: remembered is {bad:?}");
        let why = Ended::of(&mut self.node.guest, &["upgrade", &self.name])?.failed(4, "refused").context("R15")?;
        ensure!(why.contains(&bad.reason) && why.contains("ballast allow"), "R15: the refusal says {why}");
        Ok(bad.reason.clone())
    }
}

fn nothing(_: &mut Installed<'_>, _: &mut Node) -> Result<()> {
    Ok(())
}

/// A release has five minutes to prove itself if nothing else is said. Less than two would fail a busy host.
fn two_minutes(_: &mut Installed<'_>, node: &mut Node) -> Result<()> {
    settings(&mut node.guest, "[health]\ndeadline = \"2min\"\n")
}

/// The kernel panics before userspace. Here the bad digest is also cleared: then it is taken again.
#[test]
fn r04_r15_r16_new_kernel_does_not_boot() {
    let cleared = |fallen: &mut Fallen<'_>| {
        Ended::of(&mut fallen.node.guest, &["allow", &fallen.bad.version])?.done()?;
        ensure!(Releases::of(&mut fallen.node.guest)?.failed.is_empty(), "R15: allowed, it is still bad");
        let done = Ended::of(&mut fallen.node.guest, &["upgrade", &fallen.name])?.done().context("R15: allowed")?;
        ensure!(done.changed, "R15: {done:?}");
        let next = Releases::of(&mut fallen.node.guest)?.next()?.digest.clone();
        ensure!(next.as_deref() == Some(&fallen.bad.digest), "R15: allowed and prepared, {next:?} boots next");
        Ended::of(&mut fallen.node.guest, &["fsck"])?.done().map(drop)
    };
    falls_back("r04_r15_r16", TRIES, Console::Says("Kernel panic"), nothing, Release::without_init, cleared);
}

#[test]
fn r07_required_unit_fails() {
    let broken = |release: Release| Ok(release.failing_unit());
    let named = |fallen: &mut Fallen<'_>| {
        let reason = fallen.is_remembered()?;
        ensure!(reason.contains("broken.service"), "R07: the reason does not name the unit: {reason}");
        Ok(())
    };
    falls_back("r07", 1, Console::Ready, two_minutes, broken, named);
}

/// Other ways to fail, on the same way back.
#[cfg(feature = "soak")]
mod soak {
    use std::time::Duration;

    use qemu_vm::credentials::Credential;
    use qemu_vm::deadline::Deadline;
    use qemu_vm::node::READY;
    use qemu_vm::qemu::machine::Network;

    use super::*;

    #[test]
    fn r05_r16_panic_early_in_userspace() {
        let broken = |release: Release| Ok(release.systemd_exits());
        falls_back("r05_r16", TRIES, Console::Says("Attempted to kill init"), nothing, broken, |_| Ok(()));
    }

    #[test]
    fn r08_containerd_hangs() {
        let broken = |release: Release| Ok(release.hanging_containerd());
        let named = |fallen: &mut Fallen<'_>| {
            let reason = fallen.is_remembered()?;
            ensure!(reason.contains("containerd") || reason.contains("runtime"), "R08: the reason is {reason}");
            Ok(())
        };
        falls_back("r08", 1, Console::EitherWay, two_minutes, broken, named);
    }

    #[test]
    fn r09_network_is_broken_by_the_new_release() {
        let wanted = |_: &mut Installed<'_>, node: &mut Node| {
            settings(&mut node.guest, "[health]\nnetwork = true\ndeadline = \"2min\"\n")
        };
        let broken = |release: Release| Ok(release.without_network());
        let named = |fallen: &mut Fallen<'_>| {
            let reason = fallen.is_remembered()?;
            ensure!(reason.contains("network"), "R09: the reason is {reason}");
            Ok(())
        };
        falls_back("r09", 1, Console::Ready, wanted, broken, named);
    }

    /// No agent decides on these: systemd's own timer gives them up. It is shortened here, since it has ten minutes.
    fn without_verdict(name: &str, broken: impl FnOnce(Release) -> Result<Release>) {
        let hurried = |host: &mut Installed<'_>, _: &mut Node| {
            let text = "[Timer]\nOnActiveSec=\nOnActiveSec=60s\n";
            host.options.credentials.push(Credential::new("systemd.unit-dropin.trial-watch.timer", text)?);
            Ok(())
        };
        falls_back(name, 1, Console::NeverReady, hurried, broken, |_| Ok(()));
    }

    #[test]
    fn r10_agent_crashes_at_start() {
        without_verdict("r10_crashes", |release| Ok(release.crashing_agent()));
    }

    #[test]
    fn r10_agent_is_missing() {
        without_verdict("r10_missing", |release| Ok(release.without_agent()));
    }

    /// A node whose only release is bad, on its last try. Another reboot would end in the same release: it stays up, says why, and nobody
    /// reboots it, trial-watch neither.
    #[test]
    fn r16_a_bad_release_stays_up_where_no_other_could_boot() {
        Scenario::run("r16_stays", |scenario| {
            let mut host = Installed::on(scenario)?;
            host.leave_one_try()?;
            host.options.network = Network::None;
            let settings = "[health]\nnetwork = true\ndeadline = \"30s\"\n";
            host.options.credentials.push(Credential::new("ballast.settings", settings)?);
            let mut node = host.scenario.start(&host.options)?;
            node.ready(Deadline::after(READY))?;
            node.status_when("why it stays up is said", 240, |status| {
                let said = |reason: &String| reason.contains("network") && reason.contains("so this one stays up");
                status.ready && status.reasons.iter().any(said)
            })?;
            // The watch lets the agent decide until then, and a minute more.
            let is_over = "read -r now _ </proc/uptime && read -r until </run/ballast/trial-until && \
                           test \"${now%%.*}\" -gt \"$((until + 61))\" && echo over || echo not yet";
            let over = Deadline::secs(300).poll(Duration::from_secs(5), || {
                Ok::<_, anyhow::Error>((node.guest.ask(is_over)?.trim() == "over").then_some(()))
            })?;
            over.context("the agent's time to decide is not over in time")?;
            node.guest.ask("systemctl is-active trial-watch.timer && systemctl start trial-watch.service")?;
            let status = node.status()?;
            ensure!(status.ready && status.runs("canary"), "after the watch looked: {status:?}");
            node.power_off()
        });
    }
}
