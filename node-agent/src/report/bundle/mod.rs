//! `ballast support-bundle`: what others need to see what is wrong with a node, in one archive, without its secrets.

mod archive;
mod parts;
mod scrub;

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use ballast_settings::edit;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use self::{
    parts::{FILES, FOLDERS, PROGRAMS, Program},
    scrub::Scrubber,
};
use super::{
    answer, doctor,
    exec::Piece,
    socket::{Answers, HEARTBEAT, Reply},
};
use crate::{
    clients::{
        cri::{self, Cri},
        exec,
        host::Host,
    },
    settings::{
        model::{FILE, SOURCES},
        observe::{self, BEFORE},
    },
};

/// A program that says nothing for so long is left out.
const DEADLINE: Duration = Duration::from_secs(30);

/// The end of a file, or of what a program said, not more.
const MAX_BYTES: u64 = 4 << 20;

/// The same for each of many: the logs of containers.
const MAX_BYTES_OF_MANY: u64 = 128 << 10;

/// So many files of a folder, not more.
const MAX_FILES: usize = 500;

/// What goes over at a time.
const PIECE_BYTES: usize = 48 << 10;

/// Two at once would only take twice the memory.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Sends the bundle to `client`, and the end. Ends as well when nobody listens any more.
pub async fn send(answers: Answers, client: mpsc::Sender<Reply>) {
    let end = match ONE_AT_A_TIME.try_acquire() {
        Ok(_one) => {
            pack(&answers, &client).await.map_or_else(|error| Reply::Error(format!("{error:#}")), |()| Reply::End {})
        }
        Err(_) => Reply::Error("another support bundle is being packed; try again".to_owned()),
    };
    // Nobody may listen any more.
    let _ = client.send(end).await;
}

/// One bundle on its way.
struct Packer<'a> {
    client: &'a mpsc::Sender<Reply>,
    host: Host,
    scrubber: std::sync::Arc<Scrubber>,
    now: u64,
    /// What could not be had, and why.
    missing: Vec<String>,
}

async fn pack(answers: &Answers, client: &mpsc::Sender<Reply>) -> Result<()> {
    let host = answers.host.clone();
    let secrets = host.read("looking for secrets", |host| Ok(secrets(host))).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let scrubber = std::sync::Arc::new(Scrubber::new(secrets));
    let mut packer = Packer { client, host, scrubber, now, missing: Vec::new() };
    let status = answers.status.borrow().clone();
    packer.json("status.json", &status).await?;
    let releases = answers.releases.borrow().clone();
    packer.json("releases.json", &releases).await?;
    let shown = answers.settings.borrow().clone();
    packer.json("settings/sources.json", &(&shown.origins, &shown.sources)).await?;
    match without_manifests(&shown.settings) {
        Ok(settings) => packer.json("settings/settings.json", &settings).await?,
        Err(error) => packer.missing.push(format!("settings/settings.json: {error:#}")),
    }
    packer.text("metrics.txt", answer::metrics(answers).text()).await?;
    match packer.with_heartbeat(doctor::check_in_turn(answers)).await {
        Ok(findings) => packer.json("doctor.json", &findings).await?,
        Err(error) => packer.missing.push(format!("doctor.json: {error:#}")),
    }
    match packer.with_heartbeat(runtime(&answers.host)).await {
        Ok(runtime) => packer.json("containerd/state.json", &runtime).await?,
        Err(error) => packer.missing.push(format!("containerd/state.json: {error:#}")),
    }
    for program in &PROGRAMS {
        packer.program(program).await?;
    }
    for (name, path) in FILES {
        packer.file(name.to_owned(), path.to_owned(), MAX_BYTES).await?;
    }
    for (name, path, ending) in FOLDERS {
        let all = packer.host.read("looking for files", move |host| Ok(files(&host.path(path), ending))).await?;
        for file in all {
            packer.file(format!("{name}/{file}"), format!("{path}/{file}"), MAX_BYTES_OF_MANY).await?;
        }
    }
    let missing = packer.missing.join("\n") + "\n";
    packer.text("missing.txt", missing).await?;
    packer.send(archive::end()).await
}

