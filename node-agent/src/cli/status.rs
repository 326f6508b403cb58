//! `ballast status`: asks the agent how the node is; or those of several nodes, side by side.

use std::{io::IsTerminal, process::ExitCode, thread};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{
    ask::{Conversation, print, unexpected},
    exit,
    node::Node,
    screen, table,
};
use crate::report::{
    socket::{Reply, Request},
    status::Status,
};

/// So many nodes are asked at once.
const AT_ONCE: usize = 32;

/// Shows the state of the node: release, readiness, boot time, runtime, pods; of several nodes a line each
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 the node is ready; 3 it is not; 1 the agent could not be asked; 2 wrong usage. Of several nodes \
                        the worst: 1 one did not answer; 3 one is not ready."
)]
pub(super) struct Arguments {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, nodes: &[Node]) -> Result<ExitCode> {
    let [node] = nodes else { return several(arguments, nodes) };
    let status = ask(node, true)?;
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&status).context("encoding the status")? + "\n",
        false => screen::render(&status, std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()),
    };
    print(&text)?;
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_READY) })
}

fn ask(node: &Node, may_ask: bool) -> Result<Status> {
    let reply = Conversation::open(node, "status", &Request::Status {}, may_ask)?.next()?;
    let Reply::Status(status) = reply else { bail!(unexpected(&reply)) };
    Ok(*status)
}

fn several(arguments: &Arguments, nodes: &[Node]) -> Result<ExitCode> {
    let mut answers = Vec::new();
    for some in nodes.chunks(AT_ONCE) {
        let asked = thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|node| scope.spawn(|| ask(node, false))).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        for (node, answer) in some.iter().zip(asked) {
            let answer = answer.unwrap_or_else(|_| bail!("asking it ended in a panic"));
            answers.push((name(node), answer.map_err(|error| format!("{error:#}"))));
        }
    }
    let text = match arguments.json {
        true => as_json(&answers)?,
        false => table::render(&COLUMNS, &answers.iter().map(row).collect::<Vec<_>>()) + &silent(&answers),
    };
    print(&text)?;
    let code = answers.iter().map(|(_, answer)| match answer {
        Err(_) => 1,
        Ok(status) if status.ready => 0,
        Ok(_) => exit::NOT_READY,
    });
    // One that does not answer is worse than one that is not ready, whatever their numbers are.
    let codes: Vec<u8> = code.collect();
    Ok(ExitCode::from(if codes.contains(&1) { 1 } else { codes.into_iter().max().unwrap_or_default() }))
}

fn name(node: &Node) -> String {
    match node {
        Node::Here(_) => "here".to_owned(),
        Node::There(remote) => remote.address().to_string(),
    }
}

const COLUMNS: [&str; 5] = ["NODE", "NAME", "STATE", "RELEASE", "PODS"];

type Answer = (String, Result<Status, String>);

fn row((node, answer): &Answer) -> [String; 5] {
    let Ok(status) = answer else {
        return [node.clone(), "-".to_owned(), "no answer".to_owned(), "-".to_owned(), "-".to_owned()];
    };
    let state = match (status.ready, status.reasons.is_empty()) {
        (true, true) => "ready",
        (true, false) => "degraded",
        (false, _) => "not ready",
    };
    let next = status.deployments.iter().find(|one| one.next && !one.booted);
    let release = match next {
        Some(next) => format!("{}, next {}", status.os.version, next.version),
        None => status.os.version.clone(),
    };
    let running = status.pods.iter().filter(|pod| pod.phase == "Running").count();
    [node.clone(), status.node.hostname.clone(), state.to_owned(), release, format!("{running}/{}", status.pods.len())]
}

/// Why those are not ready, or did not answer, that are not or did not.
fn silent(answers: &[Answer]) -> String {
    let mut out = String::new();
    for (node, answer) in answers {
        let reasons = match answer {
            Ok(status) => status.reasons.clone(),
            Err(error) => vec![error.clone()],
        };
        out.extend(reasons.iter().map(|reason| format!("  ! {node}: {reason}\n")));
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

fn as_json(answers: &[Answer]) -> Result<String> {
    let nodes = answers.iter().map(|(node, answer)| match answer {
        Ok(status) => json!({ "node": node, "status": status }),
        Err(error) => json!({ "node": node, "error": error }),
    });
    let nodes: Vec<_> = nodes.collect();
    Ok(serde_json::to_string_pretty(&json!({ "nodes": nodes })).context("encoding the status")? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::status::Node as Identity;

    #[test]
    fn who_did_not_answer_is_in_the_table() {
        let status = Status {
            ready: true,
            node: Identity { hostname: "one".to_owned(), machine_id: String::new() },
            ..Status::default()
        };
        let answers = [
            ("10.0.0.1:9600".to_owned(), Ok(status)),
            ("10.0.0.2:9600".to_owned(), Err("connecting to 10.0.0.2:9600: refused".to_owned())),
        ];
        let text = table::render(&COLUMNS, &answers.iter().map(row).collect::<Vec<_>>()) + &silent(&answers);
        let expected = "\
NODE            NAME   STATE       RELEASE   PODS
10.0.0.1:9600   one    ready                 0/0
10.0.0.2:9600   -      no answer   -         -

  ! 10.0.0.2:9600: connecting to 10.0.0.2:9600: refused
";
        assert_eq!(text, expected);
        let json: serde_json::Value = serde_json::from_str(&as_json(&answers).unwrap()).unwrap();
        assert_eq!(
            (&json["nodes"][0]["status"]["ready"], &json["nodes"][1]["node"]),
            (&json!(true), &json!("10.0.0.2:9600"))
        );
    }
}
