//! The proxy's command line.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::report::Reports;

/// The program.
pub const PROGRAM: &str = "/usr/lib/ballast/image-proxy";

/// Where the containers tools of root keep what `login` wrote.
pub const CREDENTIALS: &str = "/run/containers/0/auth.json";

/// Its service (image-proxy.socket), which has no privileges.
const SERVICE: &str = "/run/image-proxy.sock";

/// How the proxy is started.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The program.
    pub program: &'a Path,
    /// Whether its service does the work: on a node.
    pub is_service: bool,
    /// The signature policy, in place of /etc/containers/policy.json.
    pub policy: Option<&'a Path>,
    /// How long a registry may send nothing, in seconds.
    pub idle_timeout: Option<f64>,
    /// How often a registry may fail in a row.
    pub attempts: Option<u32>,
}

impl Options<'_> {
    /// The command, but for credentials and its socket; and the file with what the proxy will report, which must live as long as the proxy.
    ///
    /// # Errors
    /// If there is no memory for that file.
    pub fn command(&self) -> Result<(Command, Reports)> {
        let reports = Reports::new()?;
        let mut command = Command::new(self.program);
        command.arg("--failures").arg(reports.path());
        if self.is_service {
            command.args(["--service", SERVICE]);
        }
        if let Some(policy) = self.policy {
            command.arg("--policy").arg(policy);
        }
        if let Some(secs) = self.idle_timeout {
            command.arg("--idle-timeout").arg(secs.to_string());
        }
        if let Some(attempts) = self.attempts {
            command.arg("--attempts").arg(attempts.to_string());
        }
        Ok((command, reports))
    }
}

/// That the program is there: a missing one is named, and does not show as a broken protocol.
///
/// # Errors
/// If it is not.
pub fn check(program: &Path) -> Result<()> {
    program.metadata().map(drop).with_context(|| format!("looking for the image proxy {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_left_to_the_proxy() {
        let plain =
            Options { program: Path::new("p"), is_service: false, policy: None, idle_timeout: None, attempts: None };
        let full = Options {
            is_service: true,
            policy: Some(Path::new("/policy")),
            idle_timeout: Some(2.5),
            attempts: Some(3),
            ..plain
        };
        let arguments = |options: Options<'_>| {
            let (command, _reports) = options.command().unwrap();
            command.get_args().skip(2).map(|one| one.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(arguments(plain), "");
        let expected = "--service /run/image-proxy.sock --policy /policy --idle-timeout 2.5 --attempts 3";
        assert_eq!(arguments(full), expected);
        assert_eq!(check(Path::new("/no/proxy")).unwrap_err().to_string(), "looking for the image proxy /no/proxy");
    }
}
