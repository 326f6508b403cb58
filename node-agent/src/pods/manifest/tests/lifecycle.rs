//! Probes, hooks, init containers, termination messages and deadlines.

use std::time::Duration;

use super::*;
use crate::pods::{
    model::Termination,
    probes::model::{Check, Hook, HttpGet, Probe, Probes},
};

/// A pod of one container with `more`, in YAML's short form.
fn with(more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n  - name: c\n    image: x\n    env: [{{name: A, value: '1'}}]\n    \
         ports: [{{containerPort: 8080, name: http}}]\n    {more}\n"
    )
}

fn container(more: &str) -> crate::pods::model::Container {
    parse("f.yaml", &with(more)).unwrap().spec.containers.remove(0)
}

fn probe(check: Check) -> Probe {
    let secs = Duration::from_secs;
    Probe { check, initial_delay: secs(0), period: secs(10), timeout: secs(1), successes: 1, failures: 3, grace: None }
}

#[test]
fn probes_are_read_with_kubernetes_defaults() {
    let page = HttpGet { is_https: false, host: None, port: 8080, path: "/".to_owned(), headers: vec![] };
    let table = [
        (
            "{exec: {command: [check, $(A), $(B)]}}",
            Check::Exec { command: ["check", "1", "$(B)"].map(str::to_owned).into() },
        ),
        ("{httpGet: {port: http}}", Check::Http(page.clone())),
        (
            "{httpGet: {port: 81, scheme: HTTPS, host: h, path: '/a?b', httpHeaders: [{name: X-A, value: v}]}}",
            Check::Http(HttpGet {
                is_https: true,
                host: Some("h".to_owned()),
                port: 81,
                path: "/a?b".to_owned(),
                headers: vec![("X-A".to_owned(), "v".to_owned())],
            }),
        ),
        ("{tcpSocket: {port: '80'}}", Check::Tcp { host: None, port: 80 }),
        ("{grpc: {port: 5000, service: s}}", Check::Grpc { port: 5000, service: "s".to_owned() }),
    ];
    for (text, check) in table {
        let read = container(&format!("readinessProbe: {text}")).probes;
        assert_eq!(read, Probes { readiness: Some(probe(check)), ..Probes::default() }, "{text}");
    }
    let all = "startupProbe: {tcpSocket: {port: 1}, initialDelaySeconds: 2, periodSeconds: 3, timeoutSeconds: 4, failureThreshold: 5, \
               successThreshold: 1, terminationGracePeriodSeconds: 6}";
    let secs = Duration::from_secs;
    let expected = Probe {
        initial_delay: secs(2),
        period: secs(3),
        timeout: secs(4),
        failures: 5,
        grace: Some(secs(6)),
        ..probe(Check::Tcp { host: None, port: 1 })
    };
    assert_eq!(container(all).probes.startup, Some(expected));
    // 0 is what is not said.
    let zeros = "livenessProbe: {tcpSocket: {port: 1}, periodSeconds: 0, timeoutSeconds: 0, failureThreshold: 0, successThreshold: 0}";
    assert_eq!(container(zeros).probes.liveness, Some(probe(Check::Tcp { host: None, port: 1 })));
}

#[test]
fn hooks_and_termination_messages_are_read() {
    let read = container("lifecycle: {postStart: {exec: {command: [hi]}}, preStop: {sleep: {seconds: 5}}}").lifecycle;
    assert_eq!(read.post_start, Some(Hook::Exec { command: vec!["hi".to_owned()] }));
    assert_eq!(read.pre_stop, Some(Hook::Sleep { time: Duration::from_secs(5) }));
    let read =
        container("terminationMessagePath: /tmp/word\n    terminationMessagePolicy: FallbackToLogsOnError").termination;
    assert_eq!(read, Termination { path: "/tmp/word".to_owned(), falls_back_to_logs: true });
    assert_eq!(container("terminationMessagePolicy: File").termination, Termination::default());
    assert_eq!(container("terminationMessagePath: word").termination, Termination::default());
}

#[test]
fn a_termination_message_makes_no_other_pod() {
    let pod = |more: &str| {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{containers: [{{name: c, image: x{more}}}]}}}}"
        );
        parse("f.yaml", &text).unwrap()
    };
    let usual = pod("");
    for (more, notes) in [
        (", terminationMessagePath: /tmp/word", 0),
        (", terminationMessagePolicy: FallbackToLogsOnError", 0),
        (", terminationMessagePath: word, terminationMessagePolicy: Log", 2),
    ] {
        let found = pod(more);
        assert_eq!((&found.uid, found.notes.len()), (&usual.uid, notes), "{more}: {:?}", found.notes);
    }
}

