//! The certificate that the node's kubelet shows to who asks it, the API server among others. Until somebody has approved one it has its own,
//! which nobody can check. A task beside the membership: a cluster in which nobody approves is nothing that holds up anything.

use std::{convert::Infallible, sync::Arc, time::Duration};

use ballast_client::backoff;
use tokio::{sync::watch, time::sleep};

use super::status_reporter::seconds;
use crate::{
    credentials::{Applicant, Certificate, Kept, Problem, Purpose, certificate},
    model::Facts,
    plan::rotation,
    random,
};

/// Between two looks at what the node is called and until when the certificate holds: clocks are set, addresses change.
const POLL_INTERVAL: Duration = Duration::from_secs(300);

/// After a request that came to nothing: at first, at most. Somebody may have to approve it by hand.
const AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// Keeps one, for as long as this is polled.
pub(super) async fn keep(applicant: Arc<Applicant>, facts: watch::Receiver<Arc<Facts>>) -> Infallible {
    let mut failures = 0;
    loop {
        let names = names(&applicant.node, &facts.borrow());
        let wait = match once(&applicant, &names).await {
            Ok(()) => {
                failures = 0;
                POLL_INTERVAL
            }
            Err(problem) => {
                let (name, again) = (&applicant.config.name, failures > 0);
                let line = format!("cluster {name}: no serving certificate for the kubelet yet: {problem}");
                if again {
                    log::debug!("{line}");
                } else {
                    log::info!("{line}");
                }
                failures += 1;
                backoff::doubled(AGAIN.0, AGAIN.1, failures)
            }
        };
        sleep(backoff::spread(wait, random::fraction())).await;
    }
}

/// What the kubelet is called: as the API server does, and by the address that the node is reached at.
fn names(node: &str, facts: &Facts) -> Vec<String> {
    let mut names = vec![node.to_owned()];
    names.extend(facts.addresses.first().map(ToString::to_string));
    names.dedup();
    names
}

async fn once(applicant: &Applicant, names: &[String]) -> Result<(), Problem> {
    let kept = applicant.store.read(Kept::Serving).await.map_err(Problem::Own)?;
    if kept.as_deref().is_some_and(|pem| is_fine(pem, names)) {
        return Ok(());
    }
    let access = applicant.access(false).await?;
    let purpose = Purpose::Serving(names);
    certificate(&access.client.own(), &applicant.store, &applicant.node, purpose).await?;
    log::info!("cluster {}: the kubelet has a serving certificate for {}", applicant.config.name, names.join(", "));
    Ok(())
}

/// Whether the certificate is for these names and need not be renewed yet.
fn is_fine(pem: &str, names: &[String]) -> bool {
    let Ok(found) = Certificate::parse(pem) else { return false };
    // The same part of its life at each look, or it would be renewed at the first of them.
    let due = rotation::renew_at(found.from_secs(), found.until_secs(), 0.5);
    seconds() < due && names.iter().all(|name| found.names.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_calls_for_another_certificate() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(names(&["n1", "192.0.2.7"])).unwrap();
        let year = |years: i32| rcgen::date_time_ymd(2000 + years, 1, 1);
        (params.not_before, params.not_after) = (year(20), year(90));
        let pem = params.self_signed(&key).unwrap().pem();
        assert!(is_fine(&pem, &names(&["n1", "192.0.2.7"])) && is_fine(&pem, &names(&["n1"])));
        assert!(!is_fine(&pem, &names(&["n1", "192.0.2.8"])) && !is_fine("x", &names(&["n1"])));
        (params.not_before, params.not_after) = (year(10), year(20));
        assert!(!is_fine(&params.self_signed(&key).unwrap().pem(), &names(&["n1"])), "it is over");
        let facts =
            Facts { addresses: vec!["192.0.2.7".parse().unwrap(), "10.88.0.1".parse().unwrap()], ..Facts::default() };
        assert_eq!(super::names("n1", &facts), ["n1", "192.0.2.7"]);
        assert_eq!(super::names("192.0.2.7", &facts), ["192.0.2.7"]);
    }
}
