//! `ballast doctor`: what the agent knows already, and what has to be tried: names, registries, API servers, the clock, certificates.

mod plan;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use ballast_settings::{
    Rank, Source,
    model::{Proxy, Settings},
};
use futures_util::stream::{self, StreamExt};
use tokio::{
    net::{TcpStream, lookup_host},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{Certificate, der::Decode};

pub use self::plan::Finding;
use self::plan::{Facts, Peer, Reached, findings};
use super::{socket::Answers, status::Status};
use crate::clients::clock;

/// Who does not answer within this is not there.
const ANSWER: Duration = Duration::from_secs(5);

/// Where images without a registry in their name come from.
const DEFAULT_REGISTRY: &str = "registry-1.docker.io";

const HTTPS: u16 = 443;
const HTTP: u16 = 80;

/// Checks the node.
///
/// # Errors
/// If the clock cannot be read.
pub(super) async fn check(answers: &Answers) -> Result<Vec<Finding>> {
    let Ok(_one) = ONE_AT_A_TIME.try_acquire() else { bail!("another ballast doctor is running; try again") };
    run_checks(answers).await
}

/// The same, for who has the time to wait until another one has ended.
///
/// # Errors
/// As [`check`].
pub(super) async fn check_in_turn(answers: &Answers) -> Result<Vec<Finding>> {
    let _one = ONE_AT_A_TIME.acquire().await.context("waiting for another ballast doctor")?;
    run_checks(answers).await
}

async fn run_checks(answers: &Answers) -> Result<Vec<Finding>> {
    let status = answers.status.borrow().clone();
    // Secrets are masked in it; what depends on them is not checked here.
    // A proxy's masked credentials are no part of an address.
    let text = answers.settings.borrow().settings.replace("http://(secret)@", "http://");
    let (settings, _) = ballast_settings::settings(&[Source::new("settings", Rank::Node, text.as_bytes())]);
    let now = SystemTime::now();
    let is_clock_set =
        answers.host.read("reading the clock", move |host| clock::check(host, SystemTime::now())).await?;
    let reach = |peer: Peer| async {
        let reached = reach(&peer).await;
        (peer, reached)
    };
    Ok(findings(&Facts {
        status: &status,
        is_clock_set,
        peers: stream::iter(peers(&settings, &status)).map(reach).buffered(LOOKUPS).collect().await,
        certificates: certificates(&settings),
        now: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    }))
}

/// So many are looked up at once.
const LOOKUPS: usize = 4;

/// Each name is looked up on a thread of those that also read the disk.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Whom the node has to reach.
fn peers(settings: &Settings, status: &Status) -> Vec<Peer> {
    let mut all = Vec::new();
    match &settings.network.proxy {
        Proxy { https: Some(proxy), .. } => {
            let place = proxy.reveal().trim_start_matches("http://");
            let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
            all.extend(peer("proxy", place, HTTP, PROXY_WHY, "ballast settings show --origins"));
        }
        Proxy { https: None, .. } => {
            let mut hosts: Vec<(String, u16)> = Vec::new();
            for registry in &settings.registries {
                let port = |plain_http: bool| if plain_http { HTTP } else { HTTPS };
                if !registry.host.is_all() {
                    hosts.push((named(registry.host.as_str()), port(registry.access.plain_http)));
                }
                let mirrors = registry.mirrors.iter();
                hosts.extend(mirrors.map(|one| (one.place.host().to_owned(), port(one.access.plain_http))));
            }
            let image = settings.update.image.as_deref().filter(|image| !image.starts_with("oci:"));
            hosts.extend(image.and_then(|image| image.split('/').next()).map(|host| (named(host), HTTPS)));
            hosts.sort();
            hosts.dedup();
            all.extend(
                hosts.iter().filter_map(|(host, port)| peer("registry", host, *port, REGISTRY_WHY, REGISTRY_MEND)),
            );
        }
    }
    for cluster in &status.clusters {
        let place = cluster.server.as_deref().and_then(|server| server.strip_prefix("https://"));
        let place = place.and_then(|place| place.split('/').next());
        let what = format!("cluster {}", cluster.name);
        all.extend(place.and_then(|place| peer(&what, place, HTTPS, CLUSTER_WHY, "ballast clusters")));
    }
    all
}

const PROXY_WHY: &str = "images and releases are fetched through it";
const REGISTRY_WHY: &str = "images or releases come from there";
const REGISTRY_MEND: &str = "ballast settings set network.proxy.https http://HOST:PORT, or open the way there";
const CLUSTER_WHY: &str = "the cluster does not know how the node is, and cannot upgrade it";

/// Docker Hub's registry has another name than its images.
fn named(host: &str) -> String {
    if host == "docker.io" { DEFAULT_REGISTRY } else { host }.to_owned()
}

/// The one at `place`, HOST or HOST:PORT; None if that is no place.
fn peer(what: &str, place: &str, port: u16, why: &'static str, mend: &'static str) -> Option<Peer> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
            (host, port.parse().ok()?)
        }
        Some(_) | None => (place, port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Peer { what: what.to_owned(), host: host.to_owned(), port, why, mend })
}

