//! Pods of the operator: a manifest file in /var/lib/ballast/pods is created, changed, removed; the network that pods have.

mod stages;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::containers;
use qemu_vm::deadline::Deadline;
use qemu_vm::guest::quote;
use qemu_vm::invariants;
use qemu_vm::lab::Options;
use qemu_vm::metadata::{Cloud, Given, Service};
use qemu_vm::node::Node;
use qemu_vm::release::canary_by_digest;
use qemu_vm::scenario::Scenario;
use serde_json::json;

use super::manifests;

/// Where a node finds the host in a network with a metadata service (`qemu::network::OnLink`).
const HOST: &str = "169.0.2.2";

const MANIFEST: &str = "/var/lib/ballast/pods/guestbook.yaml";

/// The image's own container image.
const CANARY: &str = "localhost/ballast/canary:1";

/// A pod of the image's own container image, reporting its `word` through its environment, in the node's network or one of its own.
fn manifest(word: &str, host_network: bool) -> String {
    manifest_of(CANARY, word, host_network)
}

/// The same, naming the image another way.
fn manifest_of(image: &str, word: &str, host_network: bool) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "guestbook" },
        "spec": {
            "hostNetwork": host_network,
            "restartPolicy": "Always",
            "volumes": [
                { "name": "reported", "hostPath": { "path": "/run/guestbook", "type": "DirectoryOrCreate" } },
                { "name": "scratch", "emptyDir": {} }
            ],
            "containers": [{
                "name": "writer",
                "image": image,
                "env": [{ "name": "WORD", "value": word }],
                "volumeMounts": [
                    { "name": "reported", "mountPath": "/run/canary" },
                    { "name": "scratch", "mountPath": "/scratch" }
                ]
            }]
        }
    })
    .to_string()
}

fn write(node: &mut Node, manifest: String) -> Result<()> {
    // Written beside and moved in, as careful operators do; JSON is YAML.
    let script = format!("printf %s {} >/var/tmp/pod && mv /var/tmp/pod {MANIFEST}", quote(&[manifest]));
    node.guest.ask(&script).map(drop)
}

/// The pod's container, by its process, and its environment.
fn container(node: &mut Node) -> Result<(u32, String)> {
    let running = containers::running(&mut node.guest)?;
    for pid in running.iter().map(|container| container.pid) {
        let environment = node.guest.ask(&format!("tr '\\0' '\\n' </proc/{pid}/environ"))?;
        if environment.contains("WORD=") {
            return Ok((pid, environment));
        }
    }
    bail!("no container has WORD in its environment: {running:?}")
}

/// Waits until the pod's container has `word` in its environment; gives its process.
fn reports(node: &mut Node, word: &str) -> Result<u32> {
    let reported = |node: &mut Node| container(node).ok().filter(|(_, text)| text.contains(&format!("WORD={word}")));
    let found = Deadline::secs(60).poll(Duration::from_secs(1), || Ok::<_, anyhow::Error>(reported(node)))?;
    let (pid, _) = found.with_context(|| format!("no container reports the word {word}"))?;
    node.status_when("the pod runs", 60, |status| status.runs("guestbook"))?;
    Ok(pid)
}

/// A pod whose program is not in its image.
fn without_program() -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "mute" },
        "spec": {
            "hostNetwork": true,
            "restartPolicy": "Never",
            "containers": [{ "name": "mute", "image": CANARY, "command": ["/no/such/program"] }]
        }
    })
    .to_string()
}

/// Whether this is what a runtime says of a program that is not there.
fn names_the_program(text: &str) -> bool {
    text.contains("/no/such/program") && text.to_lowercase().contains("no such file or directory")
}

/// Why it does not run is reported, once among the reasons and once with the container.
fn a_container_that_cannot_start_says_why(node: &mut Node) -> Result<()> {
    let file = "/var/lib/ballast/pods/mute.yaml";
    node.guest.ask(&format!("printf %s {} >{file}", quote(&[without_program()])))?;
    node.status_when("the runtime's sentence is shown", 60, |status| {
        let is_reported =
            status.reasons.iter().any(|reason| reason.starts_with("pod mute: ") && names_the_program(reason));
        let ended = status.pod("mute").and_then(|pod| pod.containers.first()?.ended.as_ref());
        status.ready
            && is_reported
            && ended.is_some_and(|ended| ended.exit_code != 0 && names_the_program(&ended.message))
    })?;
    node.guest.ask(&format!("rm {file}"))?;
    node.status_when("the pod that did not start is gone", 60, |status| status.pod("mute").is_none())?;
    Ok(())
}

