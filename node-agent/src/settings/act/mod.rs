//! Applies the settings: beside the loop, one thing at a time. The next probe observes the result.

mod cloud;
pub mod document;
pub mod files;
mod hostname;
pub mod keep;
pub mod mend;
mod operation;
mod sysctls;
mod units;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use self::cloud::Cloud;
use super::{
    effects::Effects,
    model::{Command, Event, Failure, Outcome, Problem, Read, Trial, TrialShown, Warning},
    observe::{self, Reader},
};
use crate::clients::{host::Host, networkd, systemd::Systemd, watch};

/// What could not be written is tried again: the disk may have been full.
const AGAIN: Duration = Duration::from_secs(60);

/// Keeps what the settings say true.
#[derive(Debug)]
pub struct SettingsController {
    host: Host,
    changed: Arc<Notify>,
    reader: Reader,
    /// When what is damaged was to be mended last.
    mended: Option<Instant>,
    /// What was read last: while the disk does not answer, it holds.
    read: Option<Arc<Read>>,
    effects: Effects,
    /// Whether a new lease of DHCP wakes the loop.
    watches_leases: bool,
    work: Option<Work>,
    /// What held as a whole when it was looked at last.
    holds: Option<Arc<Read>>,
    problem: Option<String>,
    /// Not before this, after something went wrong.
    again: Option<Instant>,
    trial: Option<Running>,
    cloud: Cloud,
}

/// A trial in this boot.
#[derive(Debug, Clone, Copy)]
struct Running {
    until: Duration,
    uptime: Duration,
}

/// What is being done.
#[derive(Debug)]
struct Work {
    client: Option<mpsc::Sender<Event>>,
    /// What is to hold after it, if it is about that.
    holds: Option<Arc<Read>>,
    task: JoinHandle<Result<Outcome, Failure>>,
}

/// An operation that has ended: its client is informed once the status shows it.
#[derive(Debug)]
pub struct Ended {
    client: mpsc::Sender<Event>,
    event: Event,
}

impl Ended {
    /// Says it.
    pub async fn report(self) {
        // They may have stopped waiting.
        let _ = self.client.send(self.event).await;
    }
}

