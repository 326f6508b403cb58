//! `ballast releases --json`, and what the commands that change releases answer: read strictly, as the status is.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::deadline::Deadline;
use crate::guest::{Guest, quote};

/// A whole image is fetched by an emulated machine in a minute or two; this is for a busy host.
pub const OPERATION: Duration = Duration::from_secs(600);

/// Between two questions to a node that is waited for: each costs an emulated machine time that it has other use for.
pub const AGAIN: Duration = Duration::from_secs(2);

/// The exit status that says that another operation is running.
const BUSY: u8 = 5;

/// What is on the node, what failed there, what is being done.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the keys are the agent's, documented in docs/reference/status.md")]
pub struct Releases {
    pub releases: Vec<Release>,
    pub failed: Vec<FailedRelease>,
    pub operation: Option<Operation>,
}

/// A release on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "see Releases")]
pub struct Release {
    pub digest: Option<String>,
    pub version: String,
    pub commit: String,
    pub image: Option<String>,
    pub booted: bool,
    pub next: bool,
    pub last_good: bool,
    pub pinned: bool,
    pub state: String,
}

/// A release that failed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "see Releases")]
pub struct FailedRelease {
    pub digest: String,
    pub version: String,
    pub reason: String,
    pub at: u64,
}

/// What is being done.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Releases")]
pub struct Operation {
    pub command: String,
    pub phase: String,
    pub fetched_bytes: u64,
    pub total_bytes: u64,
}

impl Releases {
    /// Asks the agent, once it has taken note of the end of what it did last.
    ///
    /// # Errors
    /// When it does not answer, a key of the contract is missing, or an operation goes on.
    pub fn of(guest: &mut Guest) -> Result<Self> {
        when(guest, "no operation runs", Deadline::secs(10), |releases| releases.operation.is_none())
    }

    /// Asks the agent, whatever it is doing.
    ///
    /// # Errors
    /// When it does not answer, or a key of the contract is missing.
    pub fn now(guest: &mut Guest) -> Result<Self> {
        let text = guest.ask("ballast releases --json")?;
        serde_json::from_str(&text).with_context(|| format!("reading the releases {text}"))
    }

    /// The one that runs.
    ///
    /// # Errors
    /// When there is not just one.
    pub fn booted(&self) -> Result<&Release> {
        self.one("booted", |release| release.booted)
    }

    /// The one that boots next.
    ///
    /// # Errors
    /// When there is not just one.
    pub fn next(&self) -> Result<&Release> {
        self.one("next", |release| release.next)
    }

    /// The versions that are on the disk, sorted.
    pub fn versions(&self) -> Vec<&str> {
        let mut versions: Vec<_> = self.releases.iter().map(|release| release.version.as_str()).collect();
        versions.sort_unstable();
        versions
    }