#[test]
fn operators_pod_follows_its_manifest() {
    Scenario::run("operators_pod", |scenario| {
        let mut node = scenario.restored()?;

        write(&mut node, manifest("one", true))?;
        reports(&mut node, "one")?;
        node.guest.ask("cat /run/guestbook/boot_id").context("the hostPath volume")?;
        invariants::check(&mut node, &scenario.lab.image)?;

        // By its digest the image is on the node as well; no registry has it.
        let by_digest = canary_by_digest(&scenario.lab.image)?;
        write(&mut node, manifest_of(&by_digest, "two", true))?;
        reports(&mut node, "two").context("the changed manifest did not change the pod")?;
        a_container_that_cannot_start_says_why(&mut node)?;
        stages::a_pod_goes_through_all_stages(&mut node)?;
        manifests::say_what_a_container_has(&mut node)?;

        node.guest.ask("echo 'spec: [' >/var/lib/ballast/pods/broken.yaml")?;
        node.status_when("the broken manifest is named", 30, |status| {
            status.ready && status.reasons.iter().any(|reason| reason.contains("broken.yaml"))
        })?;
        node.guest.ask("rm /var/lib/ballast/pods/broken.yaml")?;

        node.guest.ask(&format!("rm {MANIFEST}"))?;
        node.status_when("the removed pod is gone", 60, |status| status.pod("guestbook").is_none())?;
        ensure!(container(&mut node).is_err(), "its container still runs");
        node.status_when("the canary still runs", 30, |status| status.runs("canary"))?;
        invariants::check(&mut node, &scenario.lab.image)?;
        node.power_off()
    });
}

/// The address of version 4 that `process` has on its one interface to others.
fn address(node: &mut Node, process: u32) -> Result<Ipv4Addr> {
    let line = node.guest.ask(&format!("nsenter --target={process} --net ip -4 -oneline address show dev eth0"))?;
    let address =
        line.split_whitespace().skip_while(|word| *word != "inet").nth(1).and_then(|text| text.split('/').next());
    address.and_then(|text| text.parse().ok()).with_context(|| format!("no address in {line:?}"))
}

/// The metadata service of most clouds.
const METADATA: &str = "169.254.169.254";

/// From the network of `process` the host is reached: over the bridge, by the node's routes, under the node's address.
fn reaches_the_host(node: &mut Node, process: u32) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening a port")?;
    let port = listener.local_addr().context("reading the port")?.port();
    listener.set_nonblocking(true).context("not waiting at the port")?;
    // Of the image's programs, ostree is the one that asks over HTTP. It gets no answer: that it came is what counts.
    let ask = format!(
        "cd /run && mkdir -p asks && ostree init --repo=asks --mode=bare-user-only && \
         ostree --repo=asks remote add --if-not-exists --no-sign-verify host{port} http://{HOST}:{port} && \
         ! nsenter --target={process} --net timeout 10 ostree --repo=asks remote summary host{port} 2>&1"
    );
    let said = node.guest.ask(&ask)?;
    match listener.accept() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("nobody came from the pod's network: {said}"),
        Err(error) => Err(error).context("taking the connection"),
    }
}

/// Whether the metadata service is reached from the network of `process`, or of the node.
fn asks_for_metadata(node: &mut Node, service: &Service, process: Option<u32>) -> Result<bool> {
    let before = service.mark();
    let inside = process.map_or(String::new(), |process| format!("nsenter --target={process} --net "));
    // As above. What is answered is not what ostree wants.
    let ask = format!(
        "cd /run && mkdir -p metadata && ostree init --repo=metadata --mode=bare-user-only && \
         ostree --repo=metadata remote add --if-not-exists --no-sign-verify cloud http://{METADATA} && \
         ! {inside}timeout 10 ostree --repo=metadata remote summary cloud 2>&1"
    );
    node.guest.ask(&ask)?;
    Ok(service.mark() > before)
}

