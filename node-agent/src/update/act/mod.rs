//! Carries out operations on releases: beside the loop, one at a time. The next pass observes the result.

pub mod bless;
mod boot;
mod collect;
mod keep;
mod upgrade;
mod work;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use self::work::Work;
pub use self::work::{Settings, artifact_registry, toolbox_registry};
use super::{
    memory::Changer,
    model::{Command, Event, FailedRelease, Failure, FailureKind, Memory, Outcome, Progress, Revoked, Step, Upgrade},
};
use crate::clients::{esp, host::Host, systemd::systemctl_reboot};

/// A node that upgrades by itself asks its registry about once an hour, and the first time within two minutes; when
/// exactly is random, so that a thousand nodes that boot together do not ask together.
const EVERY: Duration = Duration::from_secs(3600);
const FIRST_WITHIN: Duration = Duration::from_secs(120);

/// How long an accepted reboot may take to end the agent; until then it is not requested again.
const REBOOT_AGAIN: Duration = Duration::from_secs(30);

/// A boot entry that could not be written is tried again: the ESP may have been full.
const ARGUMENTS_AGAIN: Duration = Duration::from_secs(60);

/// How long the record of a release that is given up may take to reach the disk.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The client is informed of the end once the loop shows the result; a pass that hangs longer than this is not waited for.
const SHOWN: Duration = Duration::from_secs(5);

/// An operation that has ended and waits until that shows.
pub type Ended = oneshot::Sender<()>;

/// The operation that runs, if one does, and what became of those that nobody waited for.
#[derive(Debug)]
pub struct Operations {
    host: Host,
    esp: esp::EspLock,
    changed: Arc<Notify>,
    memory: Changer,
    running: Option<Running>,
    /// Whether what is wanted is what an agent before us left: what we began ourselves may have ended since the last probe.
    takes_up: bool,
    ending: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    problem: watch::Sender<Option<String>>,
    /// The ESP is mounted beside the loop: it may have to be mended first.
    mounting: Option<JoinHandle<()>>,
    mount_problem: watch::Sender<Option<String>>,
    /// When the registry is asked next, if the node upgrades by itself.
    due: Instant,
    /// Before this the boot entry is not given the settings' arguments again.
    arguments_again: Instant,
    rebooting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Running {
    command: Command,
    /// None once it has ended, which its client hears as soon as it shows.
    progress: watch::Receiver<Option<Progress>>,
    task: JoinHandle<()>,
}

/// An agent that ends leaves its operation to the next one, which finds it in the memory. What only waits to report its end is
/// let do so.
impl Drop for Running {
    fn drop(&mut self) {
        if self.progress.borrow().is_some() {
            self.task.abort();
        }
    }
}

impl Operations {
    /// Nothing runs yet. The end of an operation wakes `changed`; it writes to the ESP when it has its turn.
    pub fn new(host: Host, esp: esp::EspLock, changed: Arc<Notify>) -> Self {
        let (ending, ended) = mpsc::unbounded_channel();
        Self {
            memory: Changer::new(host.clone()),
            host,
            esp,
            changed,
            running: None,
            takes_up: true,
            ending,
            ended,
            problem: watch::channel(None).0,
            mounting: None,
            mount_problem: watch::channel(None).0,
            due: Instant::now() + spread(FIRST_WITHIN),
            arguments_again: Instant::now(),
            rebooting: None,
        }
    }

    /// What runs, and how far it is.
    pub fn running(&self) -> Option<(&Command, Progress)> {
        let running = self.running.as_ref().filter(|running| !running.task.is_finished())?;
        let progress = running.progress.borrow().clone()?;
        Some((&running.command, progress))
    }

    /// The operations that ended before this moment; each is to be reported when an observation that begins now is shown.
    pub fn ended(&mut self) -> Vec<Ended> {
        std::iter::from_fn(|| self.ended.try_recv().ok()).collect()
    }

    /// What went wrong when nobody waited for it, and what stands in the way, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        self.mount_problem.borrow().clone().into_iter().chain(self.problem.borrow().clone()).collect()
    }

