//! Asks the cloud's metadata service for the first boot's settings, once the network is up. A machine that is none of the clouds asks
//! nobody.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use ballast_settings::{
    MAX_BYTES,
    metadata::{Answer, Dmi, Service, Session, Step},
};
use tokio::{sync::Notify, task::JoinHandle, time::sleep};

use super::keep;
use crate::{
    clients::{
        dmi,
        host::Host,
        metadata::{self, From},
        network,
    },
    settings::{
        model::{Problem, ProvisioningRecord, SourceKind, Warning},
        probe::Found,
    },
};

/// Metadata services listen here.
const PORT: u16 = 80;

/// A service that cannot say yet is asked again this often, with a moment between.
const AGAIN: u32 = 5;
const MOMENT: Duration = Duration::from_secs(2);

/// The network and the service come up with the machine, or late, or never: from the first of these on, doubling up to the last.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// What the firmware says of the cloud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Named {
    /// The service to ask.
    service: Option<Service>,
    /// The name of a cloud that is not asked.
    unasked: Option<&'static str>,
}

/// The cloud that the machine is in, until it has answered.
#[derive(Debug)]
pub(super) struct Cloud {
    host: Host,
    changed: Arc<Notify>,
    /// Looked up once.
    named: Option<Named>,
    asking: Option<JoinHandle<Result<()>>>,
    next: Instant,
    back_off: Duration,
    problem: Option<String>,
}

impl Cloud {
    /// Nobody is asked yet. The end of a conversation wakes `changed`.
    pub(super) fn new(host: Host, changed: Arc<Notify>) -> Self {
        let (next, back_off) = (Instant::now(), FIRST_BACK_OFF);
        Self { host, changed, named: None, asking: None, next, back_off, problem: None }
    }

    /// Why the settings of the cloud are not known yet.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.clone()
    }

    /// That the machine is of a cloud that is not asked.
    pub(super) fn note(&self) -> Option<Warning> {
        let name = self.named.and_then(|named| named.unasked)?;
        let reason = format!(
            "this machine is of {name}, whose metadata service this node does not ask: it takes settings as a credential, on a volume \
             (CIDATA, config-2) or on its ESP"
        );
        Some(Warning { key: None, place: "firmware".to_owned(), reason })
    }

    /// How long until it is asked next, if it is to be.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let service = self.named.and_then(|named| named.service);
        let is_waited_for = service.is_some() && self.asking.is_none() && self.problem.is_some();
        is_waited_for.then(|| self.next.saturating_duration_since(Instant::now()))
    }

    /// Asks, if it was never asked and it is time; takes in the answer.
    pub(super) async fn go_on(&mut self, record: &ProvisioningRecord) {
        if let Some(task) = self.asking.take_if(|task| task.is_finished()) {
            let result = task.await.context("its task ended").and_then(|result| result);
            self.problem = result.err().map(|error| format!("{error:#}"));
            if self.problem.is_some() {
                self.next = Instant::now() + self.back_off;
                self.back_off = (self.back_off * 2).min(LONGEST_BACK_OFF);
            }
        }
        if record.has(SourceKind::Metadata) || self.asking.is_some() || Instant::now() < self.next {
            return;
        }
        let host = &self.host;
        let Some(service) = self.named.get_or_insert_with(|| named(host)).service else { return };
        let (host, changed) = (self.host.clone(), Arc::clone(&self.changed));
        self.asking = Some(tokio::spawn(async move {
            let result = ask_and_keep(&host, service).await;
            changed.notify_one();
            result
        }));
    }
}

/// The service of the cloud that the firmware names.
pub(super) fn service(host: &Host) -> Option<Service> {
    named(host).service
}

fn named(host: &Host) -> Named {
    let dmi::Identity { vendor, product, bios_version, asset_tag } = dmi::identity(host);
    let dmi = Dmi { vendor: &vendor, product: &product, bios_version: &bios_version, asset_tag: &asset_tag };
    Named { service: dmi.service(), unasked: dmi.unasked() }
}

async fn ask_and_keep(host: &Host, service: Service) -> Result<()> {
    let found = ask(service).await?;
    host.change("keeping what the cloud gave", move |host| keep_found(host, &found)).await
}

/// What came applies, whatever did not; but only when all came the cloud is asked no more.
fn keep_found(host: &Host, found: &Found) -> Result<()> {
    if found.failed {
        keep::add(host, SourceKind::Metadata, &found.given)?;
        bail!("the cloud's metadata service did not say all, and is asked again: {}", found.what);
    }
    log::info!("settings: {}", found.what);
    if !found.given.is_empty() {
        keep::keep(host, SourceKind::Metadata, &found.given)?;
    }
    keep::note(host, vec![(SourceKind::Metadata, found.probe())])
}

/// What `service` gives this machine.
///
/// # Errors
/// If no route leads to it, or there is no answer that reports anything.
pub(super) async fn ask(service: Service) -> Result<Found> {
    let host: IpAddr = service.host().parse().context("the metadata service's address")?;
    // An isolated network may have a route to it and none to the world.
    network::source_address_for(host).context("the cloud's metadata service cannot be asked yet")?;
    talk(service, SocketAddr::new(host, PORT)).await
}

