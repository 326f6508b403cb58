//! K: whatever is killed at whatever moment, the node boots the old or the new release, and the next upgrade succeeds.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::fault_proxy::{Fault, On, Times};
use qemu_vm::installed::Installed;
use qemu_vm::node::Node;
use qemu_vm::release::Written;
use qemu_vm::releases::{Ended, OPERATION, Releases, when};
use qemu_vm::scenario::Scenario;

use crate::upgrade::runs;

/// What `ballast upgrade` says when a phase begins (on stderr, for people), in order.
#[cfg(feature = "soak")]
const PHASES: [&str; 7] = [
    "resolving",
    "looking for room",
    "fetching",
    "making the deployment",
    "writing kernel and initramfs",
    "writing the boot entry",
    "removing what is not needed",
];

/// Upgrades to `name` in the guest, and does `harm` as soon as the phase `phase` begins. Fails if it never does.
fn harmed(node: &mut Node, name: &str, phase: &str, harm: &str) -> Result<()> {
    let script = format!(
        "ballast upgrade {name} 2>&1 >/dev/null | {{ \
             while read -r line; do case $line in \"{phase}\"*) {harm}; exit 0;; esac; done; exit 9; }}"
    );
    let output = node.guest.shell_within(&script, OPERATION)?;
    match output.status {
        0 => Ok(()),
        9 => bail!("the phase {phase:?} never began"),
        status => bail!("harming ended with {status}: {}", output.warning()),
    }
}

/// The agent is back, whatever was under way goes on or ends, and then the release can be had.
fn then_upgrades(host: &Installed<'_>, node: &mut Node, release: &Written) -> Result<()> {
    node.agent_is_back(90)?;
    let done = Ended::once_idle(&mut node.guest, &["upgrade", &host.release_server.name(&release.version)])?.done()?;
    ensure!(done.digest.as_deref() == Some(&release.digest), "it prepared {done:?}");
    let releases = Releases::of(&mut node.guest)?;
    ensure!(releases.next()?.digest.as_deref() == Some(&release.digest), "{:?} boots next", releases.next()?);
    // Booted, and the new one: nothing half-made is left.
    ensure!(releases.releases.len() == 2, "on the disk are {:?}", releases.versions());
    Ended::of(&mut node.guest, &["fsck"])?.done().map(drop)
}

const KILL_AGENT: &str = "kill -KILL $(systemctl show --property=MainPID --value ballast.service)";

