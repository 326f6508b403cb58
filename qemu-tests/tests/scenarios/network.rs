//! N: registries that are not there, hang, dawdle, fail, refuse, or lie about who they are. One boot for all of them, since each
//! only fetches; the case is named when it fails.

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::fault_proxy::{ConnectProxy, Fault, On, Times};
use qemu_vm::guest::Guest;
use qemu_vm::installed::Installed;
use qemu_vm::node::Node;
use qemu_vm::registry::{Authority, Validity};
use qemu_vm::release::Written;
use qemu_vm::release_server::{ReleaseServer, line};
use qemu_vm::releases::{Ended, Releases};
use qemu_vm::scenario::{Cases, Scenario};

/// A node that fetches release after release, each newer than the one before.
struct Fetching<'a> {
    host: Installed<'a>,
    node: Node,
    number: u32,
}

impl Fetching<'_> {
    /// A new release with so many bytes that do not compress.
    fn release(&mut self, bytes: usize) -> Result<(Written, String)> {
        self.number += 1;
        let release = self.host.release(&format!("20261122.{}", self.number))?.bulk(bytes);
        self.host.publish(release)
    }

    fn fetch(&mut self, name: &str) -> Result<Ended> {
        Ended::of(&mut self.node.guest, &["upgrade", "--fetch-only", name])
    }

    /// It is fetched, although `fault` strikes its layer so often.
    fn survives(&mut self, bytes: usize, fault: Fault, times: Times) -> Result<()> {
        let (release, name) = self.release(bytes)?;
        let mark = self.host.release_server.fault_proxy.mark();
        self.host.release_server.fault_proxy.breaks(On::Blob(release.layer.clone()), fault, times);
        let done = self.fetch(&name)?.done()?;
        self.host.release_server.fault_proxy.heals();
        ensure!(done.digest.as_deref() == Some(&release.digest), "{done:?} was fetched");
        let served = self.host.release_server.fault_proxy.served_since(mark);
        let layer: Vec<_> = served.iter().filter(|one| one.path.ends_with(&release.layer)).collect();
        if let Times::First(times) = times {
            ensure!(layer.len() > times as usize, "the fault did not strike {times} times: {layer:?}");
        }
        let sent: u64 = layer.iter().map(|one| one.sent).sum();
        // What came before the break is not fetched again, but for what was under way.
        ensure!(sent <= release.layer_bytes + 128_000, "{sent} bytes were sent of a layer of {}", release.layer_bytes);
        Ok(())
    }

    /// Nothing goes on, and nothing else boots next.
    fn is_quiet(&mut self) -> Result<()> {
        let releases = Releases::of(&mut self.node.guest)?;
        ensure!(releases.booted()?.next, "something else boots next: {releases:?}");
        Ok(())
    }

    /// It is not fetched, for a reason of this kind that has all of `words`.
    fn fails(&mut self, name: &str, kind: &str, words: &[&str]) -> Result<()> {
        let why = self.fetch(name)?.failed(1, kind)?;
        match words.iter().find(|word| !why.contains(**word)) {
            Some(word) => bail!("the reason does not have {word:?}: {why}"),
            None => Ok(()),
        }
    }
}

type Case = (&'static str, fn(&mut Fetching<'_>) -> Result<()>);

const CASES: [Case; 10] = [
    ("N01 refused", refused),
    ("N02 name not found", name_not_found),
    ("N03 stalls", stalls),
    ("N04 10 kB/s", slow),
    ("N05 5xx, then fine", fails_then_fine),
    ("N06 401, then other credentials", other_credentials),
    ("N07 wrong CA, expired", wrong_certificates),
    ("N09 mirror down", mirror_down),
    ("N10 mirror with its own credentials", mirror_with_credentials),
    ("N11 through a proxy", through_a_proxy),
];