async fn reach(peer: &Peer) -> Reached {
    let late = || format!("no answer within {} s", ANSWER.as_secs());
    let addresses: Vec<_> = match timeout(ANSWER, lookup_host((peer.host.as_str(), peer.port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Reached::NoName(error.to_string()),
        Err(_) => return Reached::NoName(late()),
    };
    match timeout(ANSWER, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(_)) => Reached::Yes,
        Ok(Err(error)) => Reached::NoAnswer(error.to_string()),
        Err(_) => Reached::NoAnswer(late()),
    }
}

/// Certificates of the settings, and until when they are valid.
fn certificates(settings: &Settings) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let mut add = |key: &str, pem: &str| {
        let ends = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(|der| {
            let certificate = Certificate::from_der(&der.ok()?).ok()?;
            Some(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
        });
        all.extend(ends.map(|until| (key.to_owned(), until)));
    };
    if let Some(api) = &settings.api.listen {
        add("api.client_ca", api.client_ca.as_str());
    }
    for certificates in &settings.network.certificates {
        add("network.certificates", certificates.as_str());
    }
    for registry in &settings.registries {
        if let Some(ca) = &registry.access.ca {
            add(&format!("registry.{:?}.ca", registry.host.as_str()), ca.as_str());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::status::Cluster;

    #[test]
    fn who_has_to_be_reached_follows_from_the_settings() {
        let peers = |text: &str, clusters: Vec<Cluster>| {
            let (settings, problems) = ballast_settings::settings(&[Source::new("f", Rank::Node, text.as_bytes())]);
            assert_eq!(problems, []);
            let status = Status { clusters, ..Status::default() };
            let shown = |peer: Peer| format!("{} {} {}", peer.what, peer.host, peer.port);
            super::peers(&settings, &status).into_iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(peers("", Vec::new()), [""; 0]);
        let registries = "[[registry]]\nhost = \"docker.io\"\nmirrors = [\"m.example:5000\", \"[2001:db8::1]:5000\"]\n\
                          [[registry]]\nhost = \"*\"\nmirrors = [\"n.example\"]\n[update]\nimage = \"r.example/os:1\"\n";
        let expected = [
            "registry 2001:db8::1 5000",
            "registry m.example 5000",
            "registry n.example 443",
            "registry r.example 443",
            "registry registry-1.docker.io 443",
        ];
        assert_eq!(peers(registries, Vec::new()), expected);
        let proxy = format!("{registries}[network.proxy]\nhttps = \"http://me:secret@proxy.example:3128\"\n");
        assert_eq!(peers(&proxy, Vec::new()), ["proxy proxy.example 3128"]);
        let cluster =
            Cluster { name: "prod".to_owned(), server: Some("https://10.0.0.1:6443".to_owned()), ..Cluster::default() };
        assert_eq!(peers("", vec![cluster]), ["cluster prod 10.0.0.1 6443"]);
    }

    #[tokio::test]
    async fn who_does_not_answer_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let at = |host: &str| peer("registry", &format!("{host}:{port}"), HTTPS, "", "").unwrap();
        assert_eq!(reach(&at("127.0.0.1")).await, Reached::Yes);
        drop(listener);
        assert!(matches!(reach(&at("127.0.0.1")).await, Reached::NoAnswer(_)));
        assert!(matches!(reach(&at("no-such-name.invalid")).await, Reached::NoName(_)));
    }
}
