//! `ballast pods`: what this node makes of manifests.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Subcommand;

use super::{ask::print, exit};
use crate::pods::manifest::{self, Read};

/// Checks manifests of pods
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
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

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Command::Explain { file } = &arguments.command;
    let read = manifest::load(file, &file.display().to_string());
    print(&explain(&read))?;
    Ok(if read.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::REFUSED) })
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
