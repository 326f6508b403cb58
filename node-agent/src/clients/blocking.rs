//! Work that may wait for a disk, on threads of its own. The agent has one thread for all that it does: a disk that does not answer must
//! stop neither its sockets nor its word to systemd's watchdog.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};

use super::host::Host;

/// Files are read within moments; a disk that needs longer than this is reported, and read again by the next pass.
const READ_DEADLINE: Duration = Duration::from_secs(20);

/// Some small files, each synced. A worn or busy disk may take seconds for each.
const CHANGE_DEADLINE: Duration = Duration::from_secs(120);

/// What one host's disks are asked for, shared by all clones of a [`Host`].
#[derive(Debug, Default, Clone)]
pub(super) struct Queue {
    /// Held while something is changed, so that changes are made in the order in which they were asked for.
    order: Arc<Mutex<()>>,
    waiting: Arc<AtomicUsize>,
}

/// Counts who waits, for as long as they do.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Host {
    /// Reads what may lie on a disk: `work` runs on another thread.
    ///
    /// # Errors
    /// If `work` fails, or the disk does not answer within 20 s; the work then ends on its own and is forgotten.
    pub async fn read<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _waiting = Waiting::begin(&self.queue().waiting);
        let host = self.clone();
        within(READ_DEADLINE, doing, run(move || work(&host))).await
    }

    /// Changes what may lie on a disk: `work` runs on another thread, after the changes that were asked for before and before those that are
    /// asked for later. It is made even if the caller stops waiting.
    ///
    /// # Errors
    /// If `work` fails, or the disk does not answer within 120 s; the change may still be made then.
    pub async fn change<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change_within(CHANGE_DEADLINE, doing, work).await
    }

    /// As [`Self::change`], waiting no longer than `deadline`.
    ///
    /// # Errors
    /// As there.
    pub async fn change_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        doing: &str,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _waiting = Waiting::begin(&self.queue().waiting);
        let (host, order) = (self.clone(), Arc::clone(&self.queue().order));
        let made = async {
            let guard = order.lock_owned().await;
            run(move || {
                let _guard = guard;
                work(&host)
            })
            .await
        };
        within(deadline, doing, made).await
    }

    /// Whether somebody waits for a disk just now. That ends within the deadlines above.
    pub fn waits_for_disk(&self) -> bool {
        self.queue().waiting.load(Ordering::Relaxed) > 0
    }
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The agent ends, and nobody waits any more.
            Err(_) => std::future::pending().await,
        },
    }
}

async fn within<T>(deadline: Duration, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let done = timeout(deadline, work).await;
    done.with_context(|| format!("{doing}: the disk did not answer within {deadline:?}"))?
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[tokio::test]
    async fn work_that_waits_does_not_hold_up_the_thread_that_asked() {
        let host = Host::new("/nowhere");
        let asked_by = thread::current().id();
        let (answer, disk) = mpsc::channel::<()>();
        let reader = host.clone();
        let reading = tokio::spawn(async move {
            reader.read("reading", move |_| Ok((disk.recv(), thread::current().id()))).await.unwrap()
        });
        while !host.waits_for_disk() {
            tokio::task::yield_now().await;
        }
        answer.send(()).unwrap();
        assert_ne!(reading.await.unwrap().1, asked_by);
        assert!(!host.waits_for_disk());
    }

    #[expect(clippy::disallowed_methods, reason = "it is the slow disk")]
    #[tokio::test]
    async fn changes_keep_their_order_also_of_those_who_stop_waiting() {
        let host = Host::new("/nowhere");
        let (reported, order) = mpsc::channel();
        let (first, last) = (reported.clone(), reported);
        let started = Instant::now();
        let given_up = host.change_within(Duration::from_millis(50), "writing", move |_| {
            thread::sleep(Duration::from_millis(300));
            Ok(first.send(1)?)
        });
        let error = given_up.await.unwrap_err();
        assert_eq!(format!("{error:#}"), "writing: the disk did not answer within 50ms: deadline has elapsed");
        assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());
        host.change("writing", move |_| Ok(last.send(2)?)).await.unwrap();
        assert_eq!(order.iter().collect::<Vec<_>>(), [1, 2]);
    }
}