    /// Starts a requested operation, or reports which one is running. Progress goes to `client`; if the client disconnects
    /// before the boot entry is written, the operation is cancelled.
    pub fn ask(&mut self, command: Command, client: mpsc::Sender<Event>, settings: &Settings) {
        if client.is_closed() {
            // They did not wait until it could be begun.
            return;
        }
        if let Some((running, progress)) = self.running() {
            let message = format!(
                "another operation is running: {} ({}); see ballast releases",
                running.name(),
                progress.phase.name()
            );
            // Who asked may be gone already.
            let _ = client.try_send(Event::Failed(Failure { kind: FailureKind::Busy, message }));
            return;
        }
        self.start(command, Some(client), settings);
    }

    /// Starts an operation that nobody waits for; if one runs, nothing.
    pub fn start_unasked(&mut self, command: Command, settings: &Settings) {
        if self.running().is_none() {
            self.start(command, None, settings);
        }
    }

    /// Whether what is asked for waits for `step`: before it is done, what there is to see is half of what there is.
    pub fn comes_first(&self, step: &Step) -> bool {
        match step {
            // One that cannot be mounted is reported to who asks.
            Step::MountEsp { .. } => !self.mounting.as_ref().is_some_and(JoinHandle::is_finished),
            Step::MarkFailed { .. } | Step::MendMemory => true,
            Step::Resume { .. }
            | Step::Learn { .. }
            | Step::ForgetOffered
            | Step::Upgrade
            | Step::Reboot
            | Step::Arguments => false,
        }
    }

    /// Does `step`. While an operation runs it is the one that changes things.
    ///
    /// # Errors
    /// If what is remembered cannot be written.
    pub async fn act(&mut self, step: &Step, settings: &Settings) -> anyhow::Result<()> {
        match step {
            Step::MendMemory => self.memory.mend().await?,
            Step::MountEsp { device } => self.mount_esp(device),
            Step::MarkFailed { failed } => self.mark_failed(failed.clone()).await?,
            Step::Resume { .. } if !self.takes_up => {}
            Step::Resume { command } => self.start_unasked(command.clone(), settings),
            Step::Learn { floor, revoked } => self.learn(floor.clone(), revoked.clone()).await?,
            Step::ForgetOffered => self.memory.change(|memory| memory.offered = None).await?,
            Step::Upgrade => self.upgrade_unattended(settings),
            Step::Reboot => self.reboot("the settings say so"),
            Step::Arguments if Instant::now() < self.arguments_again => {}
            Step::Arguments => {
                self.arguments_again = Instant::now() + ARGUMENTS_AGAIN;
                self.start_unasked(Command::Arguments, settings);
            }
        }
        Ok(())
    }

    /// Writes down why the release that runs is about to be given up. It is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written, or the disk does not answer within 10 s: a release that breaks the disk is to be left all the same.
    pub async fn give_up(&self, failed: FailedRelease) -> anyhow::Result<()> {
        self.memory.change_within(GIVE_UP, |memory| memory.given_up = Some(failed)).await
    }

