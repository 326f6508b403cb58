//! N06, N07, N09, N10, N11 with registries from the settings: pods' pulls and upgrades take the same mirrors, credentials,
//! authorities and proxy. One boot for all of them, as in `network.rs`, where files were laid down by hand.

use anyhow::{Context, Result, ensure};
use qemu_vm::containers;
use qemu_vm::fault_proxy::ConnectProxy;
use qemu_vm::guest::quote;
use qemu_vm::installed::Installed;
use qemu_vm::node::Node;
use qemu_vm::registry::{Authority, Validity};
use qemu_vm::release::{PodImage, Written};
use qemu_vm::release_server::HOST;
use qemu_vm::releases::Ended;
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::settings::{Said, apply, set};
use serde_json::json;

use crate::settings::{processes, secrets_are_kept, user_data};

/// A node that pulls image after image, and fetches release after release, each of which it does not have yet.
struct Pulling<'a> {
    host: Installed<'a>,
    node: Node,
    number: u32,
}

/// Where a pod's manifest is put.
const PODS: &str = "/var/lib/ballast/pods";

impl Pulling<'_> {
    fn release(&mut self) -> Result<Written> {
        self.number += 1;
        self.host.write(self.host.release(&format!("20261122.{}", self.number))?)
    }

    /// An image for pods, and its tag.
    fn image(&mut self) -> Result<(PodImage, String)> {
        self.number += 1;
        let tag = self.number.to_string();
        let folder = self.host.release_server.folder().join(format!("pod-{tag}"));
        Ok((PodImage::write(&self.host.scenario.lab.image, &tag, &folder)?, tag))
    }

    fn published(&mut self) -> Result<String> {
        let (image, tag) = self.image()?;
        self.host.release_server.publish_pod(&image, &tag)
    }

    /// Wants a pod of the image `name`; gives the pod's name.
    fn wants(&mut self, name: &str) -> Result<String> {
        let pod = format!("hello-{}", self.number);
        let manifest = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod},
            "spec": {
                "hostNetwork": true,
                "volumes": [{"name": "reported", "hostPath": {"path": "/run/hello", "type": "DirectoryOrCreate"}}],
                "containers": [{"name": "hello", "image": name, "imagePullPolicy": "Always",
                    "volumeMounts": [{"name": "reported", "mountPath": "/run/canary"}]}]
            }
        });
        let text = quote(&[manifest.to_string()]);
        let script = format!("printf %s {text} >/var/tmp/pod && mv /var/tmp/pod {PODS}/{pod}.yaml");
        self.node.guest.ask(&script)?;
        Ok(pod)
    }

    fn runs(&mut self, pod: &str) -> Result<()> {
        self.node.status_when(&format!("{pod} runs"), 120, |status| status.runs(pod))?;
        self.gone(pod)
    }

    fn gone(&mut self, pod: &str) -> Result<()> {
        self.node.guest.ask(&format!("rm {PODS}/{pod}.yaml"))?;
        self.node.status_when(&format!("{pod} is gone"), 60, |status| status.pod(pod).is_none()).map(drop)
    }

    /// It cannot be pulled, for a reason that has one of `words`.
    fn is_not_pulled(&mut self, pod: &str, words: &[&str]) -> Result<()> {
        let why = |reason: &String| reason.contains("pulling") && words.iter().any(|word| reason.contains(word));
        let what = format!("a reason why {pod} is not pulled, with one of {words:?}");
        let status = self.node.status_when(&what, 90, |status| status.reasons.iter().any(why))?;
        ensure!(!status.runs(pod), "{pod} runs");
        Ok(())
    }

    /// A pod of a new image runs, and a new release is fetched.
    fn both_work(&mut self) -> Result<()> {
        let name = self.published()?;
        let pod = self.wants(&name)?;
        self.runs(&pod).context("a pod's pull")?;
        let release = self.release()?;
        let name = self.host.release_server.publish(&release)?;
        self.is_fetched(&name, &release).context("an upgrade")
    }

    fn is_fetched(&mut self, name: &str, release: &Written) -> Result<()> {
        let done = Ended::of(&mut self.node.guest, &["upgrade", "--fetch-only", name])?.done()?;
        ensure!(done.digest.as_deref() == Some(&release.digest), "{done:?} was fetched");
        Ok(())
    }

    /// Neither works; `words` are the runtime's for why, `kind` and `reported` the upgrade's.
    fn neither_works(&mut self, words: &[&str], kind: &str, reported: &str) -> Result<String> {
        let name = self.published()?;
        let pod = self.wants(&name)?;
        self.is_not_pulled(&pod, words).context("a pod's pull")?;
        let release = self.release()?;
        let name = self.host.release_server.publish(&release)?;
        let why = Ended::of(&mut self.node.guest, &["upgrade", "--fetch-only", &name])?.failed(1, kind)?;
        ensure!(why.contains(reported), "an upgrade: the reason does not have {reported:?}: {why}");
        Ok(pod)
    }

    /// What an operator says of the registry on the node: the same, with `mirrors`, and whatever else.
    fn apply(&mut self, document: &str) -> Result<()> {
        apply(&mut self.node.guest, document)?;
        let problems = self.node.status()?.settings.problems;
        ensure!(problems.is_empty(), "what is right is complained about: {problems:?}");
        Ok(())
    }

    /// Only the user-data holds again.
    fn forget(&mut self) -> Result<()> {
        apply(&mut self.node.guest, "")?;
        self.node.status_when("the node is ready", 60, |status| status.ready).map(drop)
    }
}

