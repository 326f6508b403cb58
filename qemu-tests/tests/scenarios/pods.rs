//! Pods of the operator: a manifest file in /var/lib/ballast/pods is created, changed, removed.

use anyhow::{Context, Result, ensure};
use qemu_tests::containers;
use qemu_tests::guest::quote;
use qemu_tests::invariants;
use qemu_tests::node::Node;
use qemu_tests::scenario::Scenario;
use serde_json::json;

const MANIFEST: &str = "/var/lib/ballast/pods/guestbook.yaml";

/// A pod of the image's own container image, telling its `word` through its environment.
fn manifest(word: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "guestbook" },
        "spec": {
            "hostNetwork": true,
            "restartPolicy": "Always",
            "volumes": [
                { "name": "told", "hostPath": { "path": "/run/guestbook", "type": "DirectoryOrCreate" } },
                { "name": "scratch", "emptyDir": {} }
            ],
            "containers": [{
                "name": "writer",
                "image": "localhost/ballast/canary:1",
                "env": [{ "name": "WORD", "value": word }],
                "volumeMounts": [
                    { "name": "told", "mountPath": "/run/canary" },
                    { "name": "scratch", "mountPath": "/scratch" }
                ]
            }]
        }
    })
    .to_string()
}

fn write(node: &mut Node, word: &str) -> Result<()> {
    // Written beside and moved in, as careful operators do; JSON is YAML.
    let script = format!("printf %s {} >/var/tmp/pod && mv /var/tmp/pod {MANIFEST}", quote(&[manifest(word)]));
    node.guest.ask(&script).map(drop)
}

/// The environment of the pod's container, from its process.
fn environment(node: &mut Node) -> Result<String> {
    let running = containers::running(&mut node.guest)?;
    for pid in running.iter().map(|container| container.pid) {
        let environment = node.guest.ask(&format!("tr '\\0' '\\n' </proc/{pid}/environ"))?;
        if environment.contains("WORD=") {
            return Ok(environment);
        }
    }
    anyhow::bail!("no container has WORD in its environment: {running:?}")
}

#[test]
fn operators_pod_follows_its_manifest() {
    Scenario::run("operators_pod", |scenario| {
        let mut node = scenario.thawed()?;

        write(&mut node, "one")?;
        node.status_when("the new pod runs", 60, |status| status.runs("guestbook"))?;
        ensure!(environment(&mut node)?.contains("WORD=one"), "the environment is not the manifest's");
        node.guest.ask("cat /run/guestbook/boot_id").context("the hostPath volume")?;
        invariants::check(&mut node, &scenario.lab.image)?;

        write(&mut node, "two")?;
        let changed = |node: &mut Node| environment(node).is_ok_and(|text| text.contains("WORD=two"));
        let done = qemu_tests::deadline::Deadline::secs(60)
            .poll(std::time::Duration::from_secs(1), || Ok::<_, anyhow::Error>(changed(&mut node).then_some(())))?;
        ensure!(done.is_some(), "the changed manifest did not change the pod");
        node.status_when("the changed pod runs", 60, |status| status.runs("guestbook"))?;

        node.guest.ask("echo 'spec: [' >/var/lib/ballast/pods/broken.yaml")?;
        node.status_when("the broken manifest is named", 30, |status| {
            status.ready && status.reasons.iter().any(|reason| reason.contains("broken.yaml"))
        })?;
        node.guest.ask("rm /var/lib/ballast/pods/broken.yaml")?;

        node.guest.ask(&format!("rm {MANIFEST}"))?;
        node.status_when("the removed pod is gone", 60, |status| status.pod("guestbook").is_none())?;
        ensure!(environment(&mut node).is_err(), "its container still runs");
        node.status_when("the canary still runs", 30, |status| status.runs("canary"))?;
        invariants::check(&mut node, &scenario.lab.image)?;
        node.power_off()
    });
}
