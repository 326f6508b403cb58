//! `ballast pods`: how the pods are, in kubectl's words and columns (k8s.io/kubernetes/pkg/printers/internalversion, printPod).

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    cli::table,
    report::status::{Container, Ended, Pod},
};

const TITLES: [&str; 7] = ["NAME", "READY", "STATUS", "RESTARTS", "IP", "AGE", "LAST END"];

/// The last column is for a look; the whole of it is in the JSON.
const MAX_LAST: usize = 80;

/// The table.
pub(super) fn render(pods: &[Pod], now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match pods {
        [] => "no pods\n".to_owned(),
        pods => table::render(&TITLES, &pods.iter().map(|pod| row(pod, now)).collect::<Vec<_>>()),
    }
}

fn row(pod: &Pod, now: u64) -> [String; 7] {
    let name = if pod.namespace == "default" { pod.name.clone() } else { format!("{}/{}", pod.namespace, pod.name) };
    let serving = || pod.containers.iter().filter(|one| one.role != "init");
    let ready = serving().filter(|one| one.ready).count();
    let last = pod.containers.iter().filter_map(|one| Some((one, last_end(one)?))).max_by_key(|(_, ended)| ended.at);
    [
        name,
        format!("{ready}/{}", serving().count()),
        state(pod),
        restarts(pod, now),
        pod.ip.clone().unwrap_or_else(|| "-".to_owned()),
        pod.started_at.map_or("-".to_owned(), |at| age(now.saturating_sub(at))),
        last.map_or(String::new(), |(container, ended)| short(&format!("{}: {}", container.name, why(ended)))),
    ]
}

fn last_end(container: &Container) -> Option<&Ended> {
    container.ended.as_ref().or(container.last_ended.as_ref())
}

