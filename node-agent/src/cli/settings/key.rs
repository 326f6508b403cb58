//! `ballast settings get`, `set`, `unset`: one key.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Manner, change::change};
use crate::cli::exit;
use crate::{
    cli::{
        ask::{print, settings},
        node::Node,
    },
    settings::model::Edit,
};

/// Prints the value of a key, from whichever source it is
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 it is printed; 1 there is no such key, nothing is set, or the agent could not be asked; 2 wrong usage."
)]
pub(super) struct Get {
    /// As update.auto, registry."r.example".mirrors
    key: String,

    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Sets a key on this node; this takes precedence over all other sources
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_SETTINGS)]
pub(super) struct Set {
    /// As update.auto, registry."r.example".plain_http
    key: String,

    /// Texts need no quotes; several values are a list, as is ["one", "two"]
    #[arg(required = true, allow_negative_numbers = true)]
    value: Vec<String>,

    #[command(flatten)]
    manner: Manner,
}

/// Removes a key that was set on this node; the value of the other sources applies then
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_SETTINGS)]
pub(super) struct Unset {
    /// As update.auto; a table or one of a list of tables, too
    key: String,

    #[command(flatten)]
    manner: Manner,
}

pub(super) fn get(arguments: &Get, node: &Node) -> Result<ExitCode> {
    let Get { key, json } = arguments;
    let shown = settings(node)?;
    let Some(value) = ballast_settings::edit::get(&shown.settings, key)? else {
        bail!("{key} is not set");
    };
    print(&match json {
        true => {
            serde_json::to_string_pretty(&json!({ "key": key, "value": value })).context("encoding the value")? + "\n"
        }
        false => plain(&value) + "\n",
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A text as it is, a list of texts a line each.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim_end().to_owned(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join("\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

pub(super) fn set(arguments: Set, node: &Node) -> Result<ExitCode> {
    let Set { key, value, manner } = arguments;
    let value = match <[String; 1]>::try_from(value) {
        Ok([value]) => value,
        // As TOML has it: JSON's texts are TOML's.
        Err(several) => serde_json::to_string(&several).context("encoding the list")?,
    };
    change(node, Edit::Set { key, value }, &manner)
}

pub(super) fn unset(arguments: Unset, node: &Node) -> Result<ExitCode> {
    let Unset { key, manner } = arguments;
    change(node, Edit::Unset { key }, &manner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed_for_scripts() {
        for (value, expected) in [
            (json!("a"), "a"),
            (json!(true), "true"),
            (json!(["192.0.2.1", "192.0.2.2"]), "192.0.2.1\n192.0.2.2"),
            (json!({ "auto": true }), "{\"auto\":true}"),
        ] {
            assert_eq!(plain(&value), expected);
        }
    }
}
