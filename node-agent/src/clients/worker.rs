//! The workers: the program that knows libostree (`node-agent/ostree`), and the one that keeps artifacts (`node-agent/artifacts`). One JSON
//! object a line; the last one is the result or the error.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, anyhow};
use ballast_types::worker::Line;
pub use ballast_types::worker::{Checked, Deployed, Fetched, Inspected, Progress, Removed, WorkerFailure};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::host::Host;

/// The worker for releases.
pub const RELEASES: &str = "/usr/lib/ballast/ostree-worker";

/// The worker for artifacts.
pub const ARTIFACTS: &str = "/usr/lib/ballast/artifact-worker";

/// Of what it says on standard error, the end is reported if it dies without a word.
const TAIL_BYTES: usize = 500;

/// How the worker asks a registry.
#[derive(Debug, Clone)]
pub struct Registry {
    /// The signature policy (containers-policy.json(5)).
    pub policy: String,
    /// How long a registry may send nothing.
    pub idle: Duration,
    /// How often it may fail in a row.
    pub attempts: u32,
    /// Through which proxy it is asked.
    pub environment: Environment,
}

/// Variables for the worker and what it starts. There may be a password in one: they are not shown.
#[derive(Clone, Default)]
pub struct Environment(pub Vec<(&'static str, String)>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Runs the worker `program` with `arguments`, at most for `deadline`; it is killed when that passes or the caller goes away.
///
/// # Errors
/// A [`WorkerFailure`] if the worker says what is wrong; else that it could not be run, or did not keep to its form.
pub async fn run<T: DeserializeOwned>(
    host: &Host,
    program: &str,
    arguments: &[&str],
    registry: Option<&Registry>,
    deadline: Duration,
    progress: impl FnMut(Progress),
) -> Result<T> {
    let mut command = Command::new(host.path(program));
    command.args(arguments);
    if let Some(registry) = registry {
        let (idle, attempts) = (registry.idle.as_secs_f64().to_string(), registry.attempts.to_string());
        command.args(["--policy", &registry.policy, "--idle-timeout", &idle, "--attempts", &attempts]);
        command.envs(registry.environment.0.iter().map(|(name, value)| (name, value)));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    match timeout(deadline, talk(program, command, progress)).await {
        Ok(result) => result,
        Err(_) => Err(anyhow!("it did not end within {} s", deadline.as_secs())),
    }
}

async fn talk<T: DeserializeOwned>(
    program: &str,
    mut command: Command,
    mut progress: impl FnMut(Progress),
) -> Result<T> {
    let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
    let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
    let mut warnings = child.stderr.take().context("its errors")?;
    let said = tokio::spawn(async move {
        let mut said = Vec::new();
        let _ = warnings.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).trim().to_owned()
    });
    let mut end = None;
    while let Some(line) = lines.next_line().await.context("reading what it says")? {
        match serde_json::from_str(&line).with_context(|| format!("reading what it says: {line}"))? {
            Line::Progress(bytes) => progress(bytes),
            Line::Result(result) => end = Some(Ok(result)),
            Line::Error(warning) => end = Some(Err(warning)),
        }
    }
    let status = child.wait().await.context("waiting for it")?;
    let said = said.await.unwrap_or_default();
    if !said.is_empty() {
        log::info!("{program}: {said}");
    }
    match end {
        Some(Ok(result)) if status.success() => Ok(result),
        Some(Err(warning)) => Err(warning.into()),
        Some(Ok(_)) | None => {
            let start = said.char_indices().rev().take(TAIL_BYTES).last().map_or(0, |(at, _)| at);
            Err(anyhow!("{program} ended without a word ({status}): {}", said.get(start..).unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_goes_on_and_on_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path());
        // It makes progress all the time: no idle timeout ends this one.
        let goes_on = r#"while sleep 0.05; do echo '{"progress":{"fetched_bytes":1,"total_bytes":9}}'; done"#;
        let pid = folder.path().join("pid");
        crate::clients::exec::script(&host.path(RELEASES), &format!("echo $$ >{}\n{goes_on}", pid.display()));
        let mut reported = 0;
        let ended = run::<Fetched>(&host, RELEASES, &["fetch"], None, Duration::from_secs(2), |_| reported += 1)
            .await
            .unwrap_err();
        assert_eq!(ended.to_string(), "it did not end within 2 s");
        assert!(reported > 0, "it reported no progress");
        let process = Path::new("/proc").join(fs::read_to_string(pid).unwrap().trim()).join("exe");
        let gone = async {
            while process.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.expect("it runs on");
    }
}