    /// Whether it is time to ask the registry for another release.
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.due && self.running().is_none()
    }

    /// Reboots into the release that is prepared; while an operation runs, or a reboot is on its way already, nothing.
    pub fn reboot(&mut self, why: &str) {
        if self.rebooting.as_ref().is_some_and(|task| !task.is_finished()) || self.running().is_some() {
            return;
        }
        log::info!("rebooting into the release that is prepared: {why}");
        let (host, problem) = (self.host.clone(), self.problem.clone());
        self.rebooting = Some(tokio::spawn(async move {
            if let Err(error) = systemctl_reboot(&host).await {
                problem.send_replace(Some(format!("{error:#}")));
            }
            sleep(REBOOT_AGAIN).await;
        }));
    }

    fn mount_esp(&mut self, device: &str) {
        if self.mounting.is_some() {
            return;
        }
        let (host, device, changed) = (self.host.clone(), device.to_owned(), Arc::clone(&self.changed));
        let (problem, esp) = (self.mount_problem.clone(), self.esp.clone());
        self.mounting = Some(tokio::spawn(async move {
            let reported = match esp::mount_read_only(&host, &device, esp.take().await).await {
                Ok(None) => None,
                Ok(Some(error)) => Some(format!("{error:#}")),
                Err(error) => Some(format!("the boot entries cannot be read: {error:#}")),
            };
            reported.iter().for_each(|reported| log::error!("{reported}"));
            problem.send_replace(reported);
            changed.notify_one();
        }));
    }

    fn upgrade_unattended(&mut self, settings: &Settings) {
        self.due = Instant::now() + EVERY + spread(EVERY / 6);
        let upgrade = Upgrade { unattended: true, ..Upgrade::default() };
        self.start_unasked(Command::Upgrade(upgrade), settings);
    }

    async fn mark_failed(&self, failed: FailedRelease) -> anyhow::Result<()> {
        log::error!("release {} ({}) failed: {}", failed.version, failed.digest, failed.reason);
        let mark_failed = |memory: &mut Memory| {
            memory.mark_failed(failed);
            memory.given_up = None;
        };
        self.memory.change(mark_failed).await
    }

    async fn learn(&self, floor: Option<String>, revoked: Revoked) -> anyhow::Result<()> {
        let learn = move |memory: &mut Memory| {
            memory.floor = floor.or(memory.floor.take());
            memory.revoked = std::mem::take(&mut memory.revoked).and(&revoked);
        };
        self.memory.change(learn).await
    }

    fn start(&mut self, command: Command, client: Option<mpsc::Sender<Event>>, settings: &Settings) {
        self.takes_up &= !command.replaces_wanted();
        let (sender, progress) = watch::channel(Some(Progress::default()));
        let work = Work {
            host: self.host.clone(),
            esp: self.esp.clone(),
            memory: self.memory.clone(),
            settings: settings.clone(),
            progress: sender,
            client,
            is_committed: AtomicBool::new(false),
        };
        let shown = Shown { ending: self.ending.clone(), changed: Arc::clone(&self.changed) };
        let (problem, wanted) = (self.problem.clone(), command.clone());
        let task = tokio::spawn(async move {
            let result = tokio::select! {
                // What has ended was not cancelled.
                biased;
                result = run(&work, &wanted) => result,
                () = work.cancelled() => Err(Failure { kind: FailureKind::Cancelled, message: "cancelled".to_owned() }),
            };
            end(&work, &wanted, result, &problem, shown).await;
        });
        self.running = Some(Running { command, progress, task });
        self.changed.notify_one();
    }
}

/// Wakes the loop and waits until it shows what is there now.
struct Shown {
    ending: mpsc::UnboundedSender<Ended>,
    changed: Arc<Notify>,
}

impl Shown {
    async fn wait(self) {
        let (ended, shown) = oneshot::channel();
        // An agent that is going down shows nothing any more.
        let _ = self.ending.send(ended);
        self.changed.notify_one();
        let _ = timeout(SHOWN, shown).await;
    }
}

async fn run(work: &Work, command: &Command) -> Result<Outcome, Failure> {
    if command.replaces_wanted() {
        let wanted = command.is_resumed().then(|| command.clone());
        work.remember(|memory| memory.wanted = wanted).await;
    }
    match command {
        Command::Upgrade(upgrade) => upgrade::upgrade(work, upgrade).await,
        Command::Rollback { reboot } => boot::rollback(work, *reboot).await,
        Command::Pin(target) => keep::pin(work, target).await,
        Command::Unpin(target) => keep::unpin(work, target).await,
        Command::Allow(target) => keep::allow(work, target).await,
        Command::Fsck { repair } => keep::fsck(work, *repair).await,
        Command::Collect => collect::collect(work).await,
        Command::Arguments => boot::arguments(work).await,
    }
}

/// Forgets that it was wanted (what was cut short before is still wanted after a pin), returns how it ended, and reboots if that is part of it.
async fn end(
    work: &Work,
    command: &Command,
    result: Result<Outcome, Failure>,
    problem: &watch::Sender<Option<String>>,
    shown: Shown,
) {
    if command.replaces_wanted() {
        work.remember(|memory| memory.wanted = None).await;
    }
    let name = command.name();
    match &result {
        Ok(outcome) => log::info!("{name}: {}", outcome.message),
        Err(failure) => log::warn!("{name} failed: {failure}"),
    }
    let failed = result.as_ref().err().filter(|_| work.client.is_none());
    problem.send_replace(failed.map(|failure| format!("{name} failed: {failure}")));
    work.progress.send_replace(None);
    shown.wait().await;
    // Who went away behind the commit point has the release, and reboots when they like.
    let reboots = result.as_ref().is_ok_and(|outcome| outcome.reboots) && !work.is_disconnected();
    if let Some(client) = &work.client {
        let _ = client.send(result.map_or_else(Event::Failed, Event::Done)).await;
    }
    if reboots && let Err(error) = systemctl_reboot(&work.host).await {
        log::error!("{error:#}");
        problem.send_replace(Some(format!("{error:#}")));
    }
}

/// A random part of `most`.
fn spread(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}
