//! `ballast settings edit`: the document in the operator's own editor.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use super::{Manner, change::change};
use crate::cli::exit;
use crate::{
    cli::{
        ask::{print, unexpected},
        node::Node,
    },
    report::socket::{Reply, Request},
    settings::{
        model::{Edit, FILE},
        observe, plan,
    },
};

/// Where there is no other.
const USUAL_EDITOR: &str = "vi";

/// Opens what was set on this node in $EDITOR
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_SETTINGS)]
pub(super) struct Arguments {
    #[command(flatten)]
    manner: Manner,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let before = document(node)?;
    let draft = node.draft()?;
    write(&draft, &before).with_context(|| format!("writing {}", draft.display()))?;
    let edited = edit(&draft).and_then(|()| fs::read(&draft).with_context(|| format!("reading {}", draft.display())));
    let done = edited.and_then(|edited| {
        if edited == before {
            print("nothing is different; nothing to do\n")?;
            return Ok(ExitCode::SUCCESS);
        }
        let text = String::from_utf8(edited).context("it is not a text in UTF-8 any more")?;
        change(node, Edit::Document { text, instead_of: Some(plan::checksum(&before)) }, &arguments.manner)
    });
    // What was typed is not lost when it is refused.
    if matches!(&done, Ok(code) if *code == ExitCode::SUCCESS) || fs::read(&draft).is_ok_and(|left| left == before) {
        fs::remove_file(&draft).with_context(|| format!("removing {}", draft.display()))?;
    } else {
        eprintln!("ballast: what you wrote is in {}; ballast settings apply takes it", draft.display());
    }
    done
}

fn document(node: &Node) -> Result<Vec<u8>> {
    match node {
        Node::Here(host) => {
            Ok(observe::read(host, FILE).with_context(|| format!("reading {FILE}"))?.unwrap_or_default())
        }
        Node::There(_) => {
            let reply = node.open("settings edit", &Request::Document {})?.next()?;
            let Reply::Text(text) = reply else { bail!(unexpected(&reply)) };
            Ok(text.into_bytes())
        }
    }
}

fn write(draft: &PathBuf, text: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(text)
}

/// $EDITOR may have arguments, as `code --wait`.
fn edit(draft: &Path) -> Result<()> {
    let named = env::var("EDITOR").ok().filter(|editor| !editor.trim().is_empty());
    let editor = named.as_deref().unwrap_or(USUAL_EDITOR);
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or(USUAL_EDITOR);
    let status = match Command::new(program).args(words).arg(draft).status() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no editor {program} here; set EDITOR to one, or write a file and use ballast settings apply"
        ),
        status => status.with_context(|| format!("starting {program}"))?,
    };
    if !status.success() {
        bail!("{program} ended with {status}; nothing is changed");
    }
    Ok(())
}
