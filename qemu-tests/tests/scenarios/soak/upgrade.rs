//! U: more upgrades than `make test` has time for: what is collected, tags that move, kernels and arguments, upgrades that nobody asks for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::fault_proxy::{Fault, On, Times};
use qemu_vm::guest::Guest;
use qemu_vm::installed::Installed;
use qemu_vm::node::{Node, READY};
use qemu_vm::release::Written;
use qemu_vm::releases::{Ended, Releases};
use qemu_vm::scenario::Scenario;

use crate::upgrade::{runs, settings};

/// A newer release takes the place of one that was prepared; a tag that moves does not change what was resolved;
/// collecting keeps what is booted, last good and pinned.
#[test]
fn u05_u09_u11_the_newest_boots_and_the_rest_is_collected() {
    Scenario::run("u05_u09_u11", |scenario| {
        let mut host = Installed::on(scenario)?;
        let (_, first_name) = host.publish(host.release("20261122.1")?)?;
        let mut node = host.restored()?;
        Ended::of(&mut node.guest, &["upgrade", &first_name])?.done()?;
        let first = Releases::of(&mut node.guest)?.next()?.commit.clone();
        let moved = u09_tag_moves(&mut host, &mut node)?;

        let releases = Releases::of(&mut node.guest)?;
        ensure!(releases.next()?.digest.as_deref() == Some(&moved.digest), "U05: {:?} boots next", releases.next()?);
        ensure!(releases.versions() == ["20261121.1", "20261123.1"], "U05: on the disk are {:?}", releases.versions());
        let folders = node.guest.ask("ls /sysroot/ostree/deploy/ballast/deploy")?;
        ensure!(folders.lines().filter(|line| !line.ends_with(".origin")).count() == 2, "U05: deployments: {folders}");
        ensure!(!folders.contains(&first), "U05: the first one, {first}, is left: {folders}");
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
        has_room_for_two(&host, &mut node.guest).context("U11")?;
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

/// ROOT and the ESP have room for two more releases, even if these share nothing with those that are there.
fn has_room_for_two(host: &Installed<'_>, guest: &mut Guest) -> Result<()> {
    for (place, label) in [("/sysroot", "os.ballast.installed-bytes"), ("/efi", "os.ballast.boot-bytes")] {
        let one: u64 = host.base.label(label)?.parse().with_context(|| format!("the label {label}"))?;
        let free = guest.ask(&format!("echo $(($(stat --file-system --format='%a * %S' {place})))"))?;
        let free: u64 = free.parse().with_context(|| format!("the bytes that are free on {place}: {free:?}"))?;
        ensure!(free >= 2 * one, "{place} has {free} bytes for two more releases of {one}");
    }
    Ok(())
}

/// While the layer of what the tag meant comes slowly, the tag moves on.
fn u09_tag_moves(host: &mut Installed<'_>, node: &mut Node) -> Result<Written> {
    let resolved = host.write(host.release("20261123.1")?.bulk(600_000))?;
    let later = host.write(host.release("20261123.2")?)?;
    let signed = qemu_vm::registry::Signed::By(&host.release_server.key);
    let name = host.release_server.publish_as(&resolved, "moving", signed)?;
    let mark = host.release_server.fault_proxy.mark();
    let slow = Fault::Throttle { bytes_per_second: 60_000 };
    host.release_server.fault_proxy.breaks(On::Blob(resolved.layer.clone()), slow, Times::Always);
    let (release_server, ended) = (&host.release_server, |guest: &mut Guest| Ended::of(guest, &["upgrade", &name]));
    let done = std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            let fetching = Deadline::secs(300).poll(Duration::from_millis(200), || {
                let served = release_server.fault_proxy.served_since(mark);
                Ok::<_, anyhow::Error>(served.iter().any(|one| one.path.ends_with(&resolved.layer)).then_some(()))
            })?;
            ensure!(fetching.is_some(), "U09: the layer was never asked for");
            release_server.publish_as(&later, "moving", signed)
        });
        let ended = ended(&mut node.guest);
        moving.join().map_err(|_| anyhow::anyhow!("U09: moving the tag panicked"))??;
        ended
    })?;
    host.release_server.fault_proxy.heals();
    let done = done.done().context("U09")?;
    ensure!(
        done.digest.as_deref() == Some(&resolved.digest),
        "U09: it resolved {}, and prepared {done:?}",
        resolved.digest
    );
    Ok(resolved)
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
        let mut node = host.restored()?;
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
pub(super) fn arguments(guest: &mut Guest) -> Result<String> {
    let line = guest.ask("cat /proc/cmdline")?;
    // systemd-boot puts the initrd in front for old kernels.
    let own = line.split(' ').filter(|word| {
        !["ballast.deployment=", "ballast.composefs=", "initrd="].iter().any(|name| word.starts_with(name))
    });
    Ok(own.collect::<Vec<_>>().join(" "))
}

/// So many kernels are on the ESP.
fn kernels(host: &Installed<'_>, count: usize) -> Result<()> {
    let files = qemu_vm::disk::esp::Esp::of(&host.scenario.lab.tools, &host.disk.file)?.kernels()?;
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
        let mut node = host.restored()?;
        let settings = |guest: &mut Guest, window: &str| {
            settings(guest, &format!("[update]\nimage = \"{name}\"\nauto = true\nwindow = [\"{window}\"]\n"))
        };
        // Half a day away: no registry is asked.
        let hour: u32 = node.guest.ask("date -u +%-H")?.parse()?;
        let away = (hour + 12) % 24;
        settings(&mut node.guest, &format!("daily {away:02}:00-{away:02}:30 UTC"))?;
        let mark = host.release_server.fault_proxy.mark();
        std::thread::sleep(Duration::from_secs(150));
        ensure!(
            host.release_server.fault_proxy.served_since(mark).is_empty(),
            "it asked the registry outside of its window"
        );
        runs(&mut node, &host.base.digest()?)?;

        settings(&mut node.guest, "daily 00:00-24:00 UTC")?;
        node.ends(Deadline::secs(600)).context("it did not reboot by itself")?;
        let mut node = host.boot()?;
        runs(&mut node, &new.digest)?;
        node.power_off()
    });
}
