//! From what is known of the node to findings: what is wrong, why it matters, what mends it. Pure.

use serde::{Deserialize, Serialize};

use crate::report::status::Status;

/// A certificate is renewed at least so many days before it ends.
const CERTIFICATE_DAYS: u64 = 14;

/// Seconds.
const DAY: u64 = 24 * 3600;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// What is wrong, in a sentence; null if nothing is.
    pub problem: Option<String>,
    /// Why that matters.
    pub why: Option<String>,
    /// The command that mends it, or says more.
    pub mend: Option<String>,
}

/// Somebody who has to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    /// What it is: `registry`, `proxy`, `cluster prod`.
    pub(super) what: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) why: &'static str,
    /// What mends it if there is a name, and nobody answers.
    pub(super) mend: &'static str,
}

/// What came of reaching somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reached {
    Yes,
    /// There is no such name.
    NoName(String),
    /// Nobody answers at its addresses.
    NoAnswer(String),
}

/// What was looked at.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) status: &'a Status,
    pub(super) is_clock_set: bool,
    pub(super) peers: Vec<(Peer, Reached)>,
    /// Certificates, and until when each is valid, in seconds since 1970.
    pub(super) certificates: Vec<(String, u64)>,
    /// In seconds since 1970.
    pub(super) now: u64,
}

/// What follows: at least one finding for each check, those with a problem too.
pub(super) fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut all = vec![well("ready")];
    if !facts.status.ready {
        all = vec![wrong("ready", "the node is not READY", "no pod is started", "ballast logs ballast")];
    }
    all.extend(facts.status.reasons.iter().map(|reason| of_reason(reason)));
    all.push(match facts.is_clock_set {
        true => well("clock"),
        false => wrong(
            "clock",
            "nobody has set the clock in this boot",
            "certificates cannot be checked, and the node neither joins clusters nor upgrades by itself",
            "ballast settings set time.servers ADDRESS",
        ),
    });
    all.push(match facts.status.disk.pressure {
        false => well("room on /var"),
        true => wrong("room on /var", "/var is short of room", "pods are ended until there is some", "ballast images"),
    });
    all.extend(facts.peers.iter().map(|(peer, reached)| of_peer(peer, reached)));
    let until =
        facts.status.clusters.iter().filter_map(|cluster| {
            Some((format!("certificate for cluster {}", cluster.name), cluster.certificate_until?))
        });
    all.extend(
        until.chain(facts.certificates.iter().cloned()).map(|(name, until)| of_certificate(&name, until, facts.now)),
    );
    all
}

fn well(check: &str) -> Finding {
    Finding { check: check.to_owned(), problem: None, why: None, mend: None }
}

fn wrong(check: &str, problem: impl Into<String>, why: &str, mend: impl Into<String>) -> Finding {
    Finding {
        check: check.to_owned(),
        problem: Some(problem.into()),
        why: Some(why.to_owned()),
        mend: Some(mend.into()),
    }
}