type Case = (&'static str, fn(&mut Pulling<'_>) -> Result<()>);

const CASES: [Case; 7] = [
    ("user-data alone", |pulling| pulling.both_work()),
    ("N06 401, then other credentials", other_credentials),
    ("N07 wrong CA", wrong_authority),
    ("N07 expired", expired),
    ("N09 mirror down", mirror_down),
    ("N10 mirror with its own credentials", mirror_with_credentials),
    ("N11 through a proxy", through_a_proxy),
];

#[test]
fn n06_n07_n09_n10_n11_registries_of_the_settings_for_pods_and_upgrades() {
    Scenario::run("n_settings", |scenario| {
        let mut host = Installed::on(scenario)?;
        // Nothing but the settings says how the registry is reached; only the key to trust lies there already.
        host.options.credentials = host.release_server.reported_key()?;
        host.options.credentials.push(user_data(&host.release_server.setting(&[])?)?);
        let node = host.boot()?;
        let mut pulling = Pulling { host, node, number: 0 };
        let mut cases = Cases::default();
        for (name, case) in CASES {
            let outcome = case(&mut pulling);
            pulling.host.release_server.fault_proxy.heals();
            // What a case that failed leaves must not fail the next one.
            let left = pulling.node.guest.shell(&format!("rm -f {PODS}/hello-*.yaml"));
            cases.note(name, outcome.and_then(|()| pulling.forget()).and(left.map(drop)));
        }
        cases.note("secrets are kept", secrets_are_kept(&mut pulling.node.guest, "pass word"));
        cases.end()?;
        pulling.node.power_off()
    });
}

fn other_credentials(pulling: &mut Pulling<'_>) -> Result<()> {
    let host = pulling.host.release_server.host();
    let before = processes(&mut pulling.node.guest)?;
    pulling.apply(&format!("[[registry]]\nhost = \"{host}\"\nusername = \"node\"\npassword = \"wrong\"\n"))?;
    let pod = pulling.neither_works(&["401", "nauthorized", "authorization failed"], "unauthorized", &host)?;
    set(&mut pulling.node.guest, &format!("registry.\"{host}\".password"), "pass word")?;
    // The pod that waits is pulled without anybody's doing.
    pulling.runs(&pod).context("with the right password")?;
    pulling.both_work().context("with the right password")?;
    // containerd reads credentials when it starts: it is started again, its pods are not, nor is the agent.
    let ([agent, _], [agent_before, _]) = (processes(&mut pulling.node.guest)?, before);
    ensure!(agent == agent_before, "the agent was started again for a password");
    Ok(())
}

