//! `ballast pods`: how the pods are, and what this node makes of manifests.

mod list;

use std::{path::PathBuf, process::ExitCode, time::SystemTime};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde::Serialize;

use super::{
    ask::{print, unexpected},
    exit,
    node::Node,
};
use crate::{
    pods::{
        manifest::{self, ManifestError, Read},
        model::{Key, Pod},
    },
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
        /// A manifest, YAML or JSON, with one document or several; ConfigMaps and Secrets may be folders beside it
        file: PathBuf,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    /// The pods that this node would run.
    taken: Vec<Taken<'a>>,
    /// What is accepted, and does nothing, beside pods.
    without_effect: Vec<Place<'a>>,
    /// What keeps pods from being taken.
    refused: Vec<Place<'a>>,
}

#[derive(Debug, Serialize)]
struct Taken<'a> {
    /// NAMESPACE/NAME
    pod: String,
    /// What of it does nothing here, one sentence each.
    without_effect: &'a [String],
}

#[derive(Debug, Serialize)]
struct Place<'a> {
    line: Option<u64>,
    key: &'a str,
    message: &'a str,
}

/// The commands that are about a file alone.
pub(super) fn check(arguments: &Arguments) -> Result<ExitCode> {
    let Some(Command::Explain { file, json }) = &arguments.command else { return Ok(ExitCode::SUCCESS) };
    let read = manifest::load(file, &file.display().to_string());
    if *json {
        print(&format!("{}\n", serde_json::to_string_pretty(&explained(&read))?))?;
    } else {
        print(&explain(&read))?;
    }
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

fn explained(read: &Read) -> Explained<'_> {
    Explained {
        taken: read.pods.iter().map(taken).collect(),
        without_effect: read.notes.iter().map(place).collect(),
        refused: read.problems.iter().map(place).collect(),
    }
}

fn taken(pod: &Pod) -> Taken<'_> {
    let Key { namespace, name } = &pod.spec.key;
    Taken { pod: format!("{namespace}/{name}"), without_effect: &pod.notes }
}

fn place(one: &ManifestError) -> Place<'_> {
    let ManifestError { line, key, message } = one;
    Place { line: *line, key, message }
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
    if !read.notes.is_empty() {
        line("without effect:");
    }
    read.notes.iter().for_each(|note| line(&format!("  {source}:{note}")));
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
                    ---\napiVersion: v1\nkind: Namespace\n---\napiVersion: v1\nkind: Service\n";
        let read = manifest::read("f.yaml", text);
        let shown = explain(&read);
        let expected = "pod a: is taken\n  f.yaml:5: spec.nodeName: without effect on this node\nwithout effect:\n  f.yaml:9: kind: \
                        this Namespace has no effect: only a Kubernetes API server and its controllers read it\nrefused:\n  \
                        f.yaml:12: kind: expected Pod, found Service, which needs a Kubernetes API server\n";
        assert_eq!(shown, expected);
        let json = serde_json::to_value(explained(&read)).unwrap();
        assert_eq!(json["taken"][0]["pod"], "default/a");
        assert_eq!(json["taken"][0]["without_effect"][0], "5: spec.nodeName: without effect on this node");
        assert_eq!(json["without_effect"][0]["line"], 9);
        assert_eq!((json["refused"][0]["line"].as_u64(), json["refused"][0]["key"].as_str()), (Some(12), Some("kind")));
    }
}
