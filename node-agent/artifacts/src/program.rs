//! The command line. stdout is JSON, one object a line: progress, then the result (exit status 0) or the error (1).

use std::{
    ffi::OsString,
    io::{Write, stdout},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result};
use ballast_types::{Digest, split_reference};
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use crate::{client::Proxy, failure, isolation, model::Artifact, observe, store::Store};

/// Where versions lie.
pub const STORE: &str = "/var/lib/ballast/artifacts";

/// What systemd knows from other programs that were not started: the unit failed before it ran (EX_CONFIG).
const NOT_STARTED: u8 = 78;

/// Progress is reported at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Fetches, checks, starts and removes artifacts for the node agent; not for people
#[derive(Debug, Parser)]
#[command(
    name = "artifact-worker",
    version,
    after_help = "\
IMAGE is HOST[:PORT]/PATH[:TAG][@sha256:HEX] or oci:FOLDER[:TAG].
Prints JSON, one object a line: progress, and at the end result (exit status 0) or error (1)."
)]
struct Options {
    /// Where versions lie
    #[arg(long, value_name = "FOLDER", default_value = STORE, hide = true)]
    store: PathBuf,
    #[command(subcommand)]
    task: Task,
}

/// How images come here.
#[derive(Debug, clap::Args)]
struct Way {
    /// Which images may be used (containers-policy.json(5)), in place of /etc/containers/policy.json
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How long a registry may send nothing
    #[arg(long, value_name = "SECONDS")]
    idle_timeout: Option<f64>,
    /// How often a registry may fail in a row
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// The program that fetches
    #[arg(long, value_name = "FILE", default_value = ballast_proxy_client::PROGRAM, hide = true)]
    proxy: PathBuf,
}

impl Way {
    /// The proxy that fetches `image` into `store`: on a node that is a service, which is told nothing of files.
    fn proxy(&self, store: &Path, image: &str) -> Result<Proxy> {
        let Self { policy, idle_timeout, attempts, proxy } = self;
        let is_service = store == Path::new(STORE) && !image.starts_with("oci:");
        Proxy::start(&ballast_proxy_client::Options {
            program: proxy,
            is_service,
            policy: policy.as_deref(),
            idle_timeout: *idle_timeout,
            attempts: *attempts,
        })
    }
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Fetches an artifact and seals it, if it is not here
    Fetch {
        #[arg(value_name = "IMAGE")]
        image: String,
        /// What it has to be for
        #[arg(long, value_name = "NAME")]
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Tells the digest of an image that the policy allows, whatever it is
    Resolve {
        #[arg(value_name = "IMAGE")]
        image: String,
        #[command(flatten)]
        way: Way,
    },
    /// Measures all files of an artifact
    Check {
        #[arg(value_name = "DIGEST")]
        digest: Digest,
    },
    /// Measures a file of an artifact and becomes it
    Start {
        #[arg(value_name = "DIGEST")]
        digest: Digest,
        #[arg(value_name = "FILE")]
        file: String,
        #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Removes all artifacts but those that are named
    Remove {
        /// An artifact that stays
        #[arg(long, value_name = "DIGEST")]
        keep: Vec<Digest>,
    },
}

/// The program: does what the command line says.
pub fn main() -> ExitCode {
    let Options { store, task } = Options::parse();
    if let Task::Start { digest, file, arguments } = &task {
        let error = start(&store, digest, file, arguments);
        eprintln!("artifact-worker: {file} is not started: {error:#}");
        // Only damage is mended by fetching it again; all else counts as an end of the program.
        let is_damaged = failure::kind(&error) == failure::Kind::Damaged;
        return if is_damaged { ExitCode::from(NOT_STARTED) } else { ExitCode::FAILURE };
    }
    match run(&store, task) {
        Ok(result) => {
            line(&json!({ "result": result }));
            ExitCode::SUCCESS
        }
        Err(error) => {
            line(&json!({ "error": { "kind": failure::kind(&error), "message": format!("{error:#}") } }));
            ExitCode::FAILURE
        }
    }
}

/// Becomes the file that was measured: what lies at its path by then does not matter. Returns only if it cannot.
fn start(store: &Path, digest: &Digest, name: &str, arguments: &[OsString]) -> Error {
    let file = match observe::open(store, digest, name) {
        Ok(file) => file,
        Err(error) => return error,
    };
    let error = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).arg0(name).args(arguments).exec();
    Error::from(error).context("executing it")
}

fn run(store: &Path, task: Task) -> Result<Value> {
    match task {
        Task::Fetch { image, name, way } => {
            let folder = store;
            let store = Store::open(folder)?;
            isolation::isolate(folder).context("setting this process apart")?;
            let proxy = way.proxy(folder, &image)?;
            let mut reported = Instant::now();
            let fetched = store.fetch(&proxy, &source(&image), &name, |bytes, total| {
                if reported.elapsed() >= PROGRESS_EVERY {
                    reported = Instant::now();
                    line(&json!({ "progress": { "fetched_bytes": bytes, "total_bytes": total } }));
                }
            })?;
            let mut result = shown(&fetched.digest, &fetched.artifact);
            result["fetched_bytes"] = json!(fetched.bytes);
            Ok(result)
        }
        Task::Resolve { image, way } => {
            let opened = way.proxy(store, &image)?.open(&source(&image))?;
            Ok(json!({ "digest": opened.digest.as_str() }))
        }
        Task::Check { digest } => {
            let artifact = observe::check(store, &digest)?;
            Ok(shown(&digest, &artifact))
        }
        Task::Remove { keep } => {
            let folder = store;
            let store = Store::open(folder)?;
            isolation::isolate(folder).context("setting this process apart")?;
            let removed: Vec<String> = store.remove(&keep)?.iter().map(ToString::to_string).collect();
            Ok(json!({ "removed": removed }))
        }
        // It does not come back.
        Task::Start { digest, file, arguments } => Err(start(store, &digest, &file, &arguments)),
    }
}

fn shown(digest: &Digest, artifact: &Artifact) -> Value {
    json!({ "digest": digest.as_str(), "name": artifact.name, "version": artifact.version })
}

/// As the proxy calls it: by digest if there is one, since a tag may move.
fn source(image: &str) -> String {
    if image.starts_with("oci:") {
        return image.to_owned();
    }
    match split_reference(image) {
        (name, _, Some(digest)) => format!("docker://{name}@{digest}"),
        (_, _, None) => format!("docker://{image}"),
    }
}

fn line(value: &Value) {
    // Who does not listen any more need not be notified; the exit status still says how it went.
    let _ = writeln!(stdout().lock(), "{value}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_digest_counts_more_than_a_tag() {
        for (image, expected) in [
            ("r:5000/a/kubelet:1.33", "docker://r:5000/a/kubelet:1.33"),
            ("r:5000/kubelet:1.33@sha256:ab", "docker://r:5000/kubelet@sha256:ab"),
            ("r:5000/kubelet@sha256:ab", "docker://r:5000/kubelet@sha256:ab"),
            ("oci:/a/b:t", "oci:/a/b:t"),
        ] {
            assert_eq!(source(image), expected);
        }
    }
}
