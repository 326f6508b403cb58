//! `ballast images`: what the container runtime has.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::{
    ask::{print, unexpected},
    node::Node,
    table,
};
use crate::report::socket::{Image, Reply, Request};

/// Shows the images that the container runtime has
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 they are printed; 1 the agent or the runtime could not be asked; 2 wrong usage."
)]
pub(super) struct Arguments {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let reply = node.open("images", &Request::Images {})?.next()?;
    let Reply::Images(images) = reply else { bail!(unexpected(&reply)) };
    print(&match arguments.json {
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