fn wrong_authority(pulling: &mut Pulling<'_>) -> Result<()> {
    let release_server = &pulling.host.release_server;
    let host = release_server.host();
    let stranger =
        Authority::make(&pulling.host.scenario.lab.tools, release_server.folder(), "stranger")?.certificate()?;
    pulling.apply(&format!("[[registry]]\nhost = \"{host}\"\nca = \"\"\"\n{stranger}\"\"\"\n"))?;
    let pod = pulling.neither_works(&["x509", "certificate"], "unreachable", "certificate")?;
    let right = pulling.host.release_server.authority.certificate()?;
    pulling.apply(&format!("[[registry]]\nhost = \"{host}\"\nca = \"\"\"\n{right}\"\"\"\n"))?;
    pulling.runs(&pod).context("with the right authority")?;
    pulling.both_work().context("with the right authority")
}

fn expired(pulling: &mut Pulling<'_>) -> Result<()> {
    pulling.host.release_server.fault_proxy.shows(pulling.host.release_server.authority.issue(Validity::Expired)?);
    let outcome = pulling.neither_works(&["expired"], "unreachable", "xpired");
    pulling.host.release_server.fault_proxy.shows(pulling.host.release_server.authority.issue(Validity::Current)?);
    let pod = outcome?;
    pulling.runs(&pod).context("with a certificate that holds")
}

fn mirror_down(pulling: &mut Pulling<'_>) -> Result<()> {
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let document =
        pulling.host.release_server.setting(&[])? + &format!("[[registry.mirrors]]\nhost = \"{HOST}:{port}\"\n");
    pulling.apply(&document)?;
    pulling.both_work()
}

fn mirror_with_credentials(pulling: &mut Pulling<'_>) -> Result<()> {
    let mirror = pulling.host.release_server.mirror()?;
    pulling.apply(&pulling.host.release_server.setting(&[&mirror])?)?;
    // The origin does not have them at all.
    let (image, tag) = pulling.image()?;
    mirror.publish_pod(&image, &tag)?;
    let pod = pulling.wants(&pulling.host.release_server.pod_name(&tag))?;
    pulling.runs(&pod).context("a pod's pull")?;
    let release = pulling.release()?;
    mirror.publish_for(&pulling.host.release_server, &release)?;
    let name = pulling.host.release_server.name(&release.version);
    pulling.is_fetched(&name, &release).context("an upgrade")?;
    let served = mirror.fault_proxy.served_since(0);
    for layer in [&image.layer, &release.layer] {
        let whole = served.iter().any(|one| one.path.contains(layer.as_str()) && one.sent > 0);
        ensure!(whole, "the mirror did not give out {layer}: {served:?}");
    }
    Ok(())
}

fn through_a_proxy(pulling: &mut Pulling<'_>) -> Result<()> {
    let proxy = ConnectProxy::open()?;
    let running = containers::running(&mut pulling.node.guest)?;
    set(&mut pulling.node.guest, "network.proxy.https", &format!("http://{HOST}:{}", proxy.port))?;
    pulling.node.status_when("containerd is back", 90, |status| status.ready)?;
    ensure!(containers::running(&mut pulling.node.guest)? == running, "pods were started again for a proxy");
    let host = pulling.host.release_server.host();
    let through = |proxy: &ConnectProxy| proxy.targets().iter().filter(|target| **target == host).count();

    let name = pulling.published()?;
    let pod = pulling.wants(&name)?;
    pulling.runs(&pod).context("a pod's pull")?;
    let pulled = through(&proxy);
    ensure!(pulled > 0, "the pull did not go through the proxy: {:?}", proxy.targets());
    let release = pulling.release()?;
    let name = pulling.host.release_server.publish(&release)?;
    pulling.is_fetched(&name, &release).context("an upgrade")?;
    ensure!(through(&proxy) > pulled, "the upgrade did not go through the proxy: {:?}", proxy.targets());

    Said::of(&mut pulling.node.guest, &["unset", "network.proxy"])?.done()?;
    pulling.node.status_when("containerd is back", 90, |status| status.ready)?;
    let before = proxy.targets().len();
    pulling.both_work().context("without the proxy")?;
    ensure!(proxy.targets().len() == before, "it still goes through the proxy");
    Ok(())
}
