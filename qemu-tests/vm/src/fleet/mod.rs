//! `fleet`: many nodes' cluster half, the real code, over machines that are not there, against a real API server.
//!
//! ```text
//!  Hosts (N × Host + Membership, one thread) ──TLS──> ControlPlane <── kubectl: who is Ready?
//!     Host: facts; PREPARE and REBOOT take a moment        └── CPU time of the API server
//!     reports: requests, bytes ──> Figures ──> target/bench/fleet.json
//! ```
//! Registration of all at once, steady state, the API server killed and started again, a rollout through the pool.

mod figures;
mod host;
mod hosts;
mod rollout;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use self::figures::Figures;
use self::hosts::Hosts;
use crate::cluster::{self, ControlPlane, Kubectl, Wanted};
use crate::deadline::Deadline;
use crate::evidence::Evidence;
use crate::memory;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// Between two looks at all nodes: a list of a thousand is work for the server that is measured.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at what the nodes say of themselves, which no server is asked for.
const GLANCE: Duration = Duration::from_millis(200);
/// Longer than any of it may take, so that what is too slow is measured, too.
const TIMEOUT: Duration = Duration::from_secs(600);
/// What comes just after registration (events, first reports) is over by then.
const SETTLE: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many nodes
    pub nodes: usize,
    /// How long steady state is looked at; a status is written every five minutes
    pub steady: Duration,
    /// Nodes that may be down at once in the rollout
    pub max_unavailable: usize,
}

/// Measures and writes `target/bench/fleet.json`.
///
/// # Errors
/// As [`measure`].
pub fn run(plan: Plan) -> Result<Figures> {
    let figures = measure("fleet", plan)?;
    figures.write(&Workspace::find().target.join("bench/fleet.json"))?;
    Ok(figures)
}

/// Measures, and returns what it is at. The control plane's logs go to `target/qemu-tests/NAME`, and stay if it fails.
///
/// # Errors
/// When the control plane is missing, or a step is not over in time.
pub fn measure(name: &str, plan: Plan) -> Result<Figures> {
    ensure!(plan.nodes > 0 && plan.max_unavailable > 0, "a fleet has at least one node, and a pool one slot");
    let workspace = Workspace::find();
    let tools = Tools::find(&workspace)?;
    hosts::allow_connections(plan.nodes)?;
    let evidence = Evidence::fresh(workspace.own(name))?;
    let mut plane = ControlPlane::start(&workspace, &tools, evidence.folder(), Wanted::default())?;
    cluster::install(&plane.kubectl)?;
    cluster::trust_nodes(&plane.kubectl)?;

    let empty = memory::own_resident()?;
    let began = Instant::now();
    let hosts = Hosts::start(&workspace, plan.nodes, &plane)?;
    // Before all have an answer there is no need to ask the server who is Ready: that would take a fifth of the CPU time.
    when(&format!("{} nodes are connected", plan.nodes), GLANCE, || Ok(hosts.connected()), plan.nodes)?;
    all_ready(&plane.kubectl, plan.nodes).context("registration")?;
    let all_ready_s = reported("all Ready", began);

    std::thread::sleep(SETTLE.min(plan.steady));
    let (since, before, cpu) = (Instant::now(), hosts.traffic(), plane.api_cpu()?);
    std::thread::sleep(plan.steady);
    let (lasted, cpu) = (since.elapsed(), plane.api_cpu()?.saturating_sub(cpu));
    let traffic = hosts.traffic().since(&before);
    let rss = memory::own_resident()?.saturating_sub(empty);
    println!("steady: {:.1} requests a node a minute", traffic.requests_per_node_minute(plan.nodes, lasted));

    let killed = now(&tools)?;
    let began = Instant::now();
    plane.stop_api()?;
    plane.start_api()?;
    all_renewed(&plane.kubectl, plan.nodes, &killed).context("after the API server was started again")?;
    all_ready(&plane.kubectl, plan.nodes).context("after the API server was started again")?;
    let reconnect_all_ready_s = reported("all Ready again after the API server was killed and started", began);

    let began = Instant::now();
    let most_down = rollout::run(&plane.kubectl, plan.nodes, plan.max_unavailable)?;
    let rollout_s = reported(&format!("rollout over, at most {most_down} cordoned at once"), began);

    let nodes = plan.nodes as f64;
    let figures = Figures {
        nodes: plan.nodes,
        all_ready_s,
        requests_per_node_per_minute: traffic.requests_per_node_minute(plan.nodes, lasted),
        bytes_per_node_per_minute: traffic.bytes_per_node_minute(plan.nodes, lasted),
        apiserver_cpu_s_per_node_hour: cpu.as_secs_f64() / nodes / (lasted.as_secs_f64() / 3600.0),
        rss_per_node_bytes: rss / plan.nodes as u64,
        reconnect_all_ready_s,
        rollout_s,
    };
    evidence.discard();
    Ok(figures)
}

/// Machines that are not there, in a cluster, until they are dropped.
pub struct Fleet(#[expect(dead_code, reason = "it lives as long as its handle")] Hosts);

/// Starts `nodes` machines, fleet-0001 and so on, and waits until their Nodes are Ready.
///
/// # Errors
/// When they are not in time.
pub fn start(plane: &ControlPlane, nodes: usize) -> Result<Fleet> {
    let hosts = Hosts::start(&Workspace::find(), nodes, plane)?;
    all_ready(&plane.kubectl, nodes)?;
    Ok(Fleet(hosts))
}

/// Waits until all nodes are there and Ready, cordoned or not.
fn all_ready(kubectl: &Kubectl, nodes: usize) -> Result<()> {
    when(
        &format!("{nodes} nodes are Ready"),
        POLL_INTERVAL,
        || {
            let text = kubectl.run(&["get", "nodes", "--no-headers"]).unwrap_or_default();
            let ready = |line: &&str| {
                line.split_whitespace().nth(1).is_some_and(|state| state.split(',').next() == Some("Ready"))
            };
            Ok(text.lines().filter(ready).count())
        },
        nodes,
    )
}

/// Waits until each node's Lease was renewed after `moment`.
fn all_renewed(kubectl: &Kubectl, nodes: usize, moment: &str) -> Result<()> {
    let renewed = "jsonpath={range .items[*]}{.spec.renewTime}{\"\\n\"}{end}";
    when(
        &format!("{nodes} nodes renewed their Lease"),
        POLL_INTERVAL,
        || {
            let arguments = ["get", "leases", "--namespace=kube-node-lease", "--output", renewed];
            Ok(kubectl.run(&arguments).unwrap_or_default().lines().filter(|time| *time > moment).count())
        },
        nodes,
    )
}

/// Counts every `look` until there are `wanted`.
fn when(what: &str, look: Duration, mut count: impl FnMut() -> Result<usize>, wanted: usize) -> Result<()> {
    let deadline = Deadline::after(TIMEOUT);
    let mut last = 0;
    let reached = deadline.poll(look, || {
        last = count()?;
        Ok::<_, anyhow::Error>((last >= wanted).then_some(()))
    })?;
    reached.with_context(|| format!("{what}: only {last} within {deadline}"))
}

/// The time as a Lease has it: microseconds, UTC (Kubernetes' MicroTime).
fn now(tools: &Tools) -> Result<String> {
    let text = tools.output("date", ["--utc", "+%Y-%m-%dT%H:%M:%S.%6NZ"])?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

fn reported(what: &str, since: Instant) -> f64 {
    let seconds = since.elapsed().as_secs_f64();
    println!("{what}: {seconds:.1} s");
    seconds
}
