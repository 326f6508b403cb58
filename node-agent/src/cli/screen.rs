//! The status for a person: one screen, the important first.

use std::fmt::Write;

use crate::report::status::{Container, Deployment, Pod, Status};

const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

/// A digest is recognised by its first letters.
const SHORT_COMMIT: usize = 12;

/// The screen; in colour if `colour`.
pub(super) fn render(status: &Status, colour: bool) -> String {
    let paint = |code: &str, text: &str| if colour { format!("{code}{text}{RESET}") } else { text.to_owned() };
    let state = match (status.ready, status.reasons.is_empty()) {
        (true, true) => paint(GREEN, "ready"),
        (true, false) => paint(YELLOW, "ready, degraded"),
        (false, _) => paint(RED, "not ready"),
    };
    let mut out = String::new();
    line(&mut out, &format!("{} {}", paint(BOLD, &status.node.hostname), state));
    for reason in &status.reasons {
        line(&mut out, &format!("  {} {reason}", paint(if status.ready { YELLOW } else { RED }, "!")));
    }
    line(&mut out, "");
    let commit = status.os.commit.as_deref().map_or(String::new(), |commit| format!("  {}", short(commit)));
    field(&mut out, "OS", &format!("{} {}{commit}", status.os.id, status.os.version));
    field(&mut out, "Boot", &boot(status));
    let runtime = &status.runtime;
    let ready = if runtime.ready { paint(GREEN, "ready") } else { paint(RED, "not ready") };
    let restarts = times(runtime.restarts);
    field(&mut out, "Runtime", format!("{} {}  {ready}{restarts}", runtime.name, runtime.version).trim());
    if let Some(kubelet) = &status.kubelet {
        let code = if kubelet.state == "healthy" { GREEN } else { YELLOW };
        let version = kubelet.version.as_deref().unwrap_or("none");
        let next = kubelet.next.as_ref().map(|next| format!(", {next} waits for slot and drain")).unwrap_or_default();
        let state = paint(code, &kubelet.state);
        field(&mut out, "Kubelet", &format!("{version}  {state}{}{next}", times(kubelet.restarts)));
    }
    field(&mut out, "Machine", &status.node.machine_id);
    if let Some(going) = &status.going_down {
        field(&mut out, "Power", &paint(YELLOW, &going.message));
    }
    if let Some(trial) = &status.settings.trial {
        let left = format!("on trial, taken back in {} s unless ballast settings confirm comes", trial.left_s);
        field(&mut out, "Settings", &paint(YELLOW, &left));
    }
    for note in &status.settings.notes {
        field(&mut out, "Note", &note.sentence());
    }
    if let Some(api) = &status.api {
        field(&mut out, "API", &format!("{}  {}", api.address, api.fingerprint));
    }
    if !status.deployments.is_empty() {
        line(&mut out, &format!("\n{}", paint(BOLD, "DEPLOYMENTS")));
        for deployment in &status.deployments {
            line(&mut out, &format!("{} {}", if deployment.booted { "*" } else { " " }, describe(deployment)));
        }
    }
    if !status.clusters.is_empty() {
        line(&mut out, &format!("\n{}", paint(BOLD, "CLUSTERS")));
    }
    for cluster in &status.clusters {
        let code = if cluster.state == "connected" { GREEN } else { YELLOW };
        let state = paint(code, &format!("{:<17}", cluster.state));
        let more = cluster.rollout.as_ref().or(cluster.server.as_ref()).map_or("", String::as_str);
        line(&mut out, format!("  {:<28} {state} {more}", cluster.name).trim_end());
    }
    line(&mut out, &format!("\n{}", paint(BOLD, "PODS")));
    if status.pods.is_empty() {
        line(&mut out, "  none");
    }
    for pod in &status.pods {
        let code = match pod.phase.as_str() {
            "Running" | "Succeeded" => GREEN,
            "Failed" => RED,
            _ => YELLOW,
        };
        let phase = paint(code, &format!("{:<10}", pod.phase));
        let name = format!("{}/{}", pod.namespace, pod.name);
        line(&mut out, &format!("  {name:<28} {phase} {}", containers(pod)));
    }
    out
}

fn boot(status: &Status) -> String {
    let secs = |ms: Option<u64>| ms.map_or("?".to_owned(), |ms| format!("{}.{:03} s", ms / 1000, ms % 1000));
    let boot = &status.boot;
    match boot.ready_ms {
        None => "not ready yet".to_owned(),
        Some(_) => format!(
            "ready in {} (kernel {}, initramfs {}, userspace {})",
            secs(boot.ready_ms),
            secs(boot.kernel_ms),
            secs(boot.initramfs_ms),
            secs(boot.userspace_ms),
        ),
    }
}

fn describe(deployment: &Deployment) -> String {
    let next = if deployment.next { "  next" } else { "" };
    format!("{:<14} {}  {}{next}", deployment.version, short(&deployment.commit), deployment.state)
}

fn containers(pod: &Pod) -> String {
    pod.containers.iter().map(container).collect::<Vec<_>>().join(", ")
}

