//! One task for each cluster: from its start until it is aborted.
//!
//! ```text
//!  wait for the clock ──> get in (credentials) ──> Member: one duty after the other, the most urgent first
//!                             ▲                        │
//!                             └── 401: not believed ───┘
//! ```

mod bound;
mod events;
mod member;
mod name;
mod node;
mod node_os;
mod pace;
mod renewal;
mod rollout;
mod serving;
mod status_reporter;
mod version;
mod watching;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ballast_client::backoff;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use self::{member::Member, status_reporter::StatusReporter};
use crate::{
    client::Counters,
    credentials::{Access, Applicant, Problem, Store},
    model::{Config, Credentials, Facts, Identity, Order, Report, Role, State},
    plan::node::name,
    random,
};

/// Getting in is tried again after at most this at first, …
const FIRST: Duration = Duration::from_secs(1);

/// … at most this while no server answers, …
const LONGEST_UNREACHABLE: Duration = Duration::from_secs(30);

/// … and at most this while the cluster does not let us in.
const LONGEST_REFUSED: Duration = Duration::from_secs(300);

/// The machine's membership of one cluster.
#[derive(Debug)]
pub struct Membership;

impl Membership {
    /// Joins the cluster of `config` and stays in it: waits for the clock, gets credentials (kept in `folder`, which is for root alone), registers,
    /// reports `facts`, and carries out what its `NodeOS` asks for through `orders`. It ends when the task is aborted, or nobody sends it facts any
    /// more, and leaves no half-written file.
    pub fn start(
        config: Config,
        folder: PathBuf,
        facts: watch::Receiver<Arc<Facts>>,
        orders: mpsc::Sender<Order>,
        report: watch::Sender<Report>,
    ) -> JoinHandle<()> {
        tokio::spawn(async move {
            // The one way to the end from within: the agent is gone.
            let Ended = run(config, folder, facts, orders, report).await;
        })
    }
}

/// Nobody reports facts any more.
struct Ended;

impl From<watch::error::RecvError> for Ended {
    fn from(_: watch::error::RecvError) -> Self {
        Self
    }
}

async fn run(
    mut config: Config,
    folder: PathBuf,
    mut facts: watch::Receiver<Arc<Facts>>,
    orders: mpsc::Sender<Order>,
    report: watch::Sender<Report>,
) -> Ended {
    let counters = Arc::new(Counters::default());
    let first = Report { name: config.name.clone(), role: config.role, ..Report::default() };
    let mut status_reporter = StatusReporter::new(first, Arc::clone(&counters), report);
    status_reporter.set_state(State::WaitingForClock);
    if let Err(error) = facts.wait_for(|facts| facts.clock_is_set && !name(&config, facts).is_empty()).await {
        return error.into();
    }
    status_reporter.set_state(State::Joining);
    let store = Store::new(folder);
    let name = match name::settle(&config, &store, &mut facts).await {
        Ok(name) => name,
        Err(error) => return error.into(),
    };
    status_reporter.set_name(&name);
    // A host that is renamed is another node from the next start on: its certificate has its name.
    config.node_name = Some(name.clone());
    let identity = Identity { name, role: config.role, pool: config.pool.clone() };
    let applicant = Arc::new(Applicant { node: identity.name.clone(), config, store, counters });
    let access = enter(&applicant, &mut status_reporter, false).await;
    let mut beside = JoinSet::new();
    if applicant.config.role == Role::Kubelet && access.is_own {
        beside.spawn(serving::keep(Arc::clone(&applicant), facts.clone()));
    }
    let resolved = applicant.store.resolved().await;
    let mut member = Member::new(Arc::clone(&applicant), access, identity, facts, orders, status_reporter, resolved);
    let mut refused = 0;
    loop {
        match member.serve().await {
            Err(ended) => return ended,
            Ok(served) if served.succeeded => refused = 0,
            Ok(_) => refused += 1,
        }
        // Not believed any more. What is ours is asked for anew by the token; what is not may have been put right by somebody.
        sleep(backoff::full_jitter(FIRST, LONGEST_REFUSED, refused, random::fraction())).await;
        let anew = matches!(applicant.config.credentials, Credentials::Token(_));
        let access = enter(&applicant, &mut member.status_reporter, anew).await;
        member.enters(access);
    }
}

/// Gets in, however long that takes.
async fn enter(applicant: &Applicant, status_reporter: &mut StatusReporter, mut anew: bool) -> Access {
    let (mut failures, mut refusals) = (0, 0);
    loop {
        let problem = match applicant.access(anew).await {
            Ok(access) => return access,
            Err(problem) => problem,
        };
        // If the token is not believed either, the certificate is shown again: the cluster may have been wrong.
        anew = false;
        let asked = problem.failure().and_then(crate::client::Failure::retry_after).unwrap_or_default();
        let jitter = random::fraction();
        let wait = if problem.is_refusal() || matches!(problem, Problem::Own(_)) {
            refusals += 1;
            status_reporter.set_state(State::Refused { reason: problem.to_string() });
            backoff::full_jitter(FIRST, LONGEST_REFUSED, refusals, jitter)
        } else if let Problem::Unsigned(reason) = &problem {
            status_reporter.set_problem("joining", reason.clone());
            FIRST
        } else {
            failures += 1;
            status_reporter.unreachable(problem.to_string());
            backoff::full_jitter(FIRST, LONGEST_UNREACHABLE, failures, jitter)
        };
        sleep(wait.max(asked.min(LONGEST_REFUSED))).await;
    }
}