impl SettingsController {
    /// Has done nothing yet; the end of its work wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        Self {
            cloud: Cloud::new(host.clone(), Arc::clone(&changed)),
            reader: Reader::default(),
            mended: None,
            read: None,
            effects: Effects::default(),
            watches_leases: false,
            work: None,
            holds: None,
            problem: None,
            again: None,
            trial: None,
            host,
            changed,
        }
    }

    /// What there is of settings, if they could be read at all.
    ///
    /// # Errors
    /// If the disk does not answer, or a trial cannot be read; what the settings say is reported all the same.
    pub async fn read(&mut self) -> (Option<Arc<Read>>, Result<()>) {
        let mut reader = std::mem::take(&mut self.reader);
        let read = move |host: &Host| {
            let (read, trial) = (reader.read(host), trial(host));
            Ok((reader, read, trial, mend::is_damaged(host)))
        };
        match self.host.read("reading the settings", read).await {
            Ok((reader, read, trial, is_damaged)) => {
                if is_damaged && self.mended.is_none_or(|at| at.elapsed() >= AGAIN) {
                    self.mended = Some(Instant::now());
                    self.host
                        .change("mending the settings", mend::mend)
                        .await
                        .unwrap_or_else(|error| log::error!("{error:#}"));
                    // What came of it is read by the next pass.
                    self.changed.notify_one();
                }
                self.reader = reader;
                self.read = Some(read);
                let (trial, result) = trial.map_or_else(|error| (None, Err(error)), |trial| (trial, Ok(())));
                self.trial = trial;
                (self.read.clone(), result)
            }
            Err(error) => (self.read.clone(), Err(error)),
        }
    }

    /// Checks the effects of `read`.
    ///
    /// # Errors
    /// If networkd's, resolved's or timesyncd's files cannot be read.
    pub fn observe_effects(&mut self, read: &Read) -> Result<()> {
        self.effects.observe(&self.host, read, Instant::now())
    }

    /// What of the settings does not hold although it applies and had its time.
    pub fn effects(&self) -> &[Problem] {
        self.effects.problems()
    }

    /// Names the machine as DHCP says, where the settings say no name; from then on each new lease wakes the loop.
    ///
    /// # Errors
    /// If a lease cannot be read or watched for, or the kernel does not take the name.
    pub fn follow_dhcp(&mut self, read: &Read) -> Result<()> {
        if read.settings.hostname.is_some() {
            return Ok(());
        }
        if let Some(folder) = networkd::leases(&self.host).filter(|_| !self.watches_leases) {
            watch::folders(&[folder], Arc::clone(&self.changed))?;
            self.watches_leases = true;
        }
        hostname::follow_dhcp(&self.host)
    }

    /// Whether it can be asked for something, or goes on with what is there.
    pub fn is_free(&self) -> bool {
        self.work.is_none()
    }

    /// What went wrong when nobody waited for it, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        self.problem.iter().cloned().chain(self.cloud.problem()).collect()
    }

    /// What is worth knowing of the machine and nobody's mistake: it is of a cloud that is not asked.
    pub fn note(&self) -> Option<Warning> {
        self.cloud.note()
    }

    /// How long until something is due: the trial's end, the cloud's next try.
    pub fn due_in(&self) -> Option<Duration> {
        self.trial_left().into_iter().chain(self.cloud.due_in()).min()
    }

    fn trial_left(&self) -> Option<Duration> {
        self.trial.map(|trial| trial.until.saturating_sub(trial.uptime))
    }

    /// The trial that runs, as it is shown at `now`, in seconds since 1970.
    pub fn trial(&self, now: u64) -> Option<TrialShown> {
        let left_s = self.trial_left()?.as_secs();
        Some(TrialShown { until_s: now.saturating_add(left_s), left_s })
    }

    /// Takes in how the last work ended.
    pub async fn ended(&mut self) -> Option<Ended> {
        let Work { client, holds, task } = self.work.take_if(|work| work.task.is_finished())?;
        let result = task.await.context("its task ended").map_err(Failure::from).and_then(|result| result);
        match (&result, client.is_some()) {
            (Ok(outcome), _) => {
                if outcome.changed {
                    log::info!("settings: {}", outcome.message);
                }
                self.holds = holds;
                (self.problem, self.again) = (None, None);
            }
            (Err(failure), true) => log::warn!("settings: {failure}"),
            (Err(failure), false) => {
                self.problem = Some(format!("the settings do not hold yet: {failure}"));
                self.again = Some(Instant::now() + AGAIN);
            }
        }
        Some(Ended { client: client?, event: result.map_or_else(Event::Failed, Event::Done) })
    }

    /// Begins what is due: the cloud is asked, a trial that is over is taken back, and what is read is made to hold.
    pub async fn go_on(&mut self, read: &Arc<Read>, systemd: Option<&Systemd>) {
        self.cloud.go_on(&read.record).await;
        if self.work.is_some() || self.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        let (host, systemd) = (self.host.clone(), systemd.cloned());
        if self.trial_left().is_some_and(|left| left.is_zero()) {
            self.start(None, None, async move { operation::revert(&host, systemd.as_ref()).await });
        } else if !self.holds.as_ref().is_some_and(|holds| Arc::ptr_eq(holds, read)) {
            let settings = read.settings.clone();
            let hold = async move { operation::hold(&host, &settings, systemd.as_ref()).await };
            self.start(None, Some(Arc::clone(read)), hold);
        }
    }

    /// Starts a requested change. Its progress is reported through `client`; it continues when the client disconnects.
    pub fn ask(&mut self, command: Command, client: mpsc::Sender<Event>, systemd: Option<&Systemd>) {
        let (host, systemd, events) = (self.host.clone(), systemd.cloned(), client.clone());
        self.start(Some(client), None, async move { operation::run(&host, &command, &events, systemd.as_ref()).await });
    }

    fn start(
        &mut self,
        client: Option<mpsc::Sender<Event>>,
        holds: Option<Arc<Read>>,
        work: impl Future<Output = Result<Outcome, Failure>> + Send + 'static,
    ) {
        let changed = Arc::clone(&self.changed);
        let task = tokio::spawn(async move {
            let result = work.await;
            changed.notify_one();
            result
        });
        self.work = Some(Work { client, holds, task });
    }
}

/// The trial that runs. One that began before this boot has its whole time in it.
fn trial(host: &Host) -> Result<Option<Running>> {
    observe::trial(host)?.map(|trial| running(host, &trial)).transpose()
}

fn running(host: &Host, trial: &Trial) -> Result<Running> {
    let (until, uptime) = observe::trial_times(host)?;
    let until = match until {
        Some(until) => until,
        None => Duration::from_secs(document::note_end(host, trial)?),
    };
    Ok(Running { until, uptime })
}