fn why(ended: &Ended) -> String {
    let reason = match (ended.reason.as_str(), ended.exit_code) {
        ("" | "Completed", 0) => "Completed".to_owned(),
        ("" | "Error", code) => format!("status {code}"),
        (reason, code) => format!("{reason}, status {code}"),
    };
    if ended.message.is_empty() { reason } else { format!("{reason}: {}", ended.message) }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_LAST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn state(pod: &Pod) -> String {
    if let Some(reason) = &pod.reason {
        return reason.clone();
    }
    let inits: Vec<&Container> = pod.containers.iter().filter(|one| one.role != "main").collect();
    let has_begun =
        pod.containers.iter().any(|one| one.role == "main" && (one.state != "waiting" || one.ended.is_some()));
    let is_done = |one: &Container| match one.role.as_str() {
        "sidecar" => one.started,
        _ => one.state == "exited" && one.ended.as_ref().is_some_and(|ended| ended.exit_code == 0),
    };
    if let Some((index, one)) = inits.iter().enumerate().find(|(_, one)| !has_begun && !is_done(one)) {
        return match trouble(one) {
            Some(trouble) => format!("Init:{trouble}"),
            None => format!("Init:{index}/{}", inits.len()),
        };
    }
    let mains = || pod.containers.iter().filter(|one| one.role == "main");
    if let Some(trouble) = mains().find_map(trouble) {
        return trouble;
    }
    match pod.phase.as_str() {
        "Succeeded" => "Completed".to_owned(),
        "Pending" if inits.is_empty() => "ContainerCreating".to_owned(),
        "Pending" => "PodInitializing".to_owned(),
        phase => phase.to_owned(),
    }
}

/// What a container that does not run is in.
fn trouble(container: &Container) -> Option<String> {
    let ended = container.ended.as_ref()?;
    match container.state.as_str() {
        "waiting" => Some("CrashLoopBackOff".to_owned()),
        _ if ended.exit_code == 0 => None,
        _ if ended.reason.is_empty() => Some("Error".to_owned()),
        _ => Some(ended.reason.clone()),
    }
}

fn restarts(pod: &Pod, now: u64) -> String {
    let total: u32 = pod.containers.iter().filter(|one| one.role != "init").map(|one| one.restarts).sum();
    let last = pod.containers.iter().filter(|one| one.restarts > 0).filter_map(last_end).map(|ended| ended.at).max();
    match last.filter(|_| total > 0) {
        Some(at) => format!("{total} ({} ago)", age(now.saturating_sub(at))),
        None => total.to_string(),
    }
}

/// As kubectl writes it (k8s.io/apimachinery/pkg/util/duration).
fn age(secs: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, below: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{below}"),
    };
    let (minutes, hours, days) = (secs / 60, secs / 3600, secs / 86_400);
    match secs {
        _ if secs < 120 => format!("{secs}s"),
        _ if minutes < 10 => two(minutes, "m", secs % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, role: &str, state: &str) -> Container {
        let is_up = state == "running";
        Container {
            name: name.to_owned(),
            role: role.to_owned(),
            state: state.to_owned(),
            ready: is_up,
            started: is_up,
            ..Container::default()
        }
    }

    fn ended(exit_code: i32, reason: &str, message: &str, at: u64) -> Option<Ended> {
        Some(Ended { exit_code, reason: reason.to_owned(), message: message.to_owned(), at })
    }

    fn pod(phase: &str, containers: Vec<Container>) -> Pod {
        Pod {
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            phase: phase.to_owned(),
            containers,
            ..Pod::default()
        }
    }

    #[test]
    fn the_table_is_kubectls() {
        let now = UNIX_EPOCH + std::time::Duration::from_secs(10_000);
        let crashed = Container {
            restarts: 3,
            last_ended: ended(137, "OOMKilled", "", 9_900),
            ..container("app", "main", "running")
        };
        let unready = Container { ready: false, ..container("log", "sidecar", "running") };
        let one = Pod {
            namespace: "shop".to_owned(),
            ip: Some("10.88.0.5".to_owned()),
            started_at: Some(1_000),
            ..pod("Running", vec![unready, crashed])
        };
        let expected = "\
NAME       READY   STATUS              RESTARTS       IP          AGE    LAST END
shop/web   1/2     Running             3 (100s ago)   10.88.0.5   150m   app: OOMKilled, status 137
web        0/1     ContainerCreating   0              -           -
";
        assert_eq!(render(&[one, pod("Pending", vec![container("c", "main", "waiting")])], now), expected);
        assert_eq!(render(&[], now), "no pods\n");
    }

    #[test]
    fn the_state_is_in_kubectls_words() {
        let with = |one: Container, ended: Option<Ended>| Container { ended, ..one };
        let main = || container("c", "main", "waiting");
        let init = |state: &str, ended| with(container("i", "init", state), ended);
        let done = || init("exited", ended(0, "Completed", "", 1));
        let table = [
            (pod("Running", vec![container("c", "main", "running")]), "Running"),
            (pod("Pending", vec![init("running", None), main()]), "Init:0/1"),
            (pod("Pending", vec![done(), init("waiting", None), main()]), "Init:1/2"),
            (pod("Pending", vec![init("waiting", ended(1, "Error", "", 1)), main()]), "Init:CrashLoopBackOff"),
            (pod("Failed", vec![init("exited", ended(1, "Error", "", 1)), main()]), "Init:Error"),
            (pod("Pending", vec![done(), main()]), "PodInitializing"),
            (
                pod("Pending", vec![Container { started: false, ..container("s", "sidecar", "running") }, main()]),
                "Init:0/1",
            ),
            (pod("Pending", vec![container("s", "sidecar", "running"), main()]), "PodInitializing"),
            (pod("Running", vec![with(main(), ended(1, "Error", "", 1))]), "CrashLoopBackOff"),
            (pod("Failed", vec![with(container("c", "main", "exited"), ended(2, "", "", 1))]), "Error"),
            (pod("Failed", vec![with(container("c", "main", "exited"), ended(137, "OOMKilled", "", 1))]), "OOMKilled"),
            (pod("Succeeded", vec![with(container("c", "main", "exited"), ended(0, "Completed", "", 1))]), "Completed"),
            (Pod { reason: Some("DeadlineExceeded".to_owned()), ..pod("Failed", vec![main()]) }, "DeadlineExceeded"),
        ];
        for (pod, expected) in table {
            assert_eq!(state(&pod), expected, "{pod:?}");
        }
    }

    #[test]
    fn ages_are_as_kubectl_writes_them() {
        for (secs, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (4 * 3600 + 60, "4h1m"),
            (9 * 3600, "9h"),
            (3 * 86_400 + 7200, "3d2h"),
            (30 * 86_400, "30d"),
        ] {
            assert_eq!(age(secs), expected, "{secs}");
        }
    }

    #[test]
    fn how_the_last_run_ended_is_short() {
        let word = ended(1, "Error", &"x".repeat(200), 5).unwrap();
        assert_eq!(why(&word), format!("status 1: {}", "x".repeat(200)));
        assert_eq!(short(&why(&word)).chars().count(), 81);
        assert_eq!(why(&ended(0, "Completed", "all done", 5).unwrap()), "Completed: all done");
    }
}
