//! `ballast releases`: what is on the node, what failed here, what is being done.

use std::{fmt::Write, process::ExitCode};

use anyhow::{Context, Result};

use super::{
    ask::{print, releases},
    node::Node,
};
use crate::report::releases::{Release, Releases};

/// Shows the releases on this node: booted, next, last good, pinned, failed
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 they are printed; 1 the agent could not be asked; 2 wrong usage.")]
pub(super) struct Arguments {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let releases = releases(node)?;
    print(&match arguments.json {
        true => serde_json::to_string_pretty(&releases).context("encoding the releases")? + "\n",
        false => render(&releases),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn render(releases: &Releases) -> String {
    let mut out = format!("  {:<14} {:<19}  {:<7}  {}\n", "VERSION", "DIGEST", "STATE", "");
    for release in &releases.releases {
        let mark = if release.booted { "*" } else { " " };
        let digest = release.digest.as_deref().map_or("unknown", short);
        let text = format!("{mark} {:<14} {digest:<19}  {:<7}  {}", release.version, release.state, roles(release));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", text.trim_end());
    }
    if !releases.failed.is_empty() {
        out.push_str("\nBAD, not tried again until ballast allow VERSION\n");
    }
    for failed in &releases.failed {
        let _ = writeln!(out, "  {:<14} {:<19}  {}", failed.version, failed.digest.short(), failed.reason);
    }
    if let Some(operation) = &releases.operation {
        let progress = &operation.progress;
        let _ = writeln!(
            out,
            "\nRUNNING\n  {} {}: {}, {} of {} bytes",
            operation.command,
            progress.image.as_deref().unwrap_or_default(),
            progress.phase.name(),
            progress.fetched_bytes,
            progress.total_bytes
        );
    }
    out
}

fn roles(release: &Release) -> String {
    let all = [
        (release.booted, "booted"),
        (release.next, "next"),
        (release.last_good, "last good"),
        (release.pinned, "pinned"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::model::FailedRelease;

    #[test]
    fn the_table_says_what_is_what() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let release = |letter: &str, version: &str, state: &str| Release {
            digest: Some(digest(letter)),
            version: version.to_owned(),
            state: state.to_owned(),
            ..Release::default()
        };
        let failed = FailedRelease {
            digest: digest("c").parse().unwrap(),
            version: "20261123.1".to_owned(),
            reason: "unit x.service failed".to_owned(),
            at: 0,
        };
        let releases = Releases {
            releases: vec![
                Release { booted: true, last_good: true, ..release("a", "20261121.1", "good") },
                Release { next: true, ..release("b", "20261122.1", "trial") },
            ],
            failed: vec![failed],
            operation: None,
        };
        let expected = "  VERSION        DIGEST               STATE    \n\
                        * 20261121.1     sha256:aaaaaaaaaaaa  good     booted, last good\n\
                        \u{20} 20261122.1     sha256:bbbbbbbbbbbb  trial    next\n\
                        \nBAD, not tried again until ballast allow VERSION\n\
                        \u{20} 20261123.1     sha256:cccccccccccc  unit x.service failed\n";
        assert_eq!(render(&releases), expected);
    }
}
