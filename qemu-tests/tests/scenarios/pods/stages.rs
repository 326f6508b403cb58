//! A pod through all stages of its life: an init container, a sidecar with a startup probe, hooks, probes by command, HTTP and TCP, a
//! ConfigMap as volume and variable; its containers write down what they do, in one file.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::guest::quote;
use qemu_vm::node::Node;
use serde_json::{Value, json};

const FILE: &str = "/var/lib/ballast/pods/stages.yaml";

/// Where the containers write, on the node and inside.
const FOLDER: &str = "/run/stages";

/// Units of this boot alone.
const UNITS: &str = "/run/systemd/system";

/// Where the node's stand-in for the pod's server listens.
const PORT: u16 = 8099;

/// Answers with the status that the folder says; it reads the request first, or its end would be a reset.
const SERVER: &str = "while read -r line && [ ${#line} -gt 1 ]; do :; done; \
                      printf 'HTTP/1.1 %s Word\\r\\nContent-Length: 0\\r\\n\\r\\n' $(cat /run/stages/answer)";

/// A container of the node's own shell, which notes its name and, when it is told to end, that too.
fn container(name: &str, script: &str, more: Value) -> Value {
    let mut container = json!({
        "name": name,
        "image": super::CANARY,
        "command": ["/usr/bin/sh", "-c", script],
        "volumeMounts": [
            { "name": "usr", "mountPath": "/usr", "readOnly": true },
            { "name": "lib", "mountPath": "/lib", "readOnly": true },
            { "name": "lib64", "mountPath": "/lib64", "readOnly": true },
            { "name": "stages", "mountPath": FOLDER },
            { "name": "config", "mountPath": "/config" },
            { "name": "shared", "mountPath": "/shared" },
        ],
    });
    if let (Some(container), Value::Object(more)) = (container.as_object_mut(), more) {
        container.extend(more);
    }
    container
}

fn note(what: &str) -> String {
    format!("echo {what} >>{FOLDER}/order")
}

/// Notes `begin`, runs on, and notes `end` when it is told to end.
fn runs(begin: &str, end: &str) -> String {
    format!("trap '{}; exit 0' TERM; {begin}; while :; do sleep 1; done", note(end))
}

fn manifest() -> String {
    let shell = |script: &str| json!({ "exec": { "command": ["/usr/bin/sh", "-c", script] } });
    let with = |mut check: Value, key: &str, value: Value| {
        check[key] = value;
        check
    };
    let quick = |check: Value| with(with(check, "periodSeconds", json!(1)), "timeoutSeconds", json!(20));
    let host = |path: &str| json!({ "hostPath": { "path": path, "type": "DirectoryOrCreate" } });
    let volume = |name: &str, source: Value| with(source, "name", json!(name));
    let log = runs(&format!("{}; sleep 2; touch /shared/up", note("log")), "log-end");
    let app = runs(&note("app $WORD $(cat /shared/word)"), "app-end");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "stages" },
        "spec": {
            "hostNetwork": true,
            "terminationGracePeriodSeconds": 60,
            "volumes": [
                volume("usr", host("/usr")), volume("lib", host("/usr/lib")), volume("lib64", host("/usr/lib64")),
                volume("stages", host(FOLDER)), volume("config", json!({ "configMap": { "name": "words" } })),
                volume("shared", json!({ "emptyDir": {} })),
            ],
            "initContainers": [
                container("first", &format!("{}; cat /config/word >/shared/word", note("first")), json!({})),
                container("log", &log, json!({
                    "restartPolicy": "Always",
                    "startupProbe": with(quick(shell("test -e /shared/up")), "failureThreshold", json!(60)),
                    "readinessProbe": quick(json!({ "tcpSocket": { "host": "127.0.0.1", "port": PORT } })),
                })),
            ],
            "containers": [container("app", &app, json!({
                "env": [{ "name": "WORD", "valueFrom": { "configMapKeyRef": { "name": "words", "key": "word" } } }],
                "lifecycle": { "postStart": shell(&note("post-start")), "preStop": shell(&note("pre-stop")) },
                "livenessProbe": with(quick(shell(&format!("test ! -e {FOLDER}/sick"))), "failureThreshold", json!(2)),
                "readinessProbe": with(
                    quick(json!({ "httpGet": { "host": "127.0.0.1", "port": PORT, "path": "/ready" } })),
                    "failureThreshold",
                    json!(1),
                ),
            }))],
        },
    });
    let words = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "words" }, "data": { "word": "plover" } });
    format!("{words}\n---\n{pod}\n")
}