async fn talk(service: Service, address: SocketAddr) -> Result<Found> {
    let mut session = Session::new(service);
    let mut again = 0;
    while let Some(request) = session.request() {
        let headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (*name, value.reveal())).collect();
        let from = if request.from_privileged_port { From::PrivilegedPort } else { From::AnyPort };
        match metadata::ask(address, from, request.method, request.path, &headers, MAX_BYTES + 1).await {
            Err(error) => session.give_up(&format!("{error:#}")),
            Ok((status, body)) => match session.answer(Answer { status, body: &body }) {
                Step::Next => again = 0,
                Step::Again if again == AGAIN => session.give_up(&format!("its status is {status}")),
                Step::Again => {
                    again += 1;
                    sleep(MOMENT).await;
                }
            },
        }
    }
    let (found, problems) = session.finish();
    let reported = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
    let given: keep::Given = found.iter().map(|found| (found.source().kind, found.source().bytes.to_vec())).collect();
    if given.is_empty() && !reported.is_empty() {
        bail!("{reported}");
    }
    let names: Vec<&str> = found.iter().map(|found| found.source().name).collect();
    let what = match (names.is_empty(), reported.is_empty()) {
        (true, _) => "the cloud's metadata service has nothing for this machine".to_owned(),
        (false, true) => names.join(", "),
        (false, false) => format!("{}; {reported}", names.join(", ")),
    };
    Ok(Found { failed: !reported.is_empty(), ..Found::all(given, what) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ballast_settings::Kind;
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    use super::*;
    use crate::settings::{model::SOURCES, observe};

    /// In the place of an answer.
    const FORBIDDEN: &str = "\0";

    /// Answers each request by its first line.
    async fn server(answers: &'static [(&'static str, &'static str)]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (reader, mut writer) = stream.split();
                let mut lines = BufReader::new(reader).lines();
                let first = lines.next_line().await.unwrap().unwrap();
                while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
                let found = answers.iter().find(|(request, _)| first.starts_with(request));
                let (status, body) = match found {
                    None => ("404 Not Found", ""),
                    Some((_, FORBIDDEN)) => ("403 Forbidden", ""),
                    Some((_, body)) => ("200 OK", *body),
                };
                let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                writer.write_all(text.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn what_the_cloud_says_is_found() {
        let answers = &[
            ("PUT /latest/api/token ", "t0ken"),
            ("GET /latest/user-data ", "hostname = \"a\""),
            ("GET /latest/meta-data/local-hostname ", "b"),
        ];
        let found = talk(Service::Ec2, server(answers).await).await.unwrap();
        let expected = [(Kind::Settings, b"hostname = \"a\"".to_vec()), (Kind::Hostname, b"b".to_vec())];
        assert_eq!((found.given.as_slice(), found.what.as_str()), (&expected[..], "EC2 user-data, EC2 local-hostname"));
        let nothing = talk(Service::OpenStack, server(&[]).await).await.unwrap();
        assert_eq!(nothing, Found::nothing("the cloud's metadata service has nothing for this machine"));
    }

    #[tokio::test]
    async fn what_came_applies_and_the_rest_is_asked_for_again() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let kept = |file: &str| fs::read_to_string(host.path(format!("{SOURCES}/{file}"))).ok();
        let some = &[
            ("GET /openstack/latest/user_data ", "hostname = \"a\""),
            ("GET /openstack/latest/meta_data.json ", FORBIDDEN),
        ];
        let found = talk(Service::OpenStack, server(some).await).await.unwrap();
        let reported = keep_found(&host, &found).unwrap_err().to_string();
        assert!(reported.contains("is asked again") && reported.contains("meta_data.json: "), "{reported}");
        assert!(kept("metadata").is_some() && !observe::record(&host).unwrap().has(SourceKind::Metadata));
        // The other way round, what came before stays.
        let rest = Found { given: vec![(Kind::MetaData, b"{}".to_vec())], ..found };
        assert!(keep_found(&host, &rest).is_err());
        assert!(kept("metadata").is_some() && kept("metadata.meta-data").is_some());
        keep_found(&host, &Found::all(rest.given, "all")).unwrap();
        assert!(kept("metadata").is_none() && observe::record(&host).unwrap().has(SourceKind::Metadata));
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_reported() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = talk(Service::Gce, address).await.unwrap_err().to_string();
        assert!(error.starts_with("GCE user-data: its metadata service gives no answer: asking 127.0.0.1:"), "{error}");
    }

    #[tokio::test]
    async fn a_machine_that_is_none_of_the_clouds_asks_nobody() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let mut cloud = Cloud::new(host.clone(), Arc::default());
        cloud.go_on(&ProvisioningRecord::default()).await;
        assert!(cloud.asking.is_none() && cloud.due_in().is_none());
        let folder = host.path("/sys/class/dmi/id");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("sys_vendor"), "Amazon EC2\n").unwrap();
        assert_eq!(service(&host), Some(Service::Ec2));
        // It was looked up once.
        assert_eq!(cloud.note(), None);
        fs::write(folder.join("sys_vendor"), "UpCloud\n").unwrap();
        let mut cloud = Cloud::new(host, Arc::default());
        cloud.go_on(&ProvisioningRecord::default()).await;
        assert!(cloud.asking.is_none() && cloud.due_in().is_none() && cloud.problem().is_none());
        let reported = cloud.note().unwrap().sentence();
        assert!(reported.starts_with("firmware: this machine is of UpCloud, whose metadata service"), "{reported}");
    }
}