fn of_reason(reason: &str) -> Finding {
    let named = |prefix: &str| {
        let rest = reason.strip_prefix(prefix)?;
        rest.split([' ', ':']).next().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    if let Some(unit) = named("unit ") {
        return wrong("units", reason, "what the unit is there for is missing", format!("ballast logs {unit}"));
    }
    if let Some(pod) = named("pod ") {
        return wrong("pods", reason, "the pod does not do its work", format!("ballast logs {pod}"));
    }
    if named("cluster ").is_some() {
        return wrong("clusters", reason, "the cluster does not know how the node is", "ballast clusters");
    }
    if reason.starts_with("container runtime") {
        return wrong("container runtime", reason, "no pod can be started or ended", "ballast logs containerd");
    }
    if reason.contains("release") {
        return wrong("releases", reason, "the node may not be able to upgrade, or to fall back", "ballast releases");
    }
    if reason.starts_with('/') || reason.contains("settings") {
        return wrong("settings", reason, "what somebody wanted does not hold", "ballast settings show --origins");
    }
    wrong("node", reason, "the node is degraded", "ballast logs ballast")
}

fn of_peer(peer: &Peer, reached: &Reached) -> Finding {
    let Peer { what, host, port, why, mend } = peer;
    let check = format!("{what} {host}:{port}");
    match reached {
        Reached::Yes => well(&check),
        Reached::NoName(error) => {
            wrong(&check, format!("there is no name {host}: {error}"), why, "ballast settings set network.dns ADDRESS")
        }
        Reached::NoAnswer(error) => wrong(&check, format!("nobody answers at {host}:{port}: {error}"), why, *mend),
    }
}

fn of_certificate(name: &str, until: u64, now: u64) -> Finding {
    let why = "who shows or wants it is refused once it has ended";
    let mend = "ballast settings show --origins";
    match until.checked_sub(now) {
        None => wrong(name, "it has ended", why, mend),
        Some(left) if left < CERTIFICATE_DAYS * DAY => {
            wrong(name, format!("it ends in {} days", left / DAY), why, mend)
        }
        Some(_) => well(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::status::{Cluster, Disk};

    /// A status, what is planted besides, the check that finds it, and what mends it.
    type Row = (Status, fn(&mut Facts<'_>, Peer), &'static str, &'static str);

    fn facts(status: &Status) -> Facts<'_> {
        Facts { status, is_clock_set: true, peers: Vec::new(), certificates: Vec::new(), now: 100 * DAY }
    }

    fn problems(facts: &Facts<'_>) -> Vec<(String, String)> {
        let pair = |one: Finding| one.problem.map(|problem| (one.check, problem));
        findings(facts).into_iter().filter_map(pair).collect()
    }

    #[test]
    fn a_node_that_is_well_has_no_problem() {
        let status = Status { ready: true, ..Status::default() };
        assert_eq!(problems(&facts(&status)), []);
        let checks: Vec<String> = findings(&facts(&status)).into_iter().map(|one| one.check).collect();
        assert_eq!(checks, ["ready", "clock", "room on /var"]);
    }

    #[test]
    fn each_fault_is_named_with_what_mends_it() {
        let peer = |what: &str| Peer {
            what: what.to_owned(),
            host: "r.example".to_owned(),
            port: 443,
            why: "images come from there",
            mend: "ballast settings set network.proxy.https URL",
        };
        let ready = || Status { ready: true, ..Status::default() };
        let reason = |reason: &str| Status { reasons: vec![reason.to_owned()], ..ready() };
        let cluster = Cluster { name: "prod".to_owned(), certificate_until: Some(113 * DAY), ..Cluster::default() };
        let table: Vec<Row> = vec![
            (Status::default(), |_, _| {}, "ready", "ballast logs ballast"),
            (reason("unit demo.service failed"), |_, _| {}, "units", "ballast logs demo.service"),
            (reason("pod web: container c ends again and again"), |_, _| {}, "pods", "ballast logs web"),
            (reason("container runtime does not answer"), |_, _| {}, "container runtime", "ballast logs containerd"),
            (reason("cluster prod: away"), |_, _| {}, "clusters", "ballast clusters"),
            (reason("/var/lib/ballast/settings.toml:1:1: x"), |_, _| {}, "settings", "ballast settings show --origins"),
            (reason("anything else"), |_, _| {}, "node", "ballast logs ballast"),
            (ready(), |facts, _| facts.is_clock_set = false, "clock", "ballast settings set time.servers ADDRESS"),
            (
                Status { disk: Disk { pressure: true, ..Disk::default() }, ..ready() },
                |_, _| {},
                "room on /var",
                "ballast images",
            ),
            (
                ready(),
                |facts, peer| facts.peers.push((peer, Reached::NoName("not known".to_owned()))),
                "registry r.example:443",
                "ballast settings set network.dns ADDRESS",
            ),
            (
                ready(),
                |facts, peer| facts.peers.push((peer, Reached::NoAnswer("refused".to_owned()))),
                "registry r.example:443",
                "ballast settings set network.proxy.https URL",
            ),
            (
                Status { clusters: vec![cluster], ..ready() },
                |_, _| {},
                "certificate for cluster prod",
                "ballast settings show --origins",
            ),
            (
                ready(),
                |facts, _| facts.certificates.push(("api.client_ca".to_owned(), 99 * DAY)),
                "api.client_ca",
                "ballast settings show --origins",
            ),
        ];
        for (status, plant, check, mend) in table {
            let mut facts = facts(&status);
            plant(&mut facts, peer("registry"));
            let found: Vec<Finding> = findings(&facts).into_iter().filter(|one| one.problem.is_some()).collect();
            let [one] = found.as_slice() else { panic!("{check}: {found:#?}") };
            assert_eq!((one.check.as_str(), one.mend.as_deref()), (check, Some(mend)));
            assert!(one.why.is_some());
        }
        let status = ready();
        let reached = Facts { peers: vec![(peer("registry"), Reached::Yes)], ..facts(&status) };
        assert_eq!(problems(&reached), []);
        let late = Facts { certificates: vec![("api.client_ca".to_owned(), 114 * DAY)], ..facts(&status) };
        assert_eq!(problems(&late), []);
    }
}
