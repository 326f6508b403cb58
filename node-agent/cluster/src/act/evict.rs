//! Evicts pods through the Eviction API, which respects their budgets, and deletes those that were evicted.

use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::core::params::{DeleteParams, Patch, Preconditions};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    client::{Api, ApiClient, Failure, Kind},
    model::{Eviction, PodId},
    plan,
};

/// So long pods are asked one after the other; the rest are asked in the next pass, since the heartbeat must not wait.
const AT_ONCE: Duration = Duration::from_secs(5);

/// API servers before 1.22 know evictions as a beta only, newer ones do not know that any more.
const VERSIONS: [&str; 2] = ["policy/v1", "policy/v1beta1"];

/// Evictions in one cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evictions {
    /// Which of [`VERSIONS`] it understands.
    version: usize,
}

impl Evictions {
    /// Asks `pods` to go, one after the other; `each` gets the outcome. Those that were not asked in time are left out.
    pub(crate) async fn ask(
        &mut self,
        client: &ApiClient,
        pods: &[PodId],
        mut each: impl FnMut(&PodId, Eviction),
    ) -> Result<(), Failure> {
        let until = Instant::now() + AT_ONCE;
        for pod in pods {
            let answer = self.evict(client, pod).await?;
            each(pod, answer);
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    async fn evict(&mut self, client: &ApiClient, pod: &PodId) -> Result<Eviction, Failure> {
        loop {
            let Err(failure) = client.send(request(pod, VERSIONS[self.version])?).await else {
                return Ok(Eviction::Accepted);
            };
            if self.version + 1 < VERSIONS.len() && is_unknown_version(&failure) {
                self.version += 1;
                continue;
            }
            return outcome(failure);
        }
    }
}

fn request(pod: &PodId, version: &str) -> Result<Request<Vec<u8>>, Failure> {
    let PodId { namespace, name, uid } = pod;
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Unexpected(format!("the pod {namespace}/{name} cannot be evicted: {error}"))
    };
    let eviction = json!({
        "apiVersion": version,
        "kind": "Eviction",
        "metadata": { "namespace": namespace, "name": name },
        "deleteOptions": { "preconditions": { "uid": uid } },
    });
    let body = serde_json::to_vec(&eviction).map_err(|error| wrong(&error))?;
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
    Request::post(uri).header("content-type", "application/json").body(body).map_err(|error| wrong(&error))
}

/// The server does not know the version, as opposed to the pod.
fn is_unknown_version(failure: &Failure) -> bool {
    let Failure::Refused(refusal) = failure else { return false };
    matches!(refusal.code, 400 | 404 | 406 | 415) && refusal.message.contains("policy/v1")
}

fn outcome(failure: Failure) -> Result<Eviction, Failure> {
    match (&failure, failure.kind()) {
        // It is gone, or another one has its name.
        (_, Kind::Missing | Kind::Conflict) => Ok(Eviction::Accepted),
        // 429: its budget. 500: more than one budget, which no server resolves. 403, 422: a webhook that guards this pod; those behind it may
        // go all the same.
        (Failure::Refused(refusal), Kind::Passing | Kind::Forbidden | Kind::Rejected) => {
            Ok(Eviction::Blocked(refusal.message.clone()))
        }
        (_, Kind::Passing | Kind::Unknown | Kind::Forbidden | Kind::Gone | Kind::Rejected) => Err(failure),
    }
}

/// Says of a pod of this node that it has failed. One that is gone, or another of its name, is none to say that of.
pub(crate) async fn fail(client: &ApiClient, pod: &PodId) -> Result<(), Failure> {
    let pods: Api<Pod> = Api::namespaced(client, &pod.namespace);
    let patch = Patch::Strategic(plan::bound::failed(&pod.uid));
    match pods.patch_status(&pod.name, &patch).await {
        Err(failure) if !matches!(failure.kind(), Kind::Missing | Kind::Conflict) => Err(failure),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Deletes pods without another grace period: they had theirs.
pub(crate) async fn remove(client: &ApiClient, pods: &[PodId]) -> Result<(), Failure> {
    for PodId { namespace, name, uid } in pods {
        let only = Preconditions { uid: Some(uid.clone()), ..Preconditions::default() };
        let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() }.grace_period(0);
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        match pods.delete(name, &params).await {
            Err(failure) if !matches!(failure.kind(), Kind::Missing | Kind::Conflict) => return Err(failure),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Refusal;

    fn refused(code: u16, message: &str) -> Failure {
        Failure::Refused(Refusal { code, reason: String::new(), message: message.to_owned(), retry_after: None })
    }

    #[test]
    fn a_budget_blocks_and_a_pod_that_is_gone_does_not() {
        assert_eq!(outcome(refused(429, "budget")).ok(), Some(Eviction::Blocked("budget".to_owned())));
        assert_eq!(outcome(refused(500, "two budgets")).ok(), Some(Eviction::Blocked("two budgets".to_owned())));
        assert_eq!(outcome(refused(404, "")).ok(), Some(Eviction::Accepted));
        assert_eq!(outcome(refused(409, "")).ok(), Some(Eviction::Accepted));
        assert_eq!(outcome(refused(403, "guarded")).ok(), Some(Eviction::Blocked("guarded".to_owned())));
        assert!(outcome(refused(401, "")).is_err());
        assert!(outcome(Failure::Unreachable("reset".to_owned())).is_err());
    }

    #[test]
    fn an_old_server_is_asked_in_its_version() {
        let old = r#"no kind "Eviction" is registered for version "policy/v1" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30""#;
        assert!(is_unknown_version(&refused(400, old)));
        assert!(!is_unknown_version(&refused(404, "pods \"a\" not found")));
    }
}
