//! `ballast support-bundle`: a node in one file, for others to look at.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};

use super::{
    ask::{Conversation, unexpected},
    node::Node,
};
use crate::report::{
    exec::Piece,
    socket::{Reply, Request},
};

/// Standard output.
const STDOUT: &str = "-";

/// Packs what others need to see what is wrong with the node into one file
///
/// Status, checks, releases, boot entries, settings, journals, the kernel's log, ends of pods' logs, containerd's state, network and disks.
/// Secrets of the settings, private keys and passwords in URLs are taken out; what programs log is not known to be secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 it is written; 1 it is not; 2 wrong usage.")]
pub(super) struct Arguments {
    /// Where to write it; - for standard output [default: ballast-support-SECONDS.tar.zst]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let default = || PathBuf::from(format!("ballast-support-{now}.tar.zst"));
    let file = arguments.output.clone().unwrap_or_else(default);
    let mut talk = node.open("support-bundle", &Request::SupportBundle {})?;
    if file == Path::new(STDOUT) {
        receive(&mut talk, std::io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    // Half a bundle has another name.
    let mut draft = file.clone().into_os_string();
    draft.push(".part");
    let bytes = write(&mut talk, Path::new(&draft)).inspect_err(|_| drop(fs::remove_file(&draft)))?;
    fs::rename(&draft, &file).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("{}: {:.1} MB. Look into it before you give it to anybody.", file.display(), bytes as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}

fn write(talk: &mut Conversation, draft: &Path) -> Result<u64> {
    let doing = || format!("writing {}", draft.display());
    let file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft).with_context(doing)?;
    receive(talk, &file)
}

fn receive(talk: &mut Conversation, mut out: impl Write) -> Result<u64> {
    let mut bytes = 0;
    loop {
        let reply = talk.next()?;
        if let Reply::Stdout(Piece(piece)) = reply {
            out.write_all(&piece).context("writing the bundle")?;
            bytes += piece.len() as u64;
        } else if let Reply::End {} = reply {
            return Ok(bytes);
        } else if !matches!(reply, Reply::Working {}) {
            bail!(unexpected(&reply));
        }
    }
}