/// K01 in each of `phases`, K02 and K05: the agent killed, asked to end, the command cancelled; all in one boot, and then the last
/// release is booted.
fn agent_killed(name: &str, phases: &[&'static str]) {
    Scenario::run(name, |scenario| {
        let mut host = Installed::on(scenario)?;
        let mut node = host.restored()?;
        let terminate = "systemctl kill --signal=TERM ballast.service";
        let harms = phases.iter().map(|phase| ("K01", *phase, KILL_AGENT)).chain([("K02", "fetching", terminate)]);
        let mut last = None;
        for (number, (id, phase, harm)) in (1..).zip(harms) {
            let (release, name) = host.publish(host.release(&format!("20261122.{number}"))?.bulk(100_000))?;
            harmed(&mut node, &name, phase, harm).with_context(|| format!("{id} while {phase}"))?;
            then_upgrades(&host, &mut node, &release).with_context(|| format!("{id} while {phase}"))?;
            last = Some(release);
        }
        cancelled(&host, &mut node).context("K05")?;
        let last = last.context("nothing was harmed")?;
        node.reboot_to_exit()?;
        let mut node = host.boot()?;
        runs(&mut node, &last.digest)?;
        node.power_off()
    });
}

/// Where most is half done; the other phases are soak's.
#[test]
fn k01_k02_k05_agent_killed_while_it_changes_the_disk() {
    agent_killed("k01_k02_k05", &["making the deployment", "writing the boot entry"]);
}

/// K05: Ctrl-C ends the upgrade, not only the command; what was prepared before stays next.
fn cancelled(host: &Installed<'_>, node: &mut Node) -> Result<()> {
    let (release, name) = host.publish(host.release("20261123.1")?.bulk(500_000))?;
    let before = Releases::of(&mut node.guest)?.next()?.digest.clone();
    let slow = Fault::Throttle { bytes_per_second: 10_000 };
    host.release_server.fault_proxy.breaks(On::Blob(release.layer.clone()), slow, Times::Always);
    // As a terminal does, to the command alone.
    let script = format!("timeout --foreground --signal=INT 20 ballast upgrade {name}");
    let output = node.guest.shell_within(&script, OPERATION)?;
    ensure!(output.status != 0, "it ended well: {}", output.text());
    when(&mut node.guest, "the operation ends with the command", Deadline::secs(30), |releases| {
        releases.operation.is_none()
    })?;
    host.release_server.fault_proxy.heals();
    let next = Releases::of(&mut node.guest)?.next()?.digest.clone();
    ensure!(next == before, "cancelled, {next:?} boots next");
    ensure!(node.guest.ask("cat /proc/[0-9]*/comm")?.lines().all(|name| name != "ostree-worker"), "the worker runs on");
    Ok(())
}

/// Boots after a crash: the old or the new release runs, and then the new one can be had.
#[cfg(feature = "soak")]
fn recovered(host: &mut Installed<'_>, release: &Written) -> Result<Node> {
    let mut node = host.boot()?;
    // An upgrade that was under way goes on by itself.
    let releases = Releases::now(&mut node.guest)?;
    let version = releases.booted()?.version.clone();
    println!(
        "{version} runs; {}",
        releases.operation.map_or("nothing goes on".to_owned(), |running| format!("{running:?} goes on"))
    );
    if version == release.version {
        runs(&mut node, &release.digest)?;
        Ended::of(&mut node.guest, &["fsck"])?.done()?;
    } else {
        then_upgrades(host, &mut node, release).with_context(|| format!("{version} runs"))?;
    }
    Ok(node)
}

/// Nobody asks for the upgrade again: the agent knows what was wanted. Then the new release boots.
#[cfg(feature = "soak")]
fn goes_on_by_itself(host: &mut Installed<'_>, mut node: Node, release: &Written) -> Result<()> {
    let is_prepared = |releases: &Releases| {
        releases.operation.is_none() && releases.next().is_ok_and(|next| next.version == release.version)
    };
    when(&mut node.guest, "the upgrade goes on by itself", Deadline::after(OPERATION), is_prepared)?;
    Ended::of(&mut node.guest, &["fsck"])?.done()?;
    node.reboot_to_exit()?;
    let mut node = host.boot()?;
    runs(&mut node, &release.digest)?;
    node.power_off()
}

/// A small generator (xorshift, Marsaglia), so that a seed that is printed gives the same moments again, to each scenario its own.
#[cfg(feature = "soak")]
pub(crate) struct Moments(u64);

#[cfg(feature = "soak")]
impl Moments {
    pub(crate) fn of(seed: u64, scenario: &str) -> Self {
        let mixed = scenario.bytes().fold(seed, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(byte.into()));
        Self(mixed | 1)
    }

    /// A time up to `most`.
    pub(crate) fn next(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        most.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// `BALLAST_SEED`, or the time.
pub(crate) fn seed() -> Result<u64> {
    match std::env::var("BALLAST_SEED") {
        Ok(text) => text.parse().with_context(|| format!("BALLAST_SEED={text:?}")),
        Err(_) => Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs()),
    }
}

/// An upgrade, from the question to the reboot, takes an emulated machine about so long.
#[cfg(feature = "soak")]
const UPGRADE: Duration = Duration::from_secs(40);

/// From the firmware to the blessing, an emulated machine takes longer than this: the counter, the start and the trial are all struck.
#[cfg(feature = "soak")]
const TRIAL_BOOT: Duration = Duration::from_secs(30);

/// Cuts the power `times` times at random moments of an upgrade, or of the first boot behind it.
#[cfg(feature = "soak")]
fn power_cuts(name: &str, times: u32) {
    Scenario::run(name, |scenario| {
        let seed = seed()?;
        println!("{name}: BALLAST_SEED={seed}");
        let mut moments = Moments::of(seed, name);
        let mut host = Installed::on(scenario)?;
        let mut node = host.restored()?;
        for number in 1..=times {
            let (release, name) = host.publish(host.release(&format!("20261122.{number}"))?.bulk(100_000))?;
            let moment = moments.next(UPGRADE);
            let what = || format!("cut {number} of {times}, after {:.1} s (BALLAST_SEED={seed})", moment.as_secs_f64());
            println!("{}", what());
            // Not `--reboot`: an upgrade that goes on by itself after the cut would reboot at a moment that we do not choose.
            node.guest.ask(&format!("(ballast upgrade {name} && systemctl reboot) >/run/upgrade.log 2>&1 &"))?;
            std::thread::sleep(moment);
            if node.has_ended() {
                // It has rebooted already: then it is the new release's first boot that is cut short.
                node.ends(Deadline::secs(10))?;
                node = host.scenario.start(&host.options)?;
                let moment = moments.next(TRIAL_BOOT);
                println!("the upgrade was over; cut {:.1} s into the boot after it", moment.as_secs_f64());
                std::thread::sleep(moment);
            }
            node.cut_power()?;
            node = recovered(&mut host, &release).with_context(what)?;
        }
        let (release, _) = host.publish(host.release("20261123.1")?.bulk(100_000))?;
        then_upgrades(&host, &mut node, &release).context("after the last cut")?;
        node.power_off()
    });
}

/// Cuts by ending QEMU, which loses nothing that was written; what a real cut loses is `crash.rs`. And what is half fetched.
#[cfg(feature = "soak")]
mod soak {
    use qemu_vm::node::READY;
    use qemu_vm::release::Base;

    use super::*;

    #[test]
    fn k01_agent_killed_in_each_phase() {
        agent_killed("k01_each_phase", &PHASES);
    }

    /// P: after the power was cut while a release was fetched; the network is not there yet when the agent begins.
    #[test]
    fn p_upgrade_goes_on_after_a_power_cut() {
        Scenario::run("p_goes_on", |scenario| {
            let mut host = Installed::on(scenario)?;
            let (release, name) = host.publish(host.release("20261122.1")?.bulk(600_000))?;
            let mut node = host.restored()?;
            let slow = Fault::Throttle { bytes_per_second: 20_000 };
            host.release_server.fault_proxy.breaks(On::Blob(release.layer.clone()), slow, Times::First(1));
            node.guest.ask(&format!("ballast upgrade {name} >/run/upgrade.log 2>&1 &"))?;
            let is_fetching =
                |releases: &Releases| releases.operation.as_ref().is_some_and(|running| running.phase == "fetch");
            when(&mut node.guest, "the release is being fetched", Deadline::after(OPERATION), is_fetching)?;
            node.cut_power()?;
            let node = host.boot()?;
            goes_on_by_itself(&mut host, node, &release)
        });
    }

    /// K03: no goodbye to anything.
    #[test]
    fn k03_reboot_ff() {
        Scenario::run("k03", |scenario| {
            let mut host = Installed::on(scenario)?;
            let mut node = host.restored()?;
            for (number, phase) in (1..).zip(["fetching", "making the deployment", "writing the boot entry"]) {
                let (release, name) = host.publish(host.release(&format!("20261122.{number}"))?.bulk(100_000))?;
                // The answer may not come any more.
                let _ = harmed(&mut node, &name, phase, "systemctl --force --force reboot");
                node.ends(Deadline::after(READY)).with_context(|| format!("K03 while {phase}"))?;
                node = recovered(&mut host, &release).with_context(|| format!("K03 while {phase}"))?;
            }
            node.power_off()
        });
    }

    /// K04: the agent is restarted while the second of two layers comes; the first one is not fetched again.
    #[test]
    fn k04_agent_restarted_while_fetching_resumes() {
        Scenario::run("k04", |scenario| {
            let mut host = Installed::on(scenario)?;
            let below = host.write(host.release("20261122.0")?.bulk(300_000))?;
            let above = Base::above(&host.scenario.lab.image, &below)?;
            let (release, name) = host.publish(above.release("20261122.1")?.bulk(600_000))?;
            let mut node = host.restored()?;
            let slow = Fault::Throttle { bytes_per_second: 40_000 };
            host.release_server.fault_proxy.breaks(On::Blob(release.layer.clone()), slow, Times::First(1));
            let mark = host.release_server.fault_proxy.mark();
            let sent = |host: &Installed<'_>, layer: &str| -> Vec<u64> {
                let served = host.release_server.fault_proxy.served_since(mark);
                let bytes = served.iter().filter(|one| one.path.ends_with(layer) && one.status / 100 == 2);
                bytes.map(|one| one.sent).filter(|sent| *sent > 0).collect()
            };
            node.guest.ask(&format!("ballast upgrade {name} >/run/upgrade.log 2>&1 &"))?;
            let comes = Deadline::after(OPERATION).poll(Duration::from_millis(200), || {
                Ok::<_, anyhow::Error>((!sent(&host, &release.layer).is_empty()).then_some(()))
            })?;
            ensure!(comes.is_some(), "the second layer was never asked for");
            node.guest.ask("systemctl restart ballast.service")?;
            node.agent_is_back(90)?;
            goes_on_by_itself(&mut host, node, &release)?;
            let (first, second) = (sent(&host, &below.layer), sent(&host, &release.layer));
            ensure!(
                first == [below.layer_bytes],
                "of the first layer, {} bytes, {first:?} were sent",
                below.layer_bytes
            );
            ensure!(second.len() == 2 && second.first() < second.last(), "of the second layer {second:?} were sent");
            Ok(())
        });
    }

    #[test]
    fn p_power_cut_at_five_random_moments() {
        power_cuts("p_five", 5);
    }

    /// Fifty in two halves side by side: each of them is half an hour.
    #[test]
    fn p_power_cut_at_fifty_random_moments_one_half() {
        power_cuts("p_fifty_one", 25);
    }

    #[test]
    fn p_power_cut_at_fifty_random_moments_other_half() {
        power_cuts("p_fifty_other", 25);
    }
}
