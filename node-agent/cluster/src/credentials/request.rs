//! Asking a cluster for a client certificate of the node's own: key, signing request, and waiting until it is signed (kubernetes.io/docs/reference/
//! access-authn-authz/kubelet-tls-bootstrapping).

use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use k8s_openapi::{
    ByteString,
    api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec},
};
use kube::{
    ResourceExt,
    core::{ObjectMeta, WatchEvent, params::WatchParams},
};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use ring::digest::{SHA256, digest};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Problem,
    certificate::Certificate,
    store::{Kept, Store},
};
use crate::{
    client::{Api, ApiClient, Kind},
    model::Secret,
    random::spread,
};

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// To come to the API server as this node.
    Client,
    /// To be known by these names and addresses, by the API server among others.
    Serving(&'a [String]),
}

impl<'a> Purpose<'a> {
    /// Who signs such certificates.
    const fn signer(self) -> &'static str {
        match self {
            Self::Client => "kubernetes.io/kube-apiserver-client-kubelet",
            Self::Serving(_) => "kubernetes.io/kubelet-serving",
        }
    }

    /// Without the first two, API servers before 1.22 leave the request alone without a word.
    const fn usages(self) -> [&'static str; 3] {
        let last = match self {
            Self::Client => "client auth",
            Self::Serving(_) => "server auth",
        };
        ["digital signature", "key encipherment", last]
    }

    const fn names(self) -> &'a [String] {
        match self {
            Self::Client => &[],
            Self::Serving(names) => names,
        }
    }

    /// Where certificate and key are kept, and the key until then.
    const fn kept(self) -> (Kept, Kept) {
        match self {
            Self::Client => (Kept::Client, Kept::Pending),
            Self::Serving(_) => (Kept::Serving, Kept::PendingServing),
        }
    }
}

/// What is being done, for errors.
const WAITING: &str = "looking whether the certificate is signed";

/// A watch is begun anew after so long: whatever stands between us and the server, what was signed is seen by then.
const WATCH_SECS: u32 = 60;

/// A watch that ended is begun anew after this: a server ends those that it has no time for, and a thousand nodes join within seconds, …
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// … and at most this: somebody may have to approve it by hand.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Then the waiting task reports it, and sends the same request again.
const SIGNING_TIMEOUT: Duration = Duration::from_secs(300);

/// So many hexadecimal digits of a hash are in a request's name, as in the kubelet's.
const NAME_DIGITS: usize = 40;

/// As whom API servers know a node.
pub fn user_of(node: &str) -> String {
    format!("system:node:{node}")
}

/// The node that API servers know as `user`.
pub fn node_of(user: &str) -> Option<&str> {
    user.strip_prefix("system:node:")
}

/// A key and what is asked for it.
struct Asked {
    /// The same for the same key, so that an agent that is restarted finds its request.
    name: String,
    pem: String,
    key: Secret,
    key_hash: String,
}

/// Gets a certificate of `purpose` for `node`, asking in `client`'s name, and keeps it. The key outlives the agent, so that no request is made twice.
pub async fn certificate(
    client: &ApiClient,
    store: &Store,
    node: &str,
    purpose: Purpose<'_>,
) -> Result<(Certificate, String), Problem> {
    let (place, pending) = purpose.kept();
    let asked = prepare(store, node, purpose).await?;
    let signed = sign(client, &asked, purpose).await;
    if let Err(Problem::Refused(_)) = signed {
        // Another key is another request.
        store.remove(pending).await.map_err(Problem::Own)?;
    }
    let chain = signed?;
    let certificate = check(&chain, &asked, node, SystemTime::now()).map_err(Problem::Refused);
    if certificate.is_err() {
        store.remove(pending).await.map_err(Problem::Own)?;
    }
    let certificate = certificate?;
    let both = format!("{}\n{}", chain.trim_end(), asked.key.reveal());
    store.write(place, both.clone()).await.map_err(Problem::Own)?;
    store.remove(pending).await.map_err(Problem::Own)?;
    Ok((certificate, both))
}

