//! U: from one release to another.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_tests::deadline::Deadline;
use qemu_tests::door::{Fault, On, Times};
use qemu_tests::guest::Guest;
use qemu_tests::installed::Installed;
use qemu_tests::node::{Node, READY};
use qemu_tests::release::Written;
use qemu_tests::releases::{Ended, Releases};
use qemu_tests::scenario::Scenario;

/// What an operator wrote, and what must be there and hold after each upgrade and rollback (F06).
const SETTINGS: &str = "\
# Kept.
hostname = \"kept\"
[kernel.sysctl]
\"net.core.somaxconn\" = 1234
[update]
auto = false
[health]
network = true
";

pub(crate) fn leave_traces(guest: &mut Guest) -> Result<()> {
    guest.ask("echo kept >/var/lib/ballast/a-test-was-here")?;
    qemu_tests::settings::apply(guest, SETTINGS).map(drop)
}

/// What the operator writes.
pub(crate) fn settings(guest: &mut Guest, text: &str) -> Result<()> {
    guest.ask(&format!("printf '{}' >/var/lib/ballast/settings.toml", text.replace('\n', "\\n"))).map(drop)
}

pub(crate) fn traces_are_kept(node: &mut Node) -> Result<()> {
    ensure!(node.guest.ask("cat /var/lib/ballast/a-test-was-here")? == "kept", "/var was not kept");
    let settings = node.guest.ask("cat /var/lib/ballast/settings.toml")?;
    ensure!(settings == SETTINGS.trim_end(), "the settings became {settings:?}");
    let status = node.status()?;
    ensure!(status.settings.problems.is_empty(), "F06: the settings do not load: {:?}", status.settings.problems);
    ensure!(status.settings.trial.is_none(), "F06: they are on trial: {:?}", status.settings.trial);
    ensure!(status.node.hostname == "kept", "F06: the node is called {}", status.node.hostname);
    let sysctl = node.guest.ask("cat /proc/sys/net/core/somaxconn")?;
    ensure!(sysctl == "1234", "F06: the sysctl is {sysctl}");
    Ok(())
}

/// The release that runs is `digest`, has proved itself, and boots next.
pub(crate) fn runs(node: &mut Node, digest: &str) -> Result<()> {
    let releases = Releases::of(&mut node.guest)?;
    let booted = releases.booted()?;
    ensure!(booted.digest.as_deref() == Some(digest), "{booted:?} runs, not {digest}");
    ensure!(booted.next && booted.state == "good", "what runs is {booted:?}");
    let status = node.status()?;
    ensure!(status.os.digest.as_deref() == Some(digest), "the status tells of {:?}", status.os);
    ensure!(status.os.version == booted.version, "the status tells of {:?}", status.os);
    Ok(())
}