/// Waits until `ballast pods` shows the pod as `wanted`.
fn pod_when(node: &mut Node, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let deadline = Deadline::secs(120);
    let mut last = Value::Null;
    let found = deadline.poll(Duration::from_secs(1), || {
        let pods: Value =
            serde_json::from_str(&node.guest.ask("ballast pods --json")?).context("reading ballast pods")?;
        last = pods
            .as_array()
            .and_then(|pods| pods.iter().find(|pod| pod["name"] == "stages"))
            .cloned()
            .unwrap_or_default();
        Ok::<_, anyhow::Error>(Some(last.clone()).filter(|pod| wanted(pod)))
    })?;
    found.with_context(|| format!("{what}: the last pod was {last}"))
}

fn container_of<'a>(pod: &'a Value, name: &str) -> &'a Value {
    pod["containers"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name)).unwrap_or(&Value::Null)
}

fn order(node: &mut Node) -> Result<Vec<String>> {
    Ok(node.guest.ask(&format!("cat {FOLDER}/order"))?.lines().map(str::to_owned).collect())
}

/// One after the other in `all`.
fn in_order(all: &[String], words: &[&str]) -> Result<()> {
    let mut rest = all.iter();
    for word in words {
        if !rest.any(|line| line == word) {
            bail!("{word} is missing, or not in the order {words:?}: {all:?}");
        }
    }
    Ok(())
}

pub(super) fn a_pod_goes_through_all_stages(node: &mut Node) -> Result<()> {
    let socket = format!("[Socket]\nListenStream=127.0.0.1:{PORT}\nAccept=yes\n");
    let service =
        format!("[Service]\nExecStart=-/usr/bin/sh {FOLDER}/server\nStandardInput=socket\nStandardError=journal\n");
    node.guest.ask(&format!(
        "mkdir -p {FOLDER} {UNITS} && echo 200 >{FOLDER}/answer && printf %s {} >{FOLDER}/server && \
         printf %s {} >{UNITS}/stages.socket && printf %s {} >{UNITS}/stages@.service && systemctl daemon-reload && \
         systemctl start stages.socket",
        quote(&[SERVER]),
        quote(&[socket]),
        quote(&[service])
    ))?;
    node.guest.ask(&format!("printf %s {} >/var/tmp/pod && mv /var/tmp/pod {FILE}", quote(&[manifest()])))?;
    let pod = pod_when(node, "all of it is ready", |pod| pod["ready"] == true)?;
    ensure!(container_of(&pod, "first")["state"] == "exited", "the init container did not end: {pod}");
    let all = order(node)?;
    in_order(&all, &["first", "log", "app plover plover"])?;
    in_order(&all, &["log", "post-start"])?;

    node.guest.ask(&format!("echo 503 >{FOLDER}/answer"))?;
    let pod = pod_when(node, "it is not ready", |pod| pod["ready"] == false)?;
    ensure!(container_of(&pod, "log")["ready"] == true, "TCP needs no good answer: {pod}");
    ensure!(pod["message"] == "container app is not ready: HTTP status 503", "{pod}");
    let table = node.guest.ask("ballast pods")?;
    ensure!(table.lines().any(|line| line.starts_with("stages ") && line.contains(" 1/2 ")), "{table}");
    node.guest.ask(&format!("echo 200 >{FOLDER}/answer"))?;
    pod_when(node, "it is ready again", |pod| pod["ready"] == true)?;

    node.guest.ask(&format!("touch {FOLDER}/sick"))?;
    pod_when(node, "the sick container is restarted", |pod| container_of(pod, "app")["restarts"].as_u64() >= Some(1))?;
    node.guest.ask(&format!("rm {FOLDER}/sick"))?;
    pod_when(node, "it is ready after its restart", |pod| pod["ready"] == true)?;
    in_order(&order(node)?, &["app plover plover", "pre-stop", "app-end", "app plover plover"])?;

    node.guest.ask(&format!("rm {FILE}"))?;
    pod_when(node, "it is gone", Value::is_null)?;
    // Its record goes when its containers have ended.
    let ended = Deadline::secs(90).poll(Duration::from_secs(1), || {
        Ok::<_, anyhow::Error>(Some(order(node)?).filter(|all| all.last().is_some_and(|last| last == "log-end")))
    })?;
    let all = ended.context("the sidecar did not end, or not as the last one")?;
    in_order(&all, &["app-end", "pre-stop", "app-end", "log-end"])?;
    node.guest.ask(&format!(
        "systemctl stop stages.socket && rm {UNITS}/stages.socket {UNITS}/stages@.service && systemctl daemon-reload"
    ))?;
    Ok(())
}
