//! `ballast images`: what the container runtime has.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::{
    ask::{end, print, unexpected},
    node::Node,
    operate::{Output, ended},
    table,
};
use crate::report::{
    images::ImageCommand,
    socket::{Image, Reply, Request},
};

/// Shows the images that the container runtime has; fetches and removes them
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit status: 0 they are printed; 1 the agent or the runtime could not be asked; 2 wrong usage."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Fetches an image, as a pod would
    #[command(after_help = EXIT_STATUS)]
    Pull {
        /// Its full reference: docker.io/library/nginx:1
        image: String,

        #[command(flatten)]
        output: Output,
    },
    /// Removes an image, unless a container uses it
    #[command(after_help = EXIT_STATUS)]
    Remove {
        /// Its reference, or the beginning of its id
        image: String,

        #[command(flatten)]
        output: Output,
    },
    /// Removes all images that no container uses
    #[command(after_help = EXIT_STATUS)]
    Collect {
        #[command(flatten)]
        output: Output,
    },
}

const EXIT_STATUS: &str =
    "Exit status: 0 done, or nothing to do; 1 it failed; 2 wrong usage; 4 the image may not be removed.";

pub(super) fn run(arguments: Arguments, node: &Node) -> Result<ExitCode> {
    match arguments.command {
        None => list(arguments.json, node),
        Some(Command::Pull { image, output }) => operate(node, ImageCommand::Pull { image }, &output),
        Some(Command::Remove { image, output }) => operate(node, ImageCommand::Remove { image }, &output),
        Some(Command::Collect { output }) => operate(node, ImageCommand::Collect {}, &output),
    }
}

fn operate(node: &Node, operation: ImageCommand, output: &Output) -> Result<ExitCode> {
    let mut talk = node.open("images", &Request::Image { operation })?;
    loop {
        let reply = talk.next()?;
        if !matches!(reply, Reply::Working {}) {
            return ended(&end(reply)?, output).map(|(code, _)| code);
        }
    }
}

fn list(is_json: bool, node: &Node) -> Result<ExitCode> {
    let reply = node.open("images", &Request::Images {})?.next()?;
    let Reply::Images(images) = reply else { bail!(unexpected(&reply)) };
    print(&match is_json {
        true => serde_json::to_string_pretty(&images).context("encoding the images")? + "\n",
        false => table::render(&["IMAGE", "SIZE", "ID"], &images.iter().map(row).collect::<Vec<_>>()),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// An image is called by its tags; one without any by its digest.
fn row(image: &Image) -> [String; 3] {
    let tags: Vec<&str> = image.names.iter().map(String::as_str).filter(|name| !name.contains('@')).collect();
    let name = match (tags.as_slice(), image.names.first()) {
        ([], Some(digest)) => digest.clone(),
        ([], None) => "-".to_owned(),
        (tags, _) => tags.join(", "),
    };
    let id = image.id.trim_start_matches("sha256:");
    let size = format!("{:.1} MB", image.size_bytes as f64 / 1e6);
    [name, size, id.get(..12).unwrap_or(id).to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_called_by_its_tags() {
        let image = |names: &[&str]| Image {
            id: format!("sha256:{}", "ab".repeat(32)),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            size_bytes: 1_550_000,
        };
        let (tagged, digest) = (image(&["docker.io/a:1", "docker.io/a@sha256:12"]), image(&["docker.io/b@sha256:34"]));
        assert_eq!(row(&tagged), ["docker.io/a:1", "1.6 MB", "abababababab"]);
        assert_eq!(row(&digest)[0], "docker.io/b@sha256:34");
        assert_eq!(row(&image(&[]))[0], "-");
    }
}
