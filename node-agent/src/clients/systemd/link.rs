//! Keeps a connection to systemd: made beside the loop, and made again when it broke.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use super::Systemd;

/// The bus broker starts when the first client comes, which may be amid the rest of the boot.
const DEADLINE: Duration = Duration::from_secs(60);

/// The connection to systemd, as far as there is one.
#[derive(Debug)]
pub struct Link {
    path: PathBuf,
    changed: Arc<Notify>,
    state: State,
    problem: Option<String>,
}

#[derive(Debug)]
enum State {
    Unconnected,
    Connecting(JoinHandle<Result<Systemd>>),
    Connected(Systemd),
}

impl Link {
    /// Not connected yet to the bus at `path`. What happens to units, and to the connection, wakes `changed`.
    pub fn new(path: PathBuf, changed: Arc<Notify>) -> Self {
        Self { path, changed, state: State::Unconnected, problem: None }
    }

    /// The connection, if there is one by now; else one is being made.
    pub async fn get(&mut self) -> Option<Systemd> {
        match &mut self.state {
            State::Connected(systemd) if !systemd.is_closed() => return Some(systemd.clone()),
            State::Connected(_) | State::Unconnected => self.connect(),
            State::Connecting(task) if !task.is_finished() => {}
            State::Connecting(task) => {
                let result = task.await.context("the task ended").and_then(|result| result);
                match result.with_context(|| format!("connecting to systemd over the bus at {}", self.path.display())) {
                    Ok(systemd) => {
                        self.problem = None;
                        self.state = State::Connected(systemd.clone());
                        return Some(systemd);
                    }
                    Err(error) => {
                        let problem = format!("{error:#}");
                        // Tried again and again, reported once.
                        if self.problem.as_ref() != Some(&problem) {
                            log::warn!("{problem}");
                        }
                        self.problem = Some(problem);
                        self.state = State::Unconnected;
                    }
                }
            }
        }
        None
    }

    /// Why there is no connection, in one sentence, if the last attempt failed.
    pub fn problem(&self) -> Option<String> {
        self.problem.clone()
    }

    fn connect(&mut self) {
        let (path, changed) = (self.path.clone(), Arc::clone(&self.changed));
        self.state = State::Connecting(tokio::spawn(async move {
            let result = timeout(DEADLINE, Systemd::connect(&path, Arc::clone(&changed))).await;
            let result = result.with_context(|| format!("no answer within {} s", DEADLINE.as_secs()));
            // A failure does not wake the loop: it would at once try again.
            if let Ok(Ok(_)) = result {
                changed.notify_one();
            }
            result.and_then(|result| result)
        }));
    }
}