async fn prepare(store: &Store, node: &str, purpose: Purpose<'_>) -> Result<Asked, Problem> {
    let (_, pending) = purpose.kept();
    if let Some(pem) = store.read(pending).await.map_err(Problem::Own)? {
        match KeyPair::from_pem(&pem) {
            Ok(key) => return ask(&key, node, purpose).map_err(Problem::Own),
            Err(error) => log::warn!("the key that was kept is no key ({error}), a new one is made"),
        }
    }
    let wrong = |error| Problem::Own(format!("no key could be made: {error}"));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(wrong)?;
    store.write(pending, key.serialize_pem()).await.map_err(Problem::Own)?;
    ask(&key, node, purpose).map_err(Problem::Own)
}

fn ask(key: &KeyPair, node: &str, purpose: Purpose<'_>) -> Result<Asked, String> {
    let wrong = |error| format!("no certificate could be asked for: {error}");
    let mut params = CertificateParams::new(purpose.names()).map_err(wrong)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
    params.distinguished_name.push(DnType::CommonName, user_of(node));
    let pem = params.serialize_request(key).map_err(wrong)?.pem().map_err(wrong)?;
    let public = key.subject_public_key_info();
    let of = |bytes: &[u8]| hex::encode(digest(&SHA256, bytes).as_ref());
    let named = of(&[&public, node.as_bytes(), purpose.names().join(",").as_bytes()].concat());
    Ok(Asked {
        name: format!("ballast-{}", &named[..NAME_DIGITS]),
        pem,
        key: Secret::new(key.serialize_pem()),
        key_hash: of(&public),
    })
}

