//! Looks at the kubelet: its unit, its answers, what is rendered, what is remembered.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    memory,
    model::{FOLDER, FetchFailure, Files, Memory, Observed, PODS, UNIT, Unit, UnitState, Wanted},
    plan::{
        image,
        render::{self, HEALTHZ},
    },
    pods,
    probe::Probe,
};
use crate::clients::{cri::Cri, host::Host, store, systemd::Systemd};

/// Watches over the kubelet from pass to pass.
#[derive(Debug)]
pub struct Controller {
    pub(super) host: Host,
    pub(super) changed: Arc<Notify>,
    probe: Probe,
    /// Set by `act`: when the unit was started with what is rendered.
    pub(super) started: Option<Instant>,
    pub(super) killed_pid: Option<u32>,
    /// Fetching, removing: one at a time.
    pub(super) work: Option<JoinHandle<Done>>,
    pub(super) failure: Option<(FetchFailure, Instant)>,
    /// The version that the cluster allows to start, by its digest.
    pub(super) permitted: Option<String>,
    /// Set by `act`: when a version was found damaged, and how often in a row.
    pub(super) mended: Option<(Instant, u32)>,
    /// Without the role: nothing is left of a kubelet.
    pub(super) is_over: bool,
    /// Ends it and its pods, since the node goes down.
    pub(super) leaving: Option<JoinHandle<()>>,
}

/// How long all pods of a kubelet may take to end.
pub use super::pods::LONGEST_GRACE;

/// One that was well for so long was mended for good.
const MENDED: Duration = Duration::from_secs(600);

/// What came of work beside the loop.
#[derive(Debug)]
pub(super) enum Done {
    /// A fetch of this image.
    Fetch(String, Result<()>),
    /// Versions that nobody needs are removed.
    Removal(Result<()>),
    /// The pods that a kubelet left are ended.
    Pods(Result<()>),
}

