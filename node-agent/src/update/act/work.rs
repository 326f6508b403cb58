//! What an operation works with, and the few things that all of them do.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use crate::{
    clients::{
        esp,
        host::Host,
        store,
        worker::{self, Environment, Registry, WorkerFailure},
    },
    settings::{
        self,
        model::{Signatures, Update},
    },
    update::{
        memory::Changer,
        model::{Event, Failure, FailureKind, Memory, Observed, Phase, Progress, Revoked},
        observe,
        plan::policy::policy,
    },
};

/// Keys that releases may be signed with: those of the image, of the settings, and of the node.
const KEYS: [&str; 3] = ["/usr/lib/ballast/keys", "/etc/ballast/keys", "/var/lib/ballast/keys"];

/// A public key has some two hundred bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// The policy that the worker's image proxy follows.
const POLICY: &str = "/run/ballast/policy.json";

/// The same for artifacts.
const ARTIFACT_POLICY: &str = "/run/ballast/policy-artifact.json";

/// The same for a toolbox.
const TOOLBOX_POLICY: &str = "/run/ballast/policy-toolbox.json";

/// What the settings say of upgrades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `ID` of the operating system that this node runs.
    pub os_id: String,
    /// `[update]`
    pub update: settings::model::Update,
    /// `kernel.arguments`, as on a command line.
    pub arguments: String,
    /// `[network.proxy]`
    pub proxy: settings::model::Proxy,
    /// How long a registry may send nothing.
    pub idle: Duration,
    /// How often a registry may fail in a row.
    pub attempts: u32,
    /// How long resolving and fetching may take in all.
    pub total: Duration,
}

/// What an operation works with.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) host: Host,
    pub(super) esp: esp::EspLock,
    pub(super) memory: Changer,
    pub(super) settings: Settings,
    pub(super) progress: watch::Sender<Option<Progress>>,
    pub(super) client: Option<mpsc::Sender<Event>>,
    /// Whether the boot entry is being written, or is: what follows is done in any case.
    pub(super) is_committed: AtomicBool,
}

impl Work {
    /// From here on the operation is not cancelled: the other release boots next, or is about to.
    pub(super) fn commits(&self) {
        self.is_committed.store(true, Ordering::Relaxed);
    }