#[test]
fn init_containers_and_sidecars_are_read() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  activeDeadlineSeconds: 60\n  initContainers:\n  - {name: i, image: x}\n  \
                - {name: s, image: x, restartPolicy: Always, readinessProbe: {tcpSocket: {port: 1}}}\n  containers: [{name: c, image: x}]\n";
    let spec = parse("f.yaml", text).unwrap().spec;
    let shown: Vec<(&str, bool)> = spec.all_containers().map(|one| (&*one.name, one.is_sidecar)).collect();
    assert_eq!(shown, [("i", false), ("s", true), ("c", false)]);
    assert_eq!(spec.active_deadline, Some(Duration::from_secs(60)));
}

#[test]
fn what_is_wrong_with_probes_and_hooks_is_named() {
    let table = [
        ("livenessProbe: {}", "spec.containers[0].livenessProbe: expected one of exec, httpGet, tcpSocket, grpc"),
        (
            "livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}",
            "spec.containers[0].livenessProbe: expected only one of exec, httpGet, tcpSocket, grpc",
        ),
        (
            "livenessProbe: {exec: {}}",
            "spec.containers[0].livenessProbe.exec.command: expected a program and its arguments",
        ),
        (
            "livenessProbe: {httpGet: {port: htp}}",
            "spec.containers[0].livenessProbe.httpGet.port: `htp` is none of the names in the container's ports",
        ),
        (
            "livenessProbe: {tcpSocket: {port: 70000}}",
            "spec.containers[0].livenessProbe.tcpSocket.port: expected a port's number, or its name in the container's ports",
        ),
        ("livenessProbe: {tcpSocket: {}}", "spec.containers[0].livenessProbe.tcpSocket: the field `port` is missing"),
        (
            "livenessProbe: {grpc: {port: http}}",
            "spec.containers[0].livenessProbe.grpc.port: expected a number from 0 to 65535",
        ),
        (
            "livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}",
            "spec.containers[0].livenessProbe.successThreshold: expected 1, as of every liveness probe",
        ),
        (
            "readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 2}",
            "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: is not possible here: a readiness probe ends nothing",
        ),
        (
            "livenessProbe: {httpGet: {port: 1, httpHeaders: [{name: 'a b'}]}}",
            "spec.containers[0].livenessProbe.httpGet.httpHeaders[0].name: expected the name of a header",
        ),
        (
            "livenessProbe: {tcpSocket: {port: 1}, colour: red}",
            "spec.containers[0].livenessProbe.colour: unknown field, expected one of",
        ),
        ("lifecycle: {preStop: {}}", "spec.containers[0].lifecycle.preStop: expected one of exec, httpGet, sleep"),
        (
            "lifecycle: {preStop: {tcpSocket: {port: 1}}}",
            "spec.containers[0].lifecycle.preStop.tcpSocket: is possible in probes only",
        ),
        (
            "lifecycle: {preStop: {sleep: {}}}",
            "spec.containers[0].lifecycle.preStop.sleep: the field `seconds` is missing",
        ),
        ("restartPolicy: Always", "spec.containers[0].restartPolicy: is not supported on this node"),
    ];
    for (more, expected) in table {
        let found = problems(&with(more));
        let is_it = |problem: &String| {
            problem.starts_with(&format!("10: {expected}")) || problem.starts_with(&format!("6: {expected}"))
        };
        assert!(found.iter().any(is_it), "{more}: {found:#?}");
    }
    let init = |more: &str| {
        with("").replace("  containers:", &format!("  initContainers: [{{name: i, image: x, {more}}}]\n  containers:"))
    };
    for (more, expected) in [
        (
            "livenessProbe: {tcpSocket: {port: 1}}",
            "5: spec.initContainers[0].livenessProbe: is possible in an init container with",
        ),
        ("restartPolicy: Never", "5: spec.initContainers[0].restartPolicy: `Never` is unknown, expected one of Always"),
    ] {
        let found = problems(&init(more));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{more}: {found:#?}");
    }
    let twice = init("command: [a]").replace("name: i,", "name: c,");
    assert_eq!(problems(&twice), ["7: spec.containers[0].name: this name is given to two containers"]);
}