    fn one(&self, what: &str, is: impl Fn(&Release) -> bool) -> Result<&Release> {
        let found: Vec<_> = self.releases.iter().filter(|release| is(release)).collect();
        match found[..] {
            [release] => Ok(release),
            _ => bail!("{} releases are {what}: {self:?}", found.len()),
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    command: String,
    /// Its exit status
    pub status: u8,
    said: String,
    answer: Result<Answer, serde_json::Error>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done(Done),
    Failed(Failed),
}

/// It ended well.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "see Releases")]
pub struct Done {
    pub message: String,
    pub changed: bool,
    pub digest: Option<String>,
    pub version: Option<String>,
    pub fetch_bytes: Option<u64>,
    pub reboots: bool,
}

/// It did not.
#[derive(Debug, Deserialize)]
struct Failed {
    kind: String,
    message: String,
}

impl Ended {
    /// Runs `ballast ARGUMENTS --json` to its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn of(guest: &mut Guest, arguments: &[&str]) -> Result<Self> {
        let command = quote(&[&["ballast"], arguments, &["--json"]].concat());
        let output = guest.shell_within(&command, OPERATION)?;
        let said = format!("{} {}", output.text(), output.warning());
        Ok(Self { command, status: output.status, said, answer: serde_json::from_slice(&output.stdout) })
    }

    /// The same, once nothing else is being done: an agent that was restarted goes on by itself with what it was at.
    ///
    /// # Errors
    /// As [`Ended::of`], and when something else is being done for too long.
    pub fn once_idle(guest: &mut Guest, arguments: &[&str]) -> Result<Self> {
        let deadline = Deadline::after(OPERATION);
        let ended = deadline.poll(Duration::from_secs(1), || {
            let ended = Self::of(guest, arguments)?;
            Ok::<_, anyhow::Error>((ended.status != BUSY).then_some(ended))
        })?;
        ended.with_context(|| format!("something else is being done for more than {deadline}"))
    }

    /// It ended well.
    ///
    /// # Errors
    /// When it did not.
    pub fn done(self) -> Result<Done> {
        match (self.status, self.answer) {
            (0, Ok(Answer::Done(done))) => Ok(done),
            (status, _) => bail!("{} ended with {status}: {}", self.command, self.said.trim()),
        }
    }

    /// It ended with this exit status, for a reason of this kind; gives its sentence.
    ///
    /// # Errors
    /// When it ended otherwise.
    pub fn failed(self, status: u8, kind: &str) -> Result<String> {
        let failed = match self.answer {
            Ok(Answer::Failed(failed)) if self.status == status => failed,
            _ => bail!("{} ended with {}, not {status}: {}", self.command, self.status, self.said.trim()),
        };
        ensure!(failed.kind == kind, "{} failed as {:?}, not {kind:?}: {}", self.command, failed.kind, failed.message);
        Ok(failed.message)
    }
}

/// Waits until the releases are as `wanted`.
///
/// # Errors
/// When they are not by the deadline, with how they are.
pub fn when(guest: &mut Guest, what: &str, deadline: Deadline, wanted: impl Fn(&Releases) -> bool) -> Result<Releases> {
    loop {
        let releases = Releases::now(guest)?;
        if wanted(&releases) {
            return Ok(releases);
        }
        if deadline.is_over() {
            bail!("{what}: not within {deadline}; the releases are {releases:?}");
        }
        std::thread::sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: u8, text: &str) -> Ended {
        let answer = serde_json::from_str(text);
        Ended { command: "ballast upgrade".into(), status, said: text.into(), answer }
    }

    #[test]
    fn ends_are_distinguished() {
        let done =
            r#"{"done":{"message":"m","changed":true,"digest":null,"version":"2","fetch_bytes":5,"reboots":false}}"#;
        assert_eq!(ended(0, done).done().unwrap().fetch_bytes, Some(5));
        let failed = r#"{"failed":{"kind":"refused","message":"older"}}"#;
        assert_eq!(ended(4, failed).failed(4, "refused").unwrap(), "older");
        assert!(ended(4, failed).failed(4, "busy").unwrap_err().to_string().contains("failed as \"refused\""));
        assert!(ended(4, failed).failed(1, "refused").is_err());
        assert!(ended(4, failed).done().unwrap_err().to_string().contains("ended with 4"));
        assert!(ended(101, "panicked").failed(1, "failed").unwrap_err().to_string().contains("panicked"));
    }

    #[test]
    fn the_releases_of_the_contract_are_read() {
        let release = serde_json::json!({"digest": "sha256:a", "version": "1", "commit": "c", "image": null, "booted": true,
            "next": false, "last_good": true, "pinned": false, "state": "good"});
        let value = serde_json::json!({"releases": [release], "failed": [], "operation": null});
        let releases: Releases = serde_json::from_value(value).unwrap();
        assert_eq!(releases.booted().unwrap().version, "1");
        assert!(releases.next().is_err());
        assert_eq!(releases.versions(), ["1"]);
    }
}
