//! `ballast settings apply`: another document in the place of the one that is there.

use std::{
    fs::File,
    io::{self, Read},
    process::ExitCode,
};

use anyhow::{Context, Result};
use ballast_settings::MAX_BYTES;

use super::{EXIT_STATUS, Manner, change::change};
use crate::{clients::host::Host, settings::model::Edit};

/// Puts FILE in the place of what was set on this node, if all of it is right
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Arguments {
    /// TOML; - is standard input
    file: String,

    #[command(flatten)]
    manner: Manner,
}

pub(super) fn run(arguments: &Arguments, host: &Host) -> Result<ExitCode> {
    let Arguments { file, manner } = arguments;
    let text = match file.as_str() {
        "-" => read(io::stdin().lock()).context("reading standard input")?,
        file => File::open(file).map_err(Into::into).and_then(read).with_context(|| format!("reading {file}"))?,
    };
    change(host, Edit::Document { text, instead_of: None }, manner)
}

/// Not more than shows that it is too much: the agent says so.
fn read(source: impl Read) -> Result<String> {
    let mut text = String::new();
    source.take(MAX_BYTES as u64 + 1).read_to_string(&mut text).context("it is not a text in UTF-8")?;
    Ok(text)
}
