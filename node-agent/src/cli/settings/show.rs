//! `ballast settings show`: what holds, where it is from, what does not apply.

use std::{fmt::Write, process::ExitCode};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    cli::{
        ask::{print, settings},
        node::Node,
    },
    settings::model::Shown,
};

/// Shows the settings that apply, with secrets masked
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 it is printed; 1 the agent could not be asked; 2 wrong usage.")]
pub(super) struct Arguments {
    /// Shows where each value is from
    #[arg(long)]
    origins: bool,

    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let shown = settings(node)?;
    print(&match (arguments.json, arguments.origins) {
        (true, _) => as_json(&shown)?,
        (false, true) => origins(&shown),
        (false, false) => shown.settings.clone(),
    })?;
    if !arguments.json {
        shown.sources.problems.iter().for_each(|problem| eprintln!("! {}", problem.sentence()));
        shown.sources.notes.iter().for_each(|note| eprintln!("- {}", note.sentence()));
        if let Some(trial) = &shown.sources.trial {
            eprintln!("! on trial: taken back in {} s unless ballast settings confirm comes", trial.left_s);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(shown: &Shown) -> Result<String> {
    let Shown { settings, origins, sources } = shown;
    let settings = ballast_settings::edit::json(settings).context("reading what holds")?;
    let sources = serde_json::to_value(sources).context("encoding the sources")?;
    let mut all = json!({ "settings": settings, "origins": origins });
    if let (Some(all), Some(sources)) = (all.as_object_mut(), sources.as_object()) {
        all.extend(sources.clone());
    }
    Ok(serde_json::to_string_pretty(&all).context("encoding the settings")? + "\n")
}

fn origins(shown: &Shown) -> String {
    let width = shown.origins.iter().map(|origin| origin.key.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for origin in &shown.origins {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:<width$}  {}", origin.key, origin.place);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::model::{SourceShown, Sources, Warning, Whence};

    #[test]
    fn what_holds_is_shown_with_where_it_is_from() {
        let from = |key: &str, place: &str| Whence { key: key.to_owned(), place: place.to_owned() };
        let problem = Warning { key: Some("log.levle".to_owned()), place: "f:2:1".to_owned(), reason: "no".to_owned() };
        let shown = Shown {
            settings: "hostname = \"a\"\n".to_owned(),
            origins: vec![from("hostname", "f:1:12"), from("update.auto", "credential ballast.settings:3:8")],
            sources: Sources {
                sources: vec![SourceShown { name: "f".to_owned(), rank: "node".to_owned(), at: None }],
                problems: vec![problem.clone()],
                notes: Vec::new(),
                trial: None,
            },
        };
        let expected = "hostname     f:1:12\nupdate.auto  credential ballast.settings:3:8\n";
        assert_eq!(origins(&shown), expected);
        let json: serde_json::Value = serde_json::from_str(&as_json(&shown).unwrap()).unwrap();
        assert_eq!((&json["settings"]["hostname"], &json["sources"][0]["rank"]), (&json!("a"), &json!("node")));
        assert_eq!(problem.sentence(), "f:2:1: log.levle: no");
    }
}
