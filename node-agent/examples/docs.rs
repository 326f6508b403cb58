//! Writes the man pages and the shell completions of `ballast` to FOLDER: for whoever sits at another machine, since a node has neither
//! man nor a shell that completes. An example, so that the agent itself carries none of it.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use clap_complete::{Shell, generate_to};

fn main() -> Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).context("usage: docs FOLDER")?);
    let [man, completions] = ["man", "completions"].map(|name| folder.join(name));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut command = without_help(ballast::cli::command());
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "ballast", &completions)
            .with_context(|| format!("completions for {shell}"))?;
    }
    clap_mangen::generate_to(command, &man).context("man pages")
}

/// A page for each `help COMMAND` would say what the page of COMMAND says.
fn without_help(command: clap::Command) -> clap::Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}
