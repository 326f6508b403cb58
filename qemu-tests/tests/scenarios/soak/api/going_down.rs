//! Going down from elsewhere: later, not after all, and when the pods have ended.

use std::time::Duration;

use anyhow::{Result, ensure};
use qemu_vm::{deadline::Deadline, node::Node};
use serde_json::Value;

use super::{Way, Workstation, listens, outcome};

/// A pod that takes a moment to end, well, and writes down that it did: that is no reason not to run again.
const ENDER: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"ender"},"spec":{"terminationGracePeriodSeconds":30,"restartPolicy":"OnFailure",
  "volumes":[{"name":"usr","hostPath":{"path":"/usr"}},{"name":"lib","hostPath":{"path":"/usr/lib"}},{"name":"lib64","hostPath":{"path":"/usr/lib64"}},
  {"name":"end","hostPath":{"path":"/var/lib/ender","type":"DirectoryOrCreate"}}],
  "containers":[{"name":"c","image":"localhost/ballast/canary:1","env":[{"name":"PATH","value":"/usr/bin"}],
  "command":["/usr/bin/sh","-c","trap \"sleep 3; echo ended >/end/word; exit 0\" TERM; while :; do sleep 0.2; done"],
  "volumeMounts":[{"name":"usr","mountPath":"/usr"},{"name":"lib","mountPath":"/lib"},{"name":"lib64","mountPath":"/lib64"},{"name":"end","mountPath":"/end"}]}]}}"#;

const MANIFEST: &str = "/var/lib/ballast/pods/ender.yaml";

/// What is scheduled outlives the agent, is in the status, and is taken back.
pub(super) fn scheduled(way: &mut Way) -> Result<()> {
    let said = way.there.says(&["reboot", "--in", "10m"])?;
    ensure!(said == "the node reboots in 10min\n", "{said}");
    let arguments = ["poweroff"];
    let (_, error) = outcome(&arguments, &way.there.on_node(&arguments).output()?, 5)?;
    ensure!(error.contains("--cancel"), "{error}");
    way.node.guest.ask("systemctl kill --signal=KILL ballast.service")?;
    way.node.agent_is_back(60)?;
    listens(&mut way.node)?;
    let going = pending(way)?;
    ensure!(going["phase"] == "scheduled" && going["action"] == "reboot", "{going}");
    let said = way.there.says(&["reboot", "--cancel"])?;
    ensure!(said == "taken back; the node stays up\n", "{said}");
    let over = || Ok::<_, anyhow::Error>(pending(way)?.is_null().then_some(()));
    ensure!(Deadline::secs(30).poll(Duration::from_secs(1), over)?.is_some(), "it is scheduled still");
    Ok(())
}

fn pending(way: &Way) -> Result<Value> {
    let status: Value = serde_json::from_str(&way.there.says(&["status", "--json"])?)?;
    Ok(status["going_down"].clone())
}

/// Reboots a node: a pod of it must end first. It is over when this returns.
pub(super) fn goes(there: &Workstation, mut node: Node) -> Result<()> {
    node.guest.ask(&format!("printf %s '{ENDER}' >/var/tmp/pod && mv /var/tmp/pod {MANIFEST}"))?;
    node.status_when("the pod runs", 90, |status| status.runs("ender"))?;
    // There is no cluster, so nothing to drain.
    there.says(&["reboot", "--in", "2s", "--drain"])?;
    let lines = node.ends(Deadline::secs(300))?;
    let says = |text: &str| lines.iter().any(|line| line.text.contains(text));
    ensure!(
        says("the node reboots in 2s, drained first; ballast reboot --cancel takes it back"),
        "the console is silent"
    );
    Ok(())
}

/// What the pod wrote, looked at in the next boot, in which it runs again.
pub(super) fn has_ended(node: &mut Node) -> Result<()> {
    let word = node.guest.ask("cat /var/lib/ender/word")?;
    ensure!(word.trim() == "ended", "the pod was not let end: {word:?}");
    node.status_when("it runs again", 120, |status| status.runs("ender"))?;
    ensure!(pending_here(node)?.is_null(), "it is to go down still");
    node.guest.ask(&format!("rm {MANIFEST}"))?;
    Ok(())
}

fn pending_here(node: &mut Node) -> Result<Value> {
    let status: Value = serde_json::from_str(&node.guest.ask("ballast status --json || :")?)?;
    Ok(status["going_down"].clone())
}