#[test]
fn n01_n02_n03_n04_n05_n06_n07_n09_n10_n11_registries_misbehave() {
    Scenario::run("n01_to_n11", |scenario| {
        let mut host = Installed::on(scenario)?;
        let node = host.restored()?;
        let mut fetching = Fetching { host, node, number: 0 };
        let mut cases = Cases::default();
        for (name, case) in CASES {
            let outcome = case(&mut fetching);
            cases.note(name, outcome.and_then(|()| fetching.is_quiet()));
            fetching.host.release_server.fault_proxy.heals();
        }
        cases.end()?;
        // The last word is that the node can still be upgraded.
        let (release, name) = fetching.release(1000)?;
        Ended::of(&mut fetching.node.guest, &["upgrade", &name])?.done()?;
        let next = Releases::of(&mut fetching.node.guest)?.next()?.digest.clone();
        ensure!(next.as_deref() == Some(&release.digest), "{next:?} boots next");
        Ended::of(&mut fetching.node.guest, &["fsck"])?.done()?;
        fetching.node.power_off()
    });
}

fn refused(fetching: &mut Fetching<'_>) -> Result<()> {
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    fetching.fails(&format!("10.0.2.2:{port}/ballast:1"), "unreachable", &["refused", &port.to_string()])
}

fn name_not_found(fetching: &mut Fetching<'_>) -> Result<()> {
    fetching.fails("registry.invalid/ballast:1", "unreachable", &["registry.invalid"])
}

fn stalls(fetching: &mut Fetching<'_>) -> Result<()> {
    fetching.survives(300_000, Fault::Stall { after: 100_000 }, Times::First(1))
}

fn slow(fetching: &mut Fetching<'_>) -> Result<()> {
    let began = std::time::Instant::now();
    // Longer than a registry may be silent: what comes slowly still comes.
    fetching.survives(400_000, Fault::Throttle { bytes_per_second: 10_000 }, Times::Always)?;
    ensure!(began.elapsed().as_secs() >= 40, "it was not slow: {:?}", began.elapsed());
    Ok(())
}

fn fails_then_fine(fetching: &mut Fetching<'_>) -> Result<()> {
    fetching.survives(1000, Fault::Status(503), Times::First(3))?;
    fetching.survives(1000, Fault::Status(500), Times::First(2))?;
    fetching.survives(300_000, Fault::Cut { after: 150_000 }, Times::First(1)).context("cut within the layer")
}

const AUTHFILE: &str = "/run/containers/0/auth.json";

fn other_credentials(fetching: &mut Fetching<'_>) -> Result<()> {
    let (_, name) = fetching.release(1000)?;
    let guest = &mut fetching.node.guest;
    guest.ask(&format!("mv {AUTHFILE} {AUTHFILE}.right && echo '{{\"auths\":{{}}}}' >{AUTHFILE}"))?;
    let host = fetching.host.release_server.host();
    fetching.fails(&name, "unauthorized", &[&host])?;
    fetching.node.guest.ask(&format!("mv {AUTHFILE}.right {AUTHFILE}"))?;
    fetching.fetch(&name)?.done().map(drop)
}

fn wrong_certificates(fetching: &mut Fetching<'_>) -> Result<()> {
    let (_, name) = fetching.release(1000)?;
    let release_server = &fetching.host.release_server;
    let stranger = Authority::make(&fetching.host.scenario.lab.tools, release_server.folder(), "stranger")?;
    release_server.fault_proxy.shows(stranger.issue(Validity::Current)?);
    fetching.fails(&name, "unreachable", &["certificate"]).context("a stranger's")?;
    fetching.host.release_server.fault_proxy.shows(fetching.host.release_server.authority.issue(Validity::Expired)?);
    fetching.fails(&name, "unreachable", &["certificate", "xpired"]).context("an expired one")?;
    fetching.host.release_server.fault_proxy.shows(fetching.host.release_server.authority.issue(Validity::Current)?);
    fetching.fetch(&name)?.done().map(drop)
}

/// Writes lines of tmpfiles.d(5) into effect at once.
fn lay_down(guest: &mut Guest, lines: &str) -> Result<()> {
    guest.ask(&format!("cat >/run/test.conf <<'EOF'\n{lines}EOF\nsystemd-tmpfiles --create /run/test.conf")).map(drop)
}

fn mirrors(guest: &mut Guest, of: &ReleaseServer, mirror: &str) -> Result<()> {
    let text = format!("[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{mirror}\"\n", of.host());
    lay_down(guest, &line("/etc/containers/registries.conf.d/mirror.conf", 0o644, &text))
}