fn container(container: &Container) -> String {
    let is_unready = container.state == "running" && !container.ready && container.role != "init";
    let state = if is_unready { "not ready" } else { &container.state };
    let ended = container.ended.as_ref().filter(|ended| ended.exit_code != 0);
    let end = ended.map_or(String::new(), |ended| match ended.reason.as_str() {
        "" | "Error" => format!(", ended with status {}", ended.exit_code),
        reason => format!(", ended with status {} ({reason})", ended.exit_code),
    });
    let next = container.next_start_at.map_or(String::new(), |at| {
        format!(", starts again at {:02}:{:02}:{:02} UTC", at / 3600 % 24, at / 60 % 60, at % 60)
    });
    format!("{} {state}{}{end}{next}", container.name, times(container.restarts))
}

fn times(restarts: u32) -> String {
    match restarts {
        0 => String::new(),
        1 => " (1 restart)".to_owned(),
        many => format!(" ({many} restarts)"),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..SHORT_COMMIT).unwrap_or(commit)
}

fn field(out: &mut String, name: &str, value: &str) {
    line(out, &format!("  {name:<9} {value}"));
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::{
            boot::Boot,
            status::{Api, Cluster, Disk, Ended, Node, Os, Runtime},
        },
        settings::model::{Sources, TrialShown},
    };

    fn status() -> Status {
        Status {
            going_down: None,
            os: Os {
                id: "ballast".into(),
                version: "20261121.1".into(),
                commit: Some("0123456789abcdef".into()),
                digest: None,
            },
            ready: true,
            reasons: vec!["unit x.service failed".into()],
            boot: Boot { ready_ms: Some(4310), kernel_ms: Some(1470), ..Boot::default() },
            node: Node { hostname: "node-1".into(), machine_id: "ab".into() },
            deployments: Vec::new(),
            disk: Disk::default(),
            runtime: Runtime { name: "containerd".into(), version: "2.1.9".into(), ready: true, restarts: 1 },
            pods: vec![Pod {
                name: "canary".into(),
                namespace: "ballast".into(),
                phase: "Running".into(),
                containers: vec![Container {
                    name: "canary".into(),
                    state: "running".into(),
                    restarts: 2,
                    ready: true,
                    ..Container::default()
                }],
                ..Pod::default()
            }],
            clusters: Vec::new(),
            kubelet: None,
            settings: Sources::default(),
            api: None,
        }
    }

    #[test]
    fn the_screen_says_it_all() {
        let expected = "\
node-1 ready, degraded
  ! unit x.service failed

  OS        ballast 20261121.1  0123456789ab
  Boot      ready in 4.310 s (kernel 1.470 s, initramfs ?, userspace ?)
  Runtime   containerd 2.1.9  ready (1 restart)
  Machine   ab

PODS
  ballast/canary               Running    canary running (2 restarts)
";
        assert_eq!(render(&status(), false), expected);
    }

    #[test]
    fn clusters_are_there_if_there_are_any() {
        let cluster = |name: &str, state: &str, server: Option<&str>| Cluster {
            name: name.to_owned(),
            state: state.to_owned(),
            server: server.map(str::to_owned),
            ..Cluster::default()
        };
        let clusters =
            vec![cluster("prod", "connected", Some("https://a.example")), cluster("lab", "unreachable", None)];
        let screen = render(&Status { clusters, ..status() }, false);
        let expected = "\nCLUSTERS\n  prod                         connected         https://a.example\n  lab                          unreachable\n\nPODS\n";
        assert!(screen.contains(expected), "{screen}");
        assert!(!render(&status(), false).contains("CLUSTERS"));
    }

    #[test]
    fn a_trial_of_settings_is_reported() {
        let trial = Some(TrialShown { until_s: 0, left_s: 299 });
        let screen = render(&Status { settings: Sources { trial, ..Sources::default() }, ..status() }, false);
        assert!(screen.contains("  Settings  on trial, taken back in 299 s unless"), "{screen}");
    }

    #[test]
    fn the_fingerprint_is_there_if_operators_elsewhere_need_it() {
        let api = Api { address: "[::]:9600".to_owned(), fingerprint: "sha256:12".to_owned() };
        assert!(render(&Status { api: Some(api), ..status() }, false).contains("\n  API       [::]:9600  sha256:12\n"));
        assert!(!render(&status(), false).contains("API"));
    }

    #[test]
    fn a_container_shows_how_it_ended_and_when_it_starts_again() {
        let ended =
            |reason: &str| Some(Ended { exit_code: 137, reason: reason.to_owned(), message: String::new(), at: 0 });
        let one = |state: &str| Container { name: "c".into(), state: state.into(), ..Container::default() };
        let waiting =
            Container { ended: ended("OOMKilled"), restarts: 1, next_start_at: Some(86_400 + 3_725), ..one("waiting") };
        let table = [
            (one("running"), "c not ready"),
            (Container { ready: true, ..one("running") }, "c running"),
            (Container { role: "init".into(), ..one("running") }, "c running"),
            (Container { ended: ended("Error"), ..one("exited") }, "c exited, ended with status 137"),
            (waiting, "c waiting (1 restart), ended with status 137 (OOMKilled), starts again at 01:02:05 UTC"),
        ];
        for (shown, expected) in table {
            assert_eq!(container(&shown), expected);
        }
    }

    #[test]
    fn colour_only_where_asked_for() {
        assert!(!render(&status(), false).contains('\x1b'));
        assert!(render(&status(), true).contains(YELLOW));
    }
}