/// Check, fetch, reboot without it, upgrade, the same again: three boots, each of which proves itself at once.
#[test]
fn u02_u03_u04_old_to_new_and_the_same_again() {
    Scenario::run("u02_u03_u04", |scenario| {
        let mut host = Installed::on(scenario)?;
        let old = host.base.digest()?;
        let (new, name) = host.publish(host.release("20261122.1")?)?;
        let mut node = host.thawed()?;
        runs(&mut node, &old)?;
        leave_traces(&mut node.guest)?;

        let check = Ended::of(&mut node.guest, &["upgrade", "--check", &name])?;
        ensure!(check.status == 10, "--check ended with {} although there is a newer one", check.status);
        let mark = host.depot.door.mark();
        let done = Ended::of(&mut node.guest, &["upgrade", "--fetch-only", &name])?.done()?;
        ensure!(done.changed && done.digest.as_deref() == Some(&new.digest), "U04: it fetched {done:?}");
        let sent: u64 = host.depot.door.served_since(mark).iter().filter(|one| one.is_blob()).map(|one| one.sent).sum();
        // Layer, configuration, signature: what is on the node already is not fetched.
        ensure!(sent < new.layer_bytes + 50_000, "U04: {sent} bytes were fetched for a layer of {}", new.layer_bytes);
        node.reboot_to_exit()?;

        let mut node = host.boot().context("U04: after fetching only")?;
        runs(&mut node, &old).context("U04: after fetching only")?;
        let mark = host.depot.door.mark();
        host.upgrade_and_reboot(node, &name)?;
        let again = host.depot.door.served_since(mark).iter().any(|one| one.path.ends_with(&new.layer));
        ensure!(!again, "U04: the layer was fetched again");

        let mut node = host.boot().context("U02: the new release")?;
        runs(&mut node, &new.digest).context("U02")?;
        traces_are_kept(&mut node).context("U02")?;
        ensure!(
            node.guest.ask("cat /usr/lib/os-release")?.contains("VERSION_ID=20261122.1"),
            "U02: not its os-release"
        );

        let before = node.guest.ask("ls /efi/loader/entries /sysroot/ostree/deploy/ballast/deploy")?;
        let done = Ended::of(&mut node.guest, &["upgrade", &name])?.done()?;
        ensure!(!done.changed && done.message.contains("nothing to do"), "U03: {done:?}");
        let check = Ended::of(&mut node.guest, &["upgrade", "--check", &name])?;
        ensure!(check.status == 0, "U03: --check ended with {}", check.status);
        let after = node.guest.ask("ls /efi/loader/entries /sysroot/ostree/deploy/ballast/deploy")?;
        ensure!(before == after, "U03: {before:?} became {after:?}");
        node.power_off()?;
        ensure!(host.scenario.boots() == 3, "{} boots", host.scenario.boots());
        Ok(())
    });
}

/// A newer release takes the place of one that was prepared; a tag that moves does not change what was resolved;
/// collecting keeps what is booted, last good and pinned.
#[test]
fn u05_u09_u11_the_newest_boots_and_the_rest_is_collected() {
    Scenario::run("u05_u09_u11", |scenario| {
        let mut host = Installed::on(scenario)?;
        let (first, first_name) = host.publish(host.release("20261122.1")?)?;
        let mut node = host.thawed()?;
        Ended::of(&mut node.guest, &["upgrade", &first_name])?.done()?;
        let moved = u09_tag_moves(&mut host, &mut node)?;

        let releases = Releases::of(&mut node.guest)?;
        ensure!(releases.next()?.digest.as_deref() == Some(&moved.digest), "U05: {:?} boots next", releases.next()?);
        ensure!(releases.versions() == ["20261121.1", "20261123.1"], "U05: on the disk are {:?}", releases.versions());
        let folders = node.guest.ask("ls /sysroot/ostree/deploy/ballast/deploy")?;
        ensure!(folders.lines().filter(|line| !line.ends_with(".origin")).count() == 2, "U05: deployments: {folders}");
        ensure!(!folders.contains(&first.digest), "U05: the first one is left");
        node.reboot_to_exit()?;

        let mut node = host.boot().context("U05")?;
        runs(&mut node, &moved.digest).context("U05")?;
        Ended::of(&mut node.guest, &["pin", "20261121.1"])?.done()?;
        let (_, third) = host.publish(host.release("20261124.1")?)?;
        host.upgrade_and_reboot(node, &third)?;

        let mut node = host.boot()?;
        let (_, fourth) = host.publish(host.release("20261125.1")?)?;
        Ended::of(&mut node.guest, &["upgrade", &fourth])?.done()?;
        let versions = |guest: &mut Guest| {
            Ok::<_, anyhow::Error>(Releases::of(guest)?.versions().into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let kept = versions(&mut node.guest)?;
        ensure!(kept == ["20261121.1", "20261124.1", "20261125.1"], "U11: pinned, booted and next are not {kept:?}");
        Ended::of(&mut node.guest, &["unpin", "20261121.1"])?.done()?;
        Ended::of(&mut node.guest, &["collect"])?.done()?;
        let kept = versions(&mut node.guest)?;
        ensure!(kept == ["20261124.1", "20261125.1"], "U11: unpinned and collected, there are {kept:?}");
        let collect = Ended::of(&mut node.guest, &["collect"])?.done()?;
        ensure!(!collect.changed, "U11: collecting twice removed something twice: {collect:?}");
        Ended::of(&mut node.guest, &["fsck"])?.done().context("U11: after collecting")?;
        node.power_off()
    });
}

/// While the layer of what the tag meant comes slowly, the tag moves on.
fn u09_tag_moves(host: &mut Installed<'_>, node: &mut Node) -> Result<Written> {
    let resolved = host.write(host.release("20261123.1")?.bulk(600_000))?;
    let later = host.write(host.release("20261123.2")?)?;
    let signed = qemu_tests::registry::Signed::By(&host.depot.key);
    let name = host.depot.publish_as(&resolved, "moving", signed)?;
    let mark = host.depot.door.mark();
    let slow = Fault::Throttle { bytes_per_second: 60_000 };
    host.depot.door.breaks(On::Blob(resolved.layer.clone()), slow, Times::Always);
    let (depot, ended) = (&host.depot, |guest: &mut Guest| Ended::of(guest, &["upgrade", &name]));
    let done = std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            let fetching = Deadline::secs(300).poll(Duration::from_millis(200), || {
                let served = depot.door.served_since(mark);
                Ok::<_, anyhow::Error>(served.iter().any(|one| one.path.ends_with(&resolved.layer)).then_some(()))
            })?;
            ensure!(fetching.is_some(), "U09: the layer was never asked for");
            depot.publish_as(&later, "moving", signed)
        });
        let ended = ended(&mut node.guest);
        moving.join().map_err(|_| anyhow::anyhow!("U09: moving the tag panicked"))??;
        ended
    })?;
    host.depot.door.heals();
    let done = done.done().context("U09")?;
    ensure!(
        done.digest.as_deref() == Some(&resolved.digest),
        "U09: it resolved {}, and prepared {done:?}",
        resolved.digest
    );
    Ok(resolved)
}

