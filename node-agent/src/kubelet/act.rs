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
    plan::{kept, rendered},
    pods,
};
use crate::clients::{
    cri::Cri,
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
        cri: Option<&Cri>,
        registry: impl Future<Output = Result<Registry>>,
    ) -> Result<()> {
        match step {
            Step::Steer { image } => {
                log::info!("the cluster names the kubelet {}", image.as_deref().unwrap_or("of the settings"));
                memory::change(&self.host, |memory| memory.steered = image).await?;
            }
            Step::Fetch { image } => {
                let registry = registry.await.with_context(|| format!("fetching kubelet {image}"));
                self.fetch(image, registry, rendered(observed).map(str::to_owned));
            }
            Step::Start { files } => {
                let systemd = systemd.context("starting the kubelet: systemd does not answer")?;
                self.render(files).await?;
                log::info!("starting {UNIT}");
                systemd.restart(UNIT).await.context("starting the kubelet")?;
                self.started = Some(Instant::now());
                self.is_over = false;
            }
            Step::Render { files } => self.render(files).await?,
            Step::Stop => {
                let systemd = systemd.context("ending the kubelet: systemd does not answer")?;
                log::info!("ending {UNIT} as the settings say");
                systemd.stop(UNIT).await.context("ending the kubelet")?;
                self.started = None;
            }
            Step::EndPods => {
                let cri = cri.context("ending a kubelet's pods: the container runtime does not answer")?.clone();
                let (host, changed) = (self.host.clone(), Arc::clone(&self.changed));
                self.work = Some(tokio::spawn(async move {
                    let ended = pods::end(&host, &cri).await;
                    changed.notify_one();
                    Done::Pods(ended)
                }));
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
                let mut after = observed.memory.clone();
                after.proved(version.clone());
                memory::change(&self.host, |memory| memory.proved(version)).await?;
                self.remove(kept(&after, rendered(observed)));
            }
            Step::Fail(failed) => {
                log::error!("kubelet {} failed: {}", failed.version, failed.reason);
                // What drained the node for it drains again.
                self.permitted = None;
                memory::change(&self.host, |memory| memory.fail(failed)).await?;
            }
            Step::Mend { digest } => {
                log::error!("the kubelet on the disk is not what was signed; it is fetched anew");
                memory::change(&self.host, |memory| memory.mend(digest)).await?;
                let before = self.mended.map_or(0, |(_, count)| count);
                self.mended = Some((Instant::now(), before.saturating_add(1)));
            }
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Fetches it, then removes what is needed no more: `rendered` is what is running, or is to run, meanwhile.
    fn fetch(&mut self, image: String, registry: Result<Registry>, rendered: Option<String>) {
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
                memory::change(&host, move |memory| memory.fetched(of, Version { digest, version })).await?;
                // Versions that failed one after the other would fill the disk.
                let after = host.read("looking at the kubelet", memory::load).await?;
                if let Err(error) = remove(&host, &kept(&after, rendered.as_deref())).await {
                    log::warn!("removing kubelets that nobody needs: {error:#}");
                }
                Ok(())
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
        self.work = Some(tokio::spawn(async move { Done::Removal(remove(&host, &keep).await) }));
    }

    async fn render(&self, files: Files) -> Result<()> {
        self.host.change("rendering what the kubelet reads", move |host| write(host, &files)).await
    }
}

/// Removes all versions but those of `keep`.
async fn remove(host: &Host, keep: &[String]) -> Result<()> {
    let mut arguments = vec!["remove"];
    keep.iter().for_each(|digest| arguments.extend(["--keep", digest.as_str()]));
    let Removed { removed } = worker::run::<Removed>(host, ARTIFACTS, &arguments, None, REMOVAL_TOTAL, |_| {}).await?;
    removed.iter().for_each(|digest| log::info!("removed {digest}, which nobody needs"));
    Ok(())
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
