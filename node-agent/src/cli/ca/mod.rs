//! `ballast ca`: the authority that says who may operate nodes, and the certificates that it issues.

mod authority;

use std::process::ExitCode;

use anyhow::Result;
use ballast_settings::model::ApiRole;

use super::{
    ask::print,
    remote::{CONTEXTS, Folder, first_context},
};

/// Of a certificate that somebody keeps in a folder: long enough for no daily work, short enough to be forgotten.
const DAYS: &str = "30";

/// Makes the authority and the certificates by which nodes know their operators
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes the authority, and prints what goes into the nodes' settings
    ///
    /// It is kept in ~/.config/ballast/ca. Who has ca-key.pem may do anything on every node that believes ca.pem.
    #[command(after_help = "Exit status: 0 it is made; 1 it is not, or was there already; 2 wrong usage.")]
    Init,
    Issue(Issue),
}

/// Issues a certificate, and makes the first context with it
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 it is issued; 1 it is not, or NAME has one already; 2 wrong usage.")]
struct Issue {
    /// Whose it is, as it stands in nodes' journals
    #[arg(value_parser = name)]
    name: String,

    /// What it allows: reader looks, operator upgrades, changes settings and reboots, admin does everything
    #[arg(long, value_name = "ROLE", value_parser = role, default_value = "reader")]
    role: ApiRole,

    /// How long it is valid
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650), default_value = DAYS)]
    days: u16,
}

fn role(text: &str) -> Result<ApiRole, String> {
    let known = ApiRole::ALL.into_iter().find(|role| role.name() == text);
    known.ok_or_else(|| format!("expected one of {}", ApiRole::ALL.map(ApiRole::name).join(", ")))
}

/// It names files.
fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@');
    match text.len() <= 64 && text.bytes().all(fits) && text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        true => Ok(text.to_owned()),
        false => Err("expected a word of letters, digits, '.', '-', '_' and '@'".to_owned()),
    }
}

pub(super) fn run(arguments: Arguments) -> Result<ExitCode> {
    let folder = Folder::of_user()?;
    print(&match arguments.command {
        Command::Init => init(&folder)?,
        Command::Issue(issue) => self::issue(&folder, &issue)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn init(folder: &Folder) -> Result<String> {
    let certificate = authority::init(folder)?;
    eprintln!(
        "The authority is {}; keep {} to yourself. This goes into the settings of the nodes:\n",
        folder.path(authority::CERTIFICATE).display(),
        folder.path(authority::KEY).display()
    );
    Ok(format!("[api]\nlisten = \"0.0.0.0:9600\"\nclient_ca = \"\"\"\n{certificate}\"\"\"\n"))
}

fn issue(folder: &Folder, issue: &Issue) -> Result<String> {
    let Issue { name, role, days } = issue;
    let issued = authority::issue(folder, name, *role, *days)?;
    let mut message = format!(
        "{} is valid until {}; its serial number is {} (api.revoked_serials takes it back)\n",
        folder.path(&issued.certificate).display(),
        issued.until,
        issued.serial
    );
    if folder.read(CONTEXTS)?.is_none() {
        folder.create(CONTEXTS, &first_context(&issued.certificate, &issued.key))?;
        message.push_str(&format!("{} uses it: ballast --node HOST status\n", folder.path(CONTEXTS).display()));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_commands_lead_to_a_node() {
        let tree = tempfile::tempdir().unwrap();
        let folder = Folder::at(tree.path());
        let settings = init(&folder).unwrap();
        let (read, problems) = ballast_settings::settings(&[ballast_settings::Source::new(
            "ca",
            ballast_settings::Rank::Node,
            settings.as_bytes(),
        )]);
        assert!(problems.is_empty() && read.api.listen.is_some(), "{problems:?}");
        let me = Issue { name: "me".to_owned(), role: ApiRole::Admin, days: 1 };
        let message = issue(&folder, &me).unwrap();
        assert!(message.contains("ballast --node HOST status"), "{message}");
        let other = Issue { name: "other".to_owned(), role: ApiRole::Reader, days: 1 };
        // The context stays who it was.
        assert!(!issue(&folder, &other).unwrap().contains("ballast --node"));
        let again = issue(&folder, &other).unwrap_err().to_string();
        assert!(again.ends_with("is there already"), "{again}");
        // Whatever somebody is called, no certificate lies where another's key does.
        for name in ["a", "a-key", "a.key", "a.pem", "a.key.pem"] {
            issue(&folder, &Issue { name: name.to_owned(), ..other }).unwrap();
        }
        assert!(init(&folder).unwrap_err().to_string().ends_with("is there already"));
    }

    #[test]
    fn a_name_is_a_file_name() {
        for wrong in ["", ".me", "-me", "a/b", "a b", "..", "ü", &"a".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert_eq!(name("me@example.com").as_deref(), Ok("me@example.com"));
    }
}
