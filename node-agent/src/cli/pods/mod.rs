//! `ballast pods`: how the pods are, and what this node makes of manifests.

mod list;

use std::{path::PathBuf, process::ExitCode, time::SystemTime};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::{
    ask::{print, unexpected},
    exit,
    node::Node,
};
use crate::{
    pods::manifest::{self, Read},
    report::socket::{Reply, Request},
};

/// Shows the pods: ready, restarts, address, age, how they last ended; checks manifests
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit status: 0 they are printed; 1 the agent could not be asked; 2 wrong usage."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Whether it is about a file alone.
    pub(super) fn needs_no_node(&self) -> bool {
        self.command.is_some()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows which pods a file describes, what in it has no effect here, and everything that is refused
    #[command(
        after_help = "Exit status: 0 all of it is taken; 1 it failed; 2 wrong usage; 4 something in the file is refused."
    )]
    Explain {
        /// A manifest, YAML or JSON, with one document or several
        file: PathBuf,
    },
}

/// The commands that are about a file alone.
pub(super) fn check(arguments: &Arguments) -> Result<ExitCode> {
    let Some(Command::Explain { file }) = &arguments.command else { return Ok(ExitCode::SUCCESS) };
    let read = manifest::load(file, &file.display().to_string());
    print(&explain(&read))?;
    Ok(if read.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::REFUSED) })
}

/// The table, or the same as JSON.
pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let reply = node.open("pods", &Request::Status {})?.next()?;
    let Reply::Status(status) = reply else { bail!(unexpected(&reply)) };
    print(&match arguments.json {
        true => serde_json::to_string_pretty(&status.pods).context("encoding the pods")? + "\n",
        false => list::render(&status.pods, SystemTime::now()),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn explain(read: &Read) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    let source = &read.source;
    for pod in &read.pods {
        line(&format!("pod {}: is taken", pod.spec.key));
        pod.notes.iter().for_each(|note| line(&format!("  {source}:{note}")));
    }
    read.notes.iter().for_each(|note| line(&format!("{source}:{note}")));
    if !read.problems.is_empty() {
        line("refused:");
    }
    read.problems.iter().for_each(|problem| line(&format!("  {source}:{problem}")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_without_effect_and_refused_is_reported() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  nodeName: n\n  containers: [{name: c, image: x}]\n\
                    ---\napiVersion: v1\nkind: Secret\n---\napiVersion: apps/v1\nkind: Deployment\n";
        let shown = explain(&manifest::read("f.yaml", text));
        let expected = "pod a: is taken\n  f.yaml:5: spec.nodeName: without effect on this node\n\
                        f.yaml:9: kind: this Secret has no effect: pods of this node cannot refer to it\nrefused:\n  \
                        f.yaml:12: kind: expected Pod, found Deployment: ";
        assert!(shown.starts_with(expected), "{shown}");
    }
}