fn mirror_down(fetching: &mut Fetching<'_>) -> Result<()> {
    let mirror = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = mirror.local_addr()?.port();
    let (asked, calls) = std::sync::mpsc::channel();
    // It hangs up, so that who asks can be counted; it is gone with the test.
    std::thread::spawn(move || mirror.incoming().try_for_each(|_| asked.send(())));
    mirrors(&mut fetching.node.guest, &fetching.host.release_server, &format!("10.0.2.2:{port}"))?;
    let (release, name) = fetching.release(1000)?;
    let done = fetching.fetch(&name)?.done()?;
    ensure!(done.digest.as_deref() == Some(&release.digest), "{done:?} was fetched");
    ensure!(calls.try_iter().count() > 0, "the mirror was never asked");
    Ok(())
}

fn mirror_with_credentials(fetching: &mut Fetching<'_>) -> Result<()> {
    let mirror = fetching.host.release_server.mirror()?;
    mirrors(&mut fetching.node.guest, &fetching.host.release_server, &mirror.host())?;
    let certificate = format!("/etc/containers/certs.d/{}/ca.crt", mirror.host());
    let both = ReleaseServer::authfile(&[&fetching.host.release_server, &mirror]);
    let lines = line(&certificate, 0o644, &mirror.authority.certificate()?) + &line(AUTHFILE, 0o600, &both);
    lay_down(&mut fetching.node.guest, &lines)?;
    fetching.number += 1;
    let release = fetching.host.write(fetching.host.release(&format!("20261122.{}", fetching.number))?)?;
    // The origin does not have it at all.
    mirror.publish_for(&fetching.host.release_server, &release)?;
    let done = fetching.fetch(&fetching.host.release_server.name(&release.version))?.done()?;
    ensure!(done.digest.as_deref() == Some(&release.digest), "{done:?} was fetched");
    let served = mirror.fault_proxy.served_since(0);
    ensure!(served.iter().any(|one| one.path.ends_with(&release.layer)), "the mirror gave out {served:?}");
    fetching.node.guest.ask("rm /etc/containers/registries.conf.d/mirror.conf").map(drop)
}

fn through_a_proxy(fetching: &mut Fetching<'_>) -> Result<()> {
    let proxy = ConnectProxy::open()?;
    let environment = format!("[Service]\nEnvironment=HTTPS_PROXY=http://10.0.2.2:{}\n", proxy.port);
    let place = "/run/systemd/system/ballast.service.d/proxy.conf";
    lay_down(&mut fetching.node.guest, &line(place, 0o644, &environment))?;
    restart_agent(&mut fetching.node)?;
    let (release, name) = fetching.release(1000)?;
    let done = fetching.fetch(&name)?.done()?;
    ensure!(done.digest.as_deref() == Some(&release.digest), "{done:?} was fetched");
    let targets = proxy.targets();
    ensure!(targets.contains(&fetching.host.release_server.host()), "it did not go through the proxy: {targets:?}");
    fetching.node.guest.ask(&format!("rm {place}"))?;
    restart_agent(&mut fetching.node)
}

fn restart_agent(node: &mut Node) -> Result<()> {
    node.guest.ask("systemctl daemon-reload && systemctl restart ballast.service")?;
    node.agent_is_back(60).map(drop)
}

/// Two boots more; cluster/unreachable.rs has a clock that is wrong as well.
#[cfg(feature = "soak")]
mod soak {
    use super::*;

    /// The board's clock lost its battery: the node goes by the date of its release, which certificates are not older than.
    #[test]
    fn n08_clock_says_1970() {
        Scenario::run("n08", |scenario| {
            let mut host = Installed::on(scenario)?;
            host.options.clock = Some("1970-01-01T00:00:00");
            let (release, name) = host.publish(host.release("20261122.1")?)?;
            let mut node = host.boot()?;
            let year: u32 = node.guest.ask("date +%Y")?.parse()?;
            ensure!(year >= 2026, "the node believes that it is {year}");
            host.upgrade_and_reboot(node, &name)?;
            let mut node = host.boot()?;
            crate::upgrade::runs(&mut node, &release.digest)?;
            node.power_off()
        });
    }
}