/// U10, U06 and C07: over several releases in one hop; an older one, rightly signed, only when it is asked for.
#[test]
fn u06_u10_c07_one_hop_forward_and_back_only_when_asked() {
    Scenario::run("u06_u10_c07", |scenario| {
        let mut host = Installed::on(scenario)?;
        let (between, between_name) = host.publish(host.release("20261122.1")?)?;
        let (newest, newest_name) = host.publish(host.release("20270301.1")?)?;
        let node = host.thawed()?;
        host.upgrade_and_reboot(node, &newest_name)?;

        let mut node = host.boot().context("U10")?;
        runs(&mut node, &newest.digest).context("U10")?;
        leave_traces(&mut node.guest)?;
        // The registry, or who stands before it, gives out what was good once under the name of the newest.
        let signed = qemu_tests::registry::Signed::By(&host.depot.key);
        let stable = host.depot.publish_as(&between, "stable", signed)?;
        let mark = host.depot.door.mark();
        let why = Ended::of(&mut node.guest, &["upgrade", &stable])?.failed(4, "refused").context("C07, U06")?;
        ensure!(why.contains("20261122.1") && why.contains("20270301.1"), "U06: the refusal names no versions: {why}");
        ensure!(!fetched(&host, mark, &between), "U06: the layer was fetched before it was refused");
        let done = Ended::of(&mut node.guest, &["upgrade", &between_name, "--allow-downgrade", "--reboot"])?.done()?;
        ensure!(done.reboots, "U06: {done:?}");
        node.ends(Deadline::after(READY))?;

        let mut node = host.boot().context("U06")?;
        runs(&mut node, &between.digest).context("U06")?;
        traces_are_kept(&mut node).context("U06")?;
        node.power_off()
    });
}

pub(crate) fn fetched(host: &Installed<'_>, mark: usize, release: &Written) -> bool {
    host.depot.door.served_since(mark).iter().any(|one| one.path.ends_with(&release.layer) && one.sent > 0)
}