impl Controller {
    /// Nothing was looked at yet. What happens wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        let probe = Probe::new(HEALTHZ, Arc::clone(&changed));
        Self {
            host,
            changed,
            probe,
            started: None,
            killed_pid: None,
            work: None,
            failure: None,
            permitted: None,
            mended: None,
            is_over: false,
            leaving: None,
        }
    }

    /// Whether there is anything to look after: one that is wanted, or what is left of one, in this boot or over one.
    ///
    /// # Errors
    /// If the disk does not answer.
    pub async fn check_needed(&mut self, is_wanted: bool) -> Result<bool> {
        let is_there = is_wanted || self.host.path(FOLDER).exists();
        if is_there || self.is_over {
            return Ok(is_there);
        }
        let is_remembered = |host: &Host| Ok(host.path(memory::FILE).exists());
        self.is_over = !self.host.read("looking for what a kubelet left", is_remembered).await?;
        Ok(!self.is_over)
    }

    /// How it is. `wanted`: None without the role; then its unit and its pods are looked at, to end them.
    ///
    /// # Errors
    /// If the disk or systemd does not answer.
    pub async fn observe(
        &mut self,
        wanted: Option<&Wanted>,
        systemd: Option<&Systemd>,
        cri: Option<&Cri>,
    ) -> Result<Observed> {
        self.collect().await;
        let paths = wanted.map(|wanted| (wanted.credentials.clone(), wanted.serving.clone()));
        let load = move |host: &Host| load(host, paths.as_ref());
        let OnDisk { memory, files, has_credentials, serving } =
            self.host.read("reading the files of the kubelet", load).await?;
        let unit = match systemd {
            Some(systemd) => Some(unit(systemd).await?),
            None => None,
        };
        let is_wanted = wanted.is_some_and(|wanted| image(wanted, &memory).is_some());
        let sandboxes = match cri.filter(|_| !is_wanted) {
            Some(cri) => Some(pods::left(cri).await?),
            None => None,
        };
        self.is_over = !is_wanted && files.is_empty() && sandboxes.as_ref().is_some_and(Vec::is_empty);
        let asked = unit.filter(|unit| unit.state == UnitState::Active).map_or(0, |unit| unit.main_pid);
        let health = self.probe.observe(asked).await;
        self.mended.take_if(|_| health.healthy_for.is_some_and(|time| time >= MENDED));
        Ok(Observed {
            memory,
            unit,
            health,
            files,
            started: self.started.map(|started| started.elapsed()),
            has_credentials,
            serving,
            is_busy: self.work.is_some(),
            fetch_failure: self
                .failure
                .as_ref()
                .map(|(failure, at)| FetchFailure { ago: at.elapsed(), ..failure.clone() }),
            killed_pid: self.killed_pid,
            permitted: self.permitted.clone(),
            mended: self.mended.map(|(at, count)| (at.elapsed(), count)),
            sandboxes,
        })
    }

    /// The node is drained for the version with `digest`: it may start.
    pub fn permit(&mut self, digest: String) {
        self.permitted = Some(digest);
        self.changed.notify_one();
    }

    /// Takes note of work that ended.
    async fn collect(&mut self) {
        let Some(work) = self.work.take_if(|work| work.is_finished()) else { return };
        match work.await {
            Ok(Done::Fetch(image, Err(error))) => {
                let message = format!("{error:#}");
                let earlier = self.failure.take().filter(|(failure, _)| failure.image == image);
                // What stays as it is is in the journal once, and in the status as long as it lasts.
                if earlier.as_ref().is_none_or(|(failure, _)| failure.message != message) {
                    log::error!("kubelet {image} cannot be fetched: {message}");
                }
                let count = earlier.map_or(0, |(failure, _)| failure.count).saturating_add(1);
                self.failure = Some((FetchFailure { image, message, ago: Duration::ZERO, count }, Instant::now()));
            }
            Ok(Done::Fetch(_, Ok(()))) => {
                self.failure = None;
                // How it ended before says nothing of what was fetched.
                self.started = None;
            }
            Ok(Done::Removal(Err(error))) => log::warn!("removing kubelets that nobody needs: {error:#}"),
            Ok(Done::Pods(Err(error))) => log::error!("ending the pods of the kubelet: {error:#}"),
            Ok(Done::Removal(Ok(())) | Done::Pods(Ok(()))) => {}
            Err(error) => log::error!("looking after the kubelet: {error}"),
        }
    }
}

/// What lies on the disk.
struct OnDisk {
    memory: Memory,
    files: Files,
    has_credentials: bool,
    serving: Option<String>,
}

/// `paths`: of its credentials, and of what it shows.
fn load(host: &Host, paths: Option<&(String, String)>) -> Result<OnDisk> {
    let has_credentials = paths.is_some_and(|(credentials, _)| host.path(credentials).exists());
    let serving = match paths.filter(|(_, serving)| !serving.is_empty()) {
        Some((_, path)) => store::read(&host.path(path))?.map(|text| render::print(&String::from_utf8_lossy(&text))),
        None => None,
    };
    let mut files = Files::new();
    let folder = host.path(FOLDER);
    read(&folder, "", &mut files)?;
    read(&folder.join(PODS), &format!("{PODS}/"), &mut files)?;
    Ok(OnDisk { memory: memory::load(host)?, files, has_credentials, serving })
}

/// The files in `folder`, which need not be there.
fn read(folder: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    let doing = || format!("reading {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(doing)?,
    };
    for entry in entries {
        let entry = entry.with_context(doing)?;
        if entry.file_type().with_context(doing)?.is_file() {
            let text = fs::read(entry.path()).with_context(doing)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            files.insert(name, String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(())
}

async fn unit(systemd: &Systemd) -> Result<Unit> {
    let found = systemd.service(UNIT).await?;
    let state = match found.active_state.as_str() {
        "active" | "reloading" => UnitState::Active,
        "inactive" | "failed" => UnitState::Stopped,
        _ => UnitState::Changing,
    };
    let exit_status = if state == UnitState::Active { 0 } else { systemd.exit_status(UNIT).await? };
    Ok(Unit { state, main_pid: found.main_pid, restarts: found.restarts, exit_status })
}
