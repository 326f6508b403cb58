//! `ballast logs` and `ballast dmesg`: what units, pods and the kernel said.

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result, anyhow, bail};
use ballast_settings::values;

use super::{
    ask::{status, unexpected},
    node::Node,
};
use crate::report::{
    logs::{Logs, LogsOf, Name},
    socket::{Reply, Request},
    status::Pod,
};

const EXIT_STATUS: &str =
    "Exit status: 0 they are printed; 1 there are none, or the agent could not be asked; 2 wrong usage.";

/// Endings of the names of units (systemd.unit(5)).
const UNITS: [&str; 9] = [".service", ".socket", ".mount", ".timer", ".target", ".path", ".slice", ".scope", ".swap"];

/// Shows what a unit or a pod of this node said
///
/// Without a name, the whole journal of this boot.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Arguments {
    /// A unit (containerd, ballast.service), or a pod: POD, POD/CONTAINER, NAMESPACE/POD or NAMESPACE/POD/CONTAINER
    name: Option<String>,

    #[command(flatten)]
    filter: Filter,
}

/// Shows what the kernel said
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Dmesg {
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Also shows what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Shows nothing that is older than this (30s, 10m, 2h)
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    since: Option<u64>,

    /// Shows so many of the last lines
    #[arg(short = 'n', long, value_name = "NUMBER")]
    lines: Option<u32>,

    /// Shows only lines that have this text in them
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,

    /// Shows those of the boot before, or of a pod's container that ran before
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
}

/// Shows what systemd and the agent did, newest last, also in boots before
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Events {
    #[command(flatten)]
    filter: Filter,
}

/// So many without -n.
const EVENTS: u32 = 200;

fn seconds(text: &str) -> Result<u64, String> {
    values::duration(text)
        .map(|time| time.as_secs())
        .map_err(|_| format!("expected a duration as 10m ({})", values::DURATION_UNITS))
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let of = match &arguments.name {
        None => LogsOf::Journal,
        Some(name) => find(name, &status(node, "logs")?.pods).map_err(|why| anyhow!(why))?,
    };
    show(node, of, &arguments.filter)
}

pub(super) fn events(arguments: &Events, node: &Node) -> Result<ExitCode> {
    let Filter { follow, since, lines, ref grep, previous } = arguments.filter;
    let lines = lines.or(Some(EVENTS).filter(|_| since.is_none()));
    show(node, LogsOf::Events, &Filter { follow, since, lines, grep: grep.clone(), previous })
}

pub(super) fn dmesg(arguments: &Dmesg, node: &Node) -> Result<ExitCode> {
    show(node, LogsOf::Kernel, &arguments.filter)
}

fn show(node: &Node, of: LogsOf, filter: &Filter) -> Result<ExitCode> {
    let Filter { follow, since: since_secs, lines, ref grep, previous } = *filter;
    let wanted = Logs { of, follow, since_secs, lines, previous, grep: grep.clone() };
    let mut talk = node.open("logs", &Request::Logs(wanted))?;
    let mut out = std::io::stdout().lock();
    let mut is_any = false;
    loop {
        let reply = talk.next()?;
        if let Reply::Line(line) = reply {
            is_any = true;
            if let Err(error) = writeln!(out, "{line}") {
                // Nobody reads on.
                let is_over = error.kind() == std::io::ErrorKind::BrokenPipe;
                return if is_over { Ok(ExitCode::SUCCESS) } else { Err(error).context("writing to standard output") };
            }
        } else if let Reply::End {} = reply {
            if is_any {
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("ballast: there are no such lines");
            return Ok(ExitCode::FAILURE);
        } else if !matches!(reply, Reply::Working {}) {
            bail!(unexpected(&reply));
        }
    }
}

/// Whose logs `name` means: a pod's of this node if there is one, else a unit's.
fn find(name: &str, pods: &[Pod]) -> Result<LogsOf, String> {
    let parts: Vec<&str> = name.split('/').collect();
    let called = |pod: &&Pod, namespace: Option<&str>, name: &str| {
        pod.name == name && namespace.is_none_or(|namespace| pod.namespace == namespace)
    };
    let of = |pod: &Pod, container: Option<&str>| {
        let name = |text: &str| Name::try_from(text.to_owned());
        let container = container.map(name).transpose()?;
        Ok(LogsOf::Pod { namespace: name(&pod.namespace)?, pod: name(&pod.name)?, container })
    };
    let found: Vec<(&Pod, Option<&str>)> = match parts.as_slice() {
        [pod] => pods.iter().filter(|one| called(one, None, pod)).map(|one| (one, None)).collect(),
        [first, second] => {
            let in_namespace = pods.iter().filter(|one| called(one, Some(first), second)).map(|one| (one, None));
            let has = |one: &&Pod| one.containers.iter().any(|container| container.name == *second);
            let with_container =
                pods.iter().filter(|one| called(one, None, first)).filter(has).map(|one| (one, Some(*second)));
            in_namespace.chain(with_container).collect()
        }
        [namespace, pod, container] => {
            pods.iter().filter(|one| called(one, Some(namespace), pod)).map(|one| (one, Some(*container))).collect()
        }
        _ => Vec::new(),
    };
    match found.as_slice() {
        [(pod, container)] => of(pod, *container),
        [] if parts.len() == 1 => {
            let is_whole = UNITS.iter().any(|ending| name.ends_with(ending));
            Name::try_from(if is_whole { name.to_owned() } else { format!("{name}.service") }).map(LogsOf::Unit)
        }
        [] => Err(format!("there is no pod {name} on the node; ballast status names them")),
        [_, _, ..] => Err(format!("{name} may be several pods; write NAMESPACE/POD/CONTAINER")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::status::Container;

    fn pod(namespace: &str, name: &str, containers: &[&str]) -> Pod {
        let container = |name: &&str| Container {
            name: (*name).to_owned(),
            state: "running".to_owned(),
            restarts: 0,
            ..Container::default()
        };
        Pod {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            phase: "Running".to_owned(),
            containers: containers.iter().map(container).collect(),
            ..Pod::default()
        }
    }

    #[test]
    fn a_name_is_a_pods_if_there_is_such_a_pod() {
        let pods = [pod("default", "web", &["a", "b"]), pod("prod", "web", &["c"]), pod("default", "db", &["a"])];
        let found = |name: &str| match find(name, &pods) {
            Ok(LogsOf::Pod { namespace, pod, container }) => {
                format!("{namespace}/{pod}/{}", container.map(|container| container.to_string()).unwrap_or_default())
            }
            Ok(LogsOf::Unit(name)) => name.to_string(),
            Ok(other) => format!("{other:?}"),
            Err(why) => why,
        };
        for (name, expected) in [
            ("db", "default/db/"),
            ("db/a", "default/db/a"),
            ("prod/web", "prod/web/"),
            ("web/c", "prod/web/c"),
            ("default/web/b", "default/web/b"),
            ("web", "web may be several pods; write NAMESPACE/POD/CONTAINER"),
            ("web/z", "there is no pod web/z on the node; ballast status names them"),
            ("containerd", "containerd.service"),
            ("ballast.service", "ballast.service"),
            ("after-ready.target", "after-ready.target"),
        ] {
            assert_eq!(found(name), expected, "{name}");
        }
    }
}