/// The node reaches it, and the pod does not; packets to the other addresses, which nobody has here, are not let out either.
fn metadata_is_for_the_node_alone(node: &mut Node, service: &Service, process: u32) -> Result<()> {
    ensure!(asks_for_metadata(node, service, None)?, "the node itself does not reach the metadata service");
    ensure!(!asks_for_metadata(node, service, Some(process))?, "a pod reaches the metadata service");
    let rules = node.guest.ask("nft list table inet ballast")?;
    for address in
        ["169.254.0.0/16", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254", "fd00:42::42"]
    {
        ensure!(rules.contains(address), "nothing is said of {address}: {rules}");
    }
    let dropped = rules.lines().find(|line| line.contains("counter packets")).context("nothing is counted")?;
    ensure!(!dropped.contains("packets 0 "), "the pod's packets were not dropped there: {rules}");
    Ok(())
}

/// CAP_NET_RAW is bit 13 (include/uapi/linux/capability.h); CAP_CHOWN, bit 0, a container has.
fn has_no_raw_sockets(node: &mut Node, process: u32) -> Result<()> {
    let line = node.guest.ask(&format!("grep CapBnd: /proc/{process}/status"))?;
    let set = line.split_whitespace().last().and_then(|text| u64::from_str_radix(text, 16).ok());
    let set = set.with_context(|| format!("no capabilities in {line:?}"))?;
    ensure!(set & 1 == 1, "a container has no capabilities at all: {line}");
    ensure!(set & (1 << 13) == 0, "a container may open raw sockets: {line}");
    Ok(())
}

#[test]
fn pods_have_a_network_of_their_own() {
    Scenario::run("pod_network", |scenario| {
        // The machine says of no cloud that it is one, so the agent asks for nothing.
        let service = Service::open(Cloud::OpenStack, Given::default(), scenario.scratch())?;
        let mut node = scenario.healthy(&Options { network: service.network(), ..Options::default() })?;

        write(&mut node, manifest("own", false))?;
        let process = reports(&mut node, "own")?;
        let first = address(&mut node, process)?;
        ensure!(first.octets()[..2] == [10, 88], "a pod's address is {first}");
        reaches_the_host(&mut node, process)?;
        metadata_is_for_the_node_alone(&mut node, &service, process)?;
        has_no_raw_sockets(&mut node, process)?;

        // Another subnet is for pods that start later.
        node.guest.ask("ballast settings set network.pod_subnet 10.99.1.0/24")?;
        write(&mut node, manifest("moved", false))?;
        let process = reports(&mut node, "moved")?;
        let second = address(&mut node, process)?;
        ensure!(second.octets()[..3] == [10, 99, 1], "after the change a pod's address is {second}");
        reaches_the_host(&mut node, process)?;

        // A cluster's network comes before the node's own, with programs in /opt/cni/bin: this one is the image's under another name.
        let theirs = json!({ "cniVersion": "1.0.0", "name": "theirs", "plugins": [{
            "type": "theirs", "bridge": "theirs0", "isGateway": true, "ipMasq": true, "ipMasqBackend": "nftables",
            "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.77.0.0/24" }]],
                "routes": [{ "dst": "0.0.0.0/0" }], "dataDir": "/run/cni" },
        }] });
        let file = quote(&[theirs.to_string()]);
        node.guest.ask(&format!(
            "cp /usr/lib/cni/bridge /opt/cni/bin/theirs && printf %s {file} >/etc/cni/net.d/10-theirs.conflist"
        ))?;
        write(&mut node, manifest("theirs", false))?;
        let process = reports(&mut node, "theirs")?;
        let third = address(&mut node, process)?;
        ensure!(third.octets()[..2] == [10, 77], "in a cluster's network a pod's address is {third}");
        ensure!(
            !asks_for_metadata(&mut node, &service, Some(process))?,
            "a pod of a cluster's network reaches metadata"
        );
        node.guest.ask("ballast settings set pods.metadata_service true")?;
        ensure!(asks_for_metadata(&mut node, &service, Some(process))?, "the settings allow it, and it is not reached");
        node.guest.ask("ballast settings unset pods.metadata_service")?;
        ensure!(
            !asks_for_metadata(&mut node, &service, Some(process))?,
            "it is reached when the settings say so no more"
        );

        invariants::check(&mut node, &scenario.lab.image)?;
        node.power_off()
    });
}
