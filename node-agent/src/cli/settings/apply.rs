//! `ballast settings apply`: replaces the document by another one.

use std::{
    fs::File,
    io::{self, Read},
    process::ExitCode,
};

use anyhow::{Context, Result};
use ballast_settings::MAX_BYTES;

use super::{
    Manner,
    change::{change, ended},
};
use crate::{
    cli::{exit, node::Node},
    settings::model::{Edit, Failure},
};

/// Replaces what was set on this node by FILE, if all of it is valid
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_SETTINGS)]
pub(super) struct Arguments {
    /// TOML; - is standard input
    file: String,

    #[command(flatten)]
    manner: Manner,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let Arguments { file, manner } = arguments;
    let bytes = match file.as_str() {
        "-" => read(io::stdin().lock()).context("reading standard input")?,
        file => File::open(file).and_then(read).with_context(|| format!("reading {file}"))?,
    };
    match String::from_utf8(bytes) {
        Ok(text) => change(node, Edit::Document { text, instead_of: None }, manner),
        Err(_) => ended(&Err(Failure::refused(format!("{file} is not a text in UTF-8"))), &manner.output),
    }
}

/// Not more than shows that it is too much: the agent says so.
fn read(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