/// U07 and U08: a release with another kernel and other arguments, then one that shares its kernel: each boots its own
/// deployment with its own arguments and tries.
#[test]
fn u07_u08_kernels_and_arguments_go_with_their_release() {
    Scenario::run("u07_u08", |scenario| {
        let mut host = Installed::on(scenario)?;
        let quoted = r#"ballast.test="two words" ballast.other='a b'"#;
        let (_, other) = host.publish(host.release("20261122.1")?.other_kernel()?.arguments(quoted)?)?;
        let (same, same_name) = host.publish(host.release("20261123.1")?.other_kernel()?)?;
        let mut node = host.thawed()?;
        let plain = arguments(&mut node.guest)?;
        host.upgrade_and_reboot(node, &other)?;
        kernels(&host, 2).context("U07: after another kernel")?;

        let mut node = host.boot().context("U08")?;
        let line = arguments(&mut node.guest)?;
        ensure!(
            line == format!("{plain} {quoted}"),
            "U08: the arguments are {line:?}, without the release's {plain:?}"
        );
        host.upgrade_and_reboot(node, &same_name)?;
        // The oldest is gone, and its kernel with it: what is left of the three releases shares one.
        kernels(&host, 1).context("U07: after the same kernel")?;
        let entries = host.entries()?;
        let tries: Vec<_> =
            entries.iter().filter_map(|entry| entry.tries).map(|tries| (tries.left, tries.done)).collect();
        ensure!(tries == [(3, 0)], "U07: only the new one is on trial, with tries of its own: {entries:?}");

        let mut node = host.boot().context("U07")?;
        runs(&mut node, &same.digest).context("U07")?;
        ensure!(arguments(&mut node.guest)? == plain, "U08: the arguments of the release before are still there");
        Ended::of(&mut node.guest, &["rollback", "--reboot"])?.done()?;
        node.ends(Deadline::after(READY))?;
        let mut node = host.boot().context("U08: back")?;
        ensure!(arguments(&mut node.guest)? == line, "U08: rolled back, the arguments are other ones");
        node.power_off()
    });
}

/// The kernel command line without what names the deployment.
pub(crate) fn arguments(guest: &mut Guest) -> Result<String> {
    let line = guest.ask("cat /proc/cmdline")?;
    // systemd-boot puts the initrd in front for old kernels.
    let own = line.split(' ').filter(|word| {
        !["ballast.deployment=", "ballast.composefs=", "initrd="].iter().any(|name| word.starts_with(name))
    });
    Ok(own.collect::<Vec<_>>().join(" "))
}

/// So many kernels are on the ESP.
fn kernels(host: &Installed<'_>, count: usize) -> Result<()> {
    let files = qemu_tests::disk::esp::Esp::of(&host.scenario.lab.tools, &host.disk.file)?.kernels()?;
    let found = files.iter().filter(|file| file.ends_with("-vmlinuz")).count();
    ensure!(found == count, "there are {found} kernels, not {count}: {files:?}");
    Ok(())
}

/// A node that may upgrade by itself asks its registry within two minutes, fetches, and reboots into what it got: nobody types anything.
/// While its window is closed it does nothing of the kind; `ballast upgrade` is open at any time.
#[test]
fn a_node_upgrades_by_itself_when_its_window_is_open() {
    Scenario::run("unattended", |scenario| {
        let mut host = Installed::on(scenario)?;
        let (new, name) = host.publish(host.release("20261122.1")?)?;
        let mut node = host.thawed()?;
        let settings = |guest: &mut Guest, window: &str| {
            settings(guest, &format!("[update]\nimage = \"{name}\"\nauto = true\nwindow = [\"{window}\"]\n"))
        };
        // Half a day away: no registry is asked.
        let hour: u32 = node.guest.ask("date -u +%-H")?.parse()?;
        let away = (hour + 12) % 24;
        settings(&mut node.guest, &format!("daily {away:02}:00-{away:02}:30 UTC"))?;
        let mark = host.depot.door.mark();
        std::thread::sleep(Duration::from_secs(150));
        ensure!(host.depot.door.served_since(mark).is_empty(), "it asked the registry outside of its window");
        runs(&mut node, &host.base.digest()?)?;

        settings(&mut node.guest, "daily 00:00-24:00 UTC")?;
        node.ends(Deadline::secs(600)).context("it did not reboot by itself")?;
        let mut node = host.boot()?;
        runs(&mut node, &new.digest)?;
        node.power_off()
    });
}