impl Packer<'_> {
    async fn json(&mut self, name: &str, what: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(what).with_context(|| format!("encoding {name}"))?;
        self.text(name, text).await
    }

    async fn text(&mut self, name: &str, text: String) -> Result<()> {
        let (name, scrubber, now) = (name.to_owned(), std::sync::Arc::clone(&self.scrubber), self.now);
        let packing = move |_: &Host| archive::file(&scrubber.scrub(&name), scrubber.scrub(&text).as_bytes(), now);
        let packed = self.host.read("packing", packing).await?;
        self.send(packed).await
    }

    async fn program(&mut self, program: &Program) -> Result<()> {
        let Program { name, program, arguments } = program;
        let path = self.host.path(program).display().to_string();
        let running = exec::run(&path, *arguments, DEADLINE);
        match self.with_heartbeat(running).await {
            Ok(mut said) => {
                let cut = said.len().saturating_sub(usize::try_from(MAX_BYTES).unwrap_or(usize::MAX));
                let cut = (cut..said.len()).find(|at| said.is_char_boundary(*at)).unwrap_or(said.len());
                said.drain(..cut);
                self.text(name, said).await
            }
            Err(error) => {
                self.missing.push(format!("{name}: {error:#}"));
                Ok(())
            }
        }
    }

    async fn file(&mut self, name: String, path: String, most: u64) -> Result<()> {
        match self.host.read("reading a file", move |host| tail(&host.path(&path), most)).await {
            Ok(Some(text)) => self.text(&name, text).await,
            Ok(None) => Ok(()),
            Err(error) => {
                self.missing.push(format!("{name}: {error:#}"));
                Ok(())
            }
        }
    }

    /// Waits for `work`, and says meanwhile that it goes on.
    async fn with_heartbeat<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::pin!(work);
        loop {
            match timeout(HEARTBEAT, &mut work).await {
                Ok(done) => return done,
                Err(_) => self.client.send(Reply::Working {}).await.context("who asked has gone away")?,
            }
        }
    }

    async fn send(&self, packed: Vec<u8>) -> Result<()> {
        for piece in packed.chunks(PIECE_BYTES) {
            let piece = Reply::Stdout(Piece(piece.to_vec()));
            self.client.send(piece).await.context("who asked has gone away")?;
        }
        Ok(())
    }
}

/// All that the settings say nobody may see, wherever they are from.
fn secrets(host: &Host) -> Vec<String> {
    let kept = files(&host.path(SOURCES), "").into_iter().map(|name| format!("{SOURCES}/{name}"));
    // The first boot's credential counts before it is kept.
    let all = [FILE.to_owned(), BEFORE.to_owned(), observe::credential()].into_iter().chain(kept);
    let texts = all.filter_map(|path| fs::read(host.path(path)).ok());
    texts.flat_map(|text| edit::secrets(&String::from_utf8_lossy(&text))).collect()
}

/// Manifests are shown as they were written, with what their authors wrote there: they are left out.
fn without_manifests(settings: &str) -> Result<Value> {
    let settings: toml::Table = toml::from_str(settings).context("reading the settings")?;
    let mut settings = serde_json::to_value(settings).context("encoding the settings")?;
    if let Some(manifests) = settings.pointer_mut("/pods/manifest") {
        *manifests = Value::String("(left out)".to_owned());
    }
    Ok(settings)
}

/// What containerd has, without what its containers were given.
async fn runtime(host: &Host) -> Result<Value> {
    let doing = "asking the container runtime";
    let cri = Cri::connect(&host.path(cri::SOCKET)).await.context(doing)?;
    let (name, version) = cri.version().await.context(doing)?;
    let status = cri.status().await.context(doing)?;
    let sandboxes = cri.sandboxes(Default::default()).await.context(doing)?;
    let containers = cri.containers(Default::default()).await.context(doing)?;
    let images = cri.images().await.context(doing)?;
    let sandboxes = sandboxes.iter().map(|one| {
        serde_json::json!({ "id": one.id, "namespace": one.namespace, "pod": one.name, "attempt": one.attempt, "ready": one.ready })
    });
    let containers = containers.iter().map(|one| {
        serde_json::json!({
            "id": one.id, "sandbox": one.sandbox_id, "name": one.name, "attempt": one.attempt, "state": format!("{:?}", one.state),
            "exit_code": one.exit_code, "reason": one.reason, "message": one.message, "image": one.image,
        })
    });
    let images =
        images.iter().map(|one| serde_json::json!({ "id": one.id, "names": one.references, "bytes": one.size_bytes }));
    Ok(serde_json::json!({
        "name": name, "version": version, "ready": status.ready, "message": status.message,
        "sandboxes": sandboxes.collect::<Vec<_>>(), "containers": containers.collect::<Vec<_>>(), "images": images.collect::<Vec<_>>(),
    }))
}

/// The files in `folder` and below it that end with `ending`, by their paths in it, sorted; no links.
fn files(folder: &Path, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![String::new()];
    while let Some(below) = left.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&below)) else { continue };
        for entry in entries.flatten() {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if kind.is_dir() {
                left.push(path);
            } else if kind.is_file() && path.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.truncate(MAX_FILES);
    found
}

/// The last `most` bytes of a file; None if it is not there.
fn tail(path: &Path, most: u64) -> Result<Option<String>> {
    let doing = || format!("reading {}", path.display());
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(doing)?,
    };
    // The kernel's own files have no length.
    let length = file.metadata().with_context(doing)?.len();
    if length > most {
        file.seek(SeekFrom::Start(length - most)).with_context(doing)?;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).with_context(doing)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
