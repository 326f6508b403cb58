//! One task for each cluster: from its start until it is aborted.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::model::{Config, Facts, Order, Report};

/// The machine's membership of one cluster.
#[derive(Debug)]
pub struct Membership;

impl Membership {
    /// Joins the cluster of `config` and stays in it: waits for the clock, gets credentials (kept in `folder`, which is for root alone), registers,
    /// reports `facts`, and carries out what its `NodeOS` asks for through `orders`. It ends when the task is aborted, and leaves no half-written file.
    pub fn start(
        config: Config,
        folder: PathBuf,
        facts: watch::Receiver<Arc<Facts>>,
        orders: mpsc::Sender<Order>,
        report: watch::Sender<Report>,
    ) -> JoinHandle<()> {
        tokio::spawn(async move {
            // Until the client is here: it only says that it is there.
            let _ = (folder, orders);
            let mut facts = facts;
            report.send_replace(Report { name: config.name, role: config.role, ..Report::default() });
            while facts.changed().await.is_ok() {}
        })
    }
}
