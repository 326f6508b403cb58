//! Does what the plan says: fetches, renders, starts, ends.

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{
    memory,
    model::{FOLDER, Files, NAME, Observed, PODS, Step, UNIT, Version},
    observe::{Controller, Done},
    plan::kept,
};
use crate::clients::{
    host::Host,
    store,
    systemd::Systemd,
    worker::{self, ARTIFACTS, Registry},
};

/// How long a fetch may take in all: 40 MB come within it at 25 kB/s.
const FETCH_TOTAL: Duration = Duration::from_secs(1800);

/// What removes files only.
const REMOVAL_TOTAL: Duration = Duration::from_secs(120);

/// A pod that is being written.
const FRESH: &str = "pod.new";

#[derive(Debug, Deserialize)]
struct Fetched {
    digest: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Removed {
    removed: Vec<String>,
}

impl Controller {
    /// Does `step`. `registry`: how an image is fetched. What came of it is seen by the next look.
    ///
    /// # Errors
    /// If systemd or the disk does not do it.
    pub async fn act(
        &mut self,
        step: Step,
        observed: &Observed,
        systemd: Option<&Systemd>,
        registry: impl Future<Output = Result<Registry>>,
    ) -> Result<()> {
        match step {
            Step::Fetch { image } => {
                let registry = registry.await.with_context(|| format!("fetching kubelet {image}"));
                self.fetch(image, registry);
            }
            Step::Start { files } => {
                let systemd = systemd.context("starting the kubelet: systemd does not answer")?;
                self.render(files).await?;
                log::info!("starting {UNIT}");
                systemd.restart(UNIT).await.context("starting the kubelet")?;
                self.started = Some(Instant::now());
            }
            Step::Render { files } => self.render(files).await?,
            Step::Stop => {
                let systemd = systemd.context("ending the kubelet: systemd does not answer")?;
                log::info!("ending {UNIT} as the settings say");
                systemd.stop(UNIT).await.context("ending the kubelet")?;
                self.started = None;
            }
            Step::Clear => {
                let clear = |host: &Host| match fs::remove_dir_all(host.path(FOLDER)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
                    Ok(()) | Err(_) => Ok(()),
                };
                self.host.change("removing what the kubelet read", clear).await?;
            }
            Step::Kill { pid } => {
                let systemd = systemd.context("killing the kubelet: systemd does not answer")?;
                log::error!("{UNIT} does not answer: killing its main process {pid}");
                systemd.kill_main(UNIT).await.context("killing the kubelet")?;
                self.killed_pid = Some(pid);
            }
            Step::Good(version) => {
                log::info!("kubelet {} proved itself", version.version);
                let mut observed = observed.clone();
                observed.memory.proved(version.clone());
                memory::change(&self.host, |memory| memory.proved(version)).await?;
                self.remove(kept(&observed));
            }
            Step::Fail(failed) => {
                log::error!("kubelet {} failed: {}", failed.version, failed.reason);
                memory::change(&self.host, |memory| memory.fail(failed)).await?;
            }
            Step::Mend => {
                log::error!("the kubelet on the disk is not what was signed; it is fetched anew");
                memory::change(&self.host, |memory| memory.mend()).await?;
            }
        }
        self.changed.notify_one();
        Ok(())
    }

    fn fetch(&mut self, image: String, registry: Result<Registry>) {
        let (host, changed) = (self.host.clone(), Arc::clone(&self.changed));
        self.work = Some(tokio::spawn(async move {
            let done = async {
                let registry = registry?;
                log::info!("fetching kubelet {image}");
                let arguments = ["fetch", image.as_str(), "--name", NAME];
                let fetched: Fetched =
                    worker::run(&host, ARTIFACTS, &arguments, Some(&registry), FETCH_TOTAL, |_| {}).await?;
                let Fetched { digest, version } = fetched;
                log::info!("kubelet {image} is {version}, {digest}");
                let of = image.clone();
                memory::change(&host, move |memory| memory.fetched(of, Version { digest, version })).await
            };
            let done = done.await;
            changed.notify_one();
            Done::Fetch(image, done)
        }));
    }

    /// Removes all versions but those of `keep`.
    fn remove(&mut self, keep: Vec<String>) {
        if self.work.is_some() {
            return;
        }
        let host = self.host.clone();
        self.work = Some(tokio::spawn(async move {
            let mut arguments = vec!["remove"];
            keep.iter().for_each(|digest| arguments.extend(["--keep", digest.as_str()]));
            let removed = worker::run::<Removed>(&host, ARTIFACTS, &arguments, None, REMOVAL_TOTAL, |_| {}).await;
            Done::Removal(removed.map(|Removed { removed }| {
                removed.iter().for_each(|digest| log::info!("removed {digest}, which nobody needs"));
            }))
        }));
    }

    async fn render(&self, files: Files) -> Result<()> {
        self.host.change("rendering what the kubelet reads", move |host| write(host, &files)).await
    }
}

/// Writes what is other, and removes the pods that are no more.
fn write(host: &Host, files: &Files) -> Result<()> {
    let folder = host.path(FOLDER);
    let pods = folder.join(PODS);
    // It has the addresses of credentials in it, and pods may have anything.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&pods)
        .with_context(|| format!("making {}", pods.display()))?;
    remove_others(&folder, "", files)?;
    remove_others(&pods, &format!("{PODS}/"), files)?;
    for (name, text) in files {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
            continue;
        }
        if !name.starts_with(PODS) {
            store::write(&path, text.as_bytes())?;
            continue;
        }
        // A kubelet reads whatever appears in its folder: a pod comes there whole.
        let fresh = folder.join(FRESH);
        store::replace(&path, &fresh, 0o600, text.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn remove_others(folder: &Path, prefix: &str, files: &Files) -> Result<()> {
    let doing = || format!("reading {}", folder.display());
    for entry in fs::read_dir(folder).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if !entry.file_type().with_context(doing)?.is_file() || files.contains_key(&name) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", entry.path().display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_all_there_is() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let files =
            |names: &[&str]| -> Files { names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect() };
        write(&host, &files(&["config.json", "pods/a.json", "pods/b.json"])).unwrap();
        write(&host, &files(&["config.json", "pods/b.json"])).unwrap();
        let folder = host.path(FOLDER);
        assert!(folder.join("pods/b.json").exists() && !folder.join("pods/a.json").exists());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