    /// Waits until the client has disconnected and that cancels the operation; for ever if there is no client.
    pub(super) async fn cancelled(&self) {
        if let Some(client) = &self.client {
            client.closed().await;
            if !self.is_committed.load(Ordering::Relaxed) {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Whether the client has disconnected.
    pub(super) fn is_disconnected(&self) -> bool {
        self.client.as_ref().is_some_and(mpsc::Sender::is_closed)
    }

    /// Says what is being done now.
    pub(super) fn phase(&self, phase: Phase) {
        self.report(|progress| progress.phase = phase);
    }

    /// Says how far it is.
    pub(super) fn report(&self, change: impl Fn(&mut Progress)) {
        self.progress.send_modify(|progress| progress.iter_mut().for_each(change));
        let progress = self.progress.borrow().clone();
        if let (Some(client), Some(progress)) = (&self.client, progress) {
            // Who reads slowly misses some of it.
            let _ = client.try_send(Event::Progress(progress));
        }
    }

    /// Remembers something, if that can be written: a full /var is no reason not to leave a release.
    pub(super) async fn remember(&self, change: impl FnOnce(&mut Memory) + Send + 'static) {
        if let Err(error) = self.memory.change(change).await {
            log::warn!("{error:#}");
        }
    }

    /// The node as it is now, for what goes by its boot entries too.
    pub(super) async fn observe(&self) -> Result<Observed, Failure> {
        let observed = self.observe_releases().await?;
        match &observed.unmounted_esp {
            None => Ok(observed),
            Some(device) => Err(Failure {
                kind: FailureKind::Failed,
                message: format!(
                    "the EFI system partition {device} is not mounted, so the boot entries cannot be seen; ballast status says why, and \
                     systemctl restart ballast tries again"
                ),
            }),
        }
    }

    /// The node as it is now, for what goes by the releases on the disk alone.
    pub(super) async fn observe_releases(&self) -> Result<Observed, Failure> {
        Ok(self.host.read(observe::DOING, observe::observe).await.context(observe::DOING)?)
    }

    /// The files in the ESP's folder of kernels.
    pub(super) async fn kernels(&self) -> Result<Vec<String>, Failure> {
        Ok(self.host.read("reading the kernels on /efi", |host| Ok(observe::kernels(host))).await?)
    }

    /// How a release may be fetched anew that is on the disk already: `image` has its digest, so one signature will do, however old, and
    /// whatever was revoked since.
    pub(super) async fn registry_for_repair(&self, image: &str) -> Result<Registry, Failure> {
        let update = Update { signature_max_days: None, keys_threshold: 1, ..self.settings.update.clone() };
        self.registry_by(image, &update, &Revoked::default()).await
    }

    /// How `image` may be fetched, without the keys that are `revoked`; the policy is written for it.
    pub(super) async fn registry(&self, image: &str, revoked: &Revoked) -> Result<Registry, Failure> {
        self.registry_by(image, &self.settings.update, revoked).await
    }

    async fn registry_by(&self, image: &str, update: &Update, revoked: &Revoked) -> Result<Registry, Failure> {
        let settings = Settings { update: update.clone(), ..self.settings.clone() };
        registry_by(&self.host, POLICY, image, &settings, revoked).await
    }

    /// Runs the worker.
    pub(super) async fn worker<T: DeserializeOwned>(
        &self,
        arguments: &[&str],
        registry: Option<&Registry>,
        deadline: Duration,
    ) -> Result<T, Failure> {
        let progress = |fetch: worker::Progress| {
            self.report(|progress| {
                progress.fetched_bytes = fetch.fetched_bytes;
                progress.total_bytes = fetch.total_bytes;
            });
        };
        worker::run(&self.host, worker::RELEASES, arguments, registry, deadline, progress).await.map_err(failure)
    }
}

/// How the artifact `image` may be fetched: as a release, by a policy of its own.
///
/// # Errors
/// If it would have to be signed and there is no key, or the policy cannot be written.
pub async fn artifact_registry(
    host: Host,
    image: String,
    settings: Settings,
    revoked: Revoked,
) -> anyhow::Result<Registry> {
    Ok(registry_by(&host, ARTIFACT_POLICY, &image, &settings, &revoked).await?)
}

/// The same for the toolbox `image`.
///
/// # Errors
/// As for [`artifact_registry`].
pub async fn toolbox_registry(
    host: Host,
    image: String,
    settings: Settings,
    revoked: Revoked,
) -> anyhow::Result<Registry> {
    Ok(registry_by(&host, TOOLBOX_POLICY, &image, &settings, &revoked).await?)
}

/// How `image` may be fetched as `settings` say, without the keys that are `revoked`; the policy is written for it to the file `place`.
async fn registry_by(
    host: &Host,
    place: &'static str,
    image: &str,
    settings: &Settings,
    revoked: &Revoked,
) -> Result<Registry, Failure> {
    let update = &settings.update;
    let keys = host.read("reading the keys of releases", |host| Ok(keys(host))).await?;
    if keys.is_empty() && update.signatures == Signatures::Required {
        return Err(Failure::refused(
            "releases must be signed, and there is no key to check them with: name one in update.keys of the settings, or, for \
             development, set update.signatures = \"none\"",
        ));
    }
    let policy = policy(image, &keys, update, revoked).to_string();
    let write = move |host: &Host| store::write(&host.path(place), policy.as_bytes());
    host.change("writing the policy of image-proxy", write).await?;
    let Settings { idle, attempts, proxy, .. } = settings;
    let environment = Environment(proxy.environment());
    let file = host.path(place);
    Ok(Registry { policy: file.display().to_string(), idle: *idle, attempts: *attempts, environment })
}

/// The public keys there are; a folder that is not there has none.
fn keys(host: &Host) -> Vec<String> {
    let files = KEYS.iter().flat_map(|folder| fs::read_dir(host.path(folder)).into_iter().flatten().flatten());
    let paths = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ending| ending == "pub"));
    let paths = paths.filter(|path| match check_key(path) {
        Ok(()) => true,
        Err(why) => {
            log::warn!("the key {} is not used, others are: {why}; put the PEM file there again", path.display());
            false
        }
    });
    let mut keys: Vec<String> = paths.map(|path: std::path::PathBuf| Path::display(&path).to_string()).collect();
    keys.sort();
    keys
}

/// One damaged key must not cost the others: image-proxy refuses a policy as a whole.
fn check_key(path: &Path) -> Result<(), String> {
    let read = fs::metadata(path).and_then(|found| match found.is_file() && found.len() <= MAX_KEY_BYTES {
        true => fs::read_to_string(path),
        false => Err(std::io::Error::other("it is no small file")),
    });
    let text = read.map_err(|error| error.to_string())?;
    let is_pem = text.contains("-----BEGIN PUBLIC KEY-----") && text.contains("-----END PUBLIC KEY-----");
    if is_pem { Ok(()) } else { Err("it has no public key in PEM".to_owned()) }
}

/// What the worker says, in our words.
fn failure(error: anyhow::Error) -> Failure {
    match error.downcast::<WorkerFailure>() {
        Err(error) => error.into(),
        // For who asked, what is no release is refused as one that is not for this node.
        Ok(WorkerFailure { kind: FailureKind::NotARelease, message }) => Failure::refused(message),
        Ok(WorkerFailure { kind, message }) => Failure { kind, message },
    }
}