/// Makes the request, or finds it, and waits until it is signed.
async fn sign(client: &ApiClient, asked: &Asked, purpose: Purpose<'_>) -> Result<String, Problem> {
    let requests: Api<CertificateSigningRequest> = Api::all(client);
    let wanted = CertificateSigningRequest {
        metadata: ObjectMeta { name: Some(asked.name.clone()), ..ObjectMeta::default() },
        spec: CertificateSigningRequestSpec {
            request: ByteString(asked.pem.clone().into_bytes()),
            signer_name: purpose.signer().to_owned(),
            usages: Some(purpose.usages().map(str::to_owned).to_vec()),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    };
    let mut from = match requests.create(&wanted).await {
        Ok(made) => made.resource_version(),
        Err(failure) if failure.is_there_already() => None,
        Err(failure) => return Err(Problem::Asking("asking for a certificate", failure)),
    };
    let deadline = Instant::now() + SIGNING_TIMEOUT;
    let mut pause = FIRST_PAUSE;
    while let Ok(seen) = timeout_at(deadline, watched(&requests, &asked.name, from.take())).await {
        if let Some(chain) = seen? {
            return Ok(chain);
        }
        sleep(spread(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Err(Problem::Unsigned(format!(
        "nobody signed the certificate that was asked for within {} s, expected the cluster to approve it, or \"kubectl certificate approve {}\"",
        SIGNING_TIMEOUT.as_secs(),
        asked.name
    )))
}

/// Waits for the outcome by a watch, as a kubelet does: a thousand nodes that look again and again keep the cluster from signing, and look too late.
/// `from`: the version after which it looks; None: with what there is. The chain, or nothing if the watch ended before (a server that has much to
/// reporting ends those that do not keep up).
async fn watched(
    requests: &Api<CertificateSigningRequest>,
    name: &str,
    from: Option<String>,
) -> Result<Option<String>, Problem> {
    let only = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECS);
    let mut events = match requests.watch(&only, from.as_deref().unwrap_or("0")).await {
        Ok(events) => events,
        Err(failure) if failure.kind() == Kind::Gone => return Ok(None),
        Err(failure) => return Err(Problem::Asking(WAITING, failure)),
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Added(request) | WatchEvent::Modified(request)) => {
                if let Some(chain) = outcome(&request)? {
                    return Ok(Some(chain));
                }
            }
            Ok(WatchEvent::Bookmark(_)) => {}
            Ok(WatchEvent::Deleted(_)) => {
                return Err(Problem::Refused(
                    "the request for a certificate was deleted before it was signed".to_owned(),
                ));
            }
            // From the beginning: what there is comes first, so nothing is missed.
            Ok(WatchEvent::Error(_)) | Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// The chain, in PEM, once it is there.
fn outcome(request: &CertificateSigningRequest) -> Result<Option<String>, Problem> {
    let Some(status) = &request.status else { return Ok(None) };
    let no = |kind: &str| {
        let found = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == kind && condition.status != "False")?;
        let words = [&found.reason, &found.message].map(|word| word.clone().unwrap_or_default());
        Some(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": "))
    };
    if let Some(why) = no("Denied") {
        return Err(Problem::Refused(format!("the cluster denied the certificate: {why}")));
    }
    if let Some(why) = no("Failed") {
        return Err(Problem::Refused(format!("the cluster could not sign the certificate: {why}")));
    }
    let Some(chain) = &status.certificate else { return Ok(None) };
    match String::from_utf8(chain.0.clone()) {
        Ok(chain) if chain.is_empty() => Ok(None),
        Ok(chain) => Ok(Some(chain)),
        Err(_) => Err(Problem::Refused("the certificate that came is no text, expected PEM".to_owned())),
    }
}

/// Whether it is what was asked for.
fn check(chain: &str, asked: &Asked, node: &str, now: SystemTime) -> Result<Certificate, String> {
    let certificate =
        Certificate::parse(chain).map_err(|error| format!("the certificate that came cannot be used: {error}"))?;
    let (name, wanted) = (&certificate.name, user_of(node));
    if certificate.key_hash != asked.key_hash {
        return Err("the certificate that came is for another key than ours".to_owned());
    }
    if *name != wanted {
        return Err(format!("the certificate that came is for {name:?}, expected {wanted:?}"));
    }
    if !certificate.holds(now) {
        return Err(
            "the certificate that came does not hold now, expected the cluster's clock and ours to agree".to_owned()
        );
    }
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::certificates::v1::{CertificateSigningRequestCondition, CertificateSigningRequestStatus};

    use super::*;

    #[tokio::test]
    async fn a_restart_finds_its_request() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let first = prepare(&store, "n1", Purpose::Client).await.unwrap();
        let second = prepare(&store, "n1", Purpose::Client).await.unwrap();
        assert_eq!((&first.name, &first.key), (&second.name, &second.key));
        assert_ne!(first.name, prepare(&store, "n2", Purpose::Client).await.unwrap().name);
        assert!(first.pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{}", first.pem);
    }

    #[test]
    fn the_outcome_is_signed_denied_or_open() {
        let of = |kind: Option<&str>, chain: Option<&str>| {
            let condition = |kind: &str| CertificateSigningRequestCondition {
                type_: kind.to_owned(),
                status: "True".to_owned(),
                reason: Some("ByHand".to_owned()),
                ..CertificateSigningRequestCondition::default()
            };
            let status = CertificateSigningRequestStatus {
                conditions: kind.map(|kind| vec![condition(kind)]),
                certificate: chain.map(|chain| ByteString(chain.as_bytes().to_vec())),
            };
            let request = CertificateSigningRequest { status: Some(status), ..CertificateSigningRequest::default() };
            outcome(&request).map_err(|problem| problem.to_string())
        };
        assert_eq!(of(None, None), Ok(None));
        assert_eq!(of(Some("Approved"), None), Ok(None));
        assert_eq!(of(Some("Approved"), Some("PEM")), Ok(Some("PEM".to_owned())));
        assert_eq!(of(Some("Denied"), None), Err("the cluster denied the certificate: ByHand".to_owned()));
        assert!(of(Some("Failed"), None).is_err());
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let asked = ask(&key, "n1", Purpose::Client).unwrap();
        let made = |key: &KeyPair, name: &str, year| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            params.self_signed(key).unwrap().pem()
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let is_taken = |chain: String| check(&chain, &asked, "n1", now).is_ok();
        assert!(is_taken(made(&key, "system:node:n1", 2040)));
        assert!(!is_taken(made(&other, "system:node:n1", 2040)));
        assert!(!is_taken(made(&key, "system:node:n2", 2040)));
        assert!(!is_taken(made(&key, "system:node:n1", 2021)));
        assert!(!is_taken("x".to_owned()));
    }
}
