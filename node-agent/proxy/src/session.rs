//! One client: its requests in order, the images it has opened, the pipes it reads from.

use std::{
    collections::HashMap,
    io::Read,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    config::files::{CERTIFICATES, Config, load},
    content::digest::Digest,
    content::reference::ImageName,
    failure::{self, Kind},
    image::Image,
    in_root,
    options::Options,
    protocol::{
        message::{Reply, Request, VERSION},
        pipe::{Pipes, Writer},
    },
    source::{Source, Sources, blob::Blob, layout::Layout, registry::Registry},
};

/// A blob up to this size is held back until its digest is checked: who reads it unpacks it as root. Our largest layer has a third of it. It
/// fits into MemoryMax= of the service.
const CHECKED_FIRST_BYTES: u64 = 64 << 20;

/// How often the client hears how much of such a blob has come.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// As large as a pipe is.
const PIECE_BYTES: usize = 64 << 10;

/// The image that is not there, for OpenImageOptional.
const NO_IMAGE: u32 = 0;

pub(super) struct Session {
    options: Options,
    config: Option<Config>,
    last_image: u32,
    images: HashMap<u32, Arc<Image>>,
    pipes: Pipes,
}

/// A reply, and the pipe that goes with it.
pub(super) type Answer = (Reply, Option<OwnedFd>);

impl Session {
    pub(super) fn new(options: Options) -> Self {
        Self { options, config: None, last_image: NO_IMAGE, images: HashMap::new(), pipes: Pipes::default() }
    }

    /// Does what the request says. Nothing is the answer to Shutdown.
    pub(super) async fn answer(&mut self, request: &[u8]) -> Option<Answer> {
        let answer = match Request::parse(request) {
            Ok(request) if request.method == "Shutdown" => return None,
            Ok(request) => {
                log::debug!("request {}", request.method);
                self.dispatch(&request).await
            }
            Err(error) => Err(error),
        };
        Some(answer.unwrap_or_else(|error| {
            log::debug!("error: {error:#}");
            if let Some(file) = &self.options.failures
                && let Err(error) = failure::report(file, &error)
            {
                log::warn!("{error:#}");
            }
            (Reply::failed(&error), None)
        }))
    }

    async fn dispatch(&mut self, request: &Request) -> Result<Answer> {
        let image = || {
            let (id,) = request.arguments::<(u32,)>("[image]")?;
            self.image(id)
        };
        match &*request.method {
            "Initialize" => {
                request.no_arguments()?;
                self.initialize()
            }
            "OpenImage" => {
                // The second argument is a list of flags, of which there is one.
                let (name, flags) = match request.arguments::<(String, Vec<String>)>("[name, flags]") {
                    Ok(both) => both,
                    Err(_) => (request.arguments::<(String,)>("[name] or [name, flags]")?.0, Vec::new()),
                };
                match flags.iter().find(|flag| *flag != "optional") {
                    Some(flag) => Err(anyhow!("OpenImage has no flag {flag:?}, expected optional")),
                    None => self.open(&name, !flags.is_empty()).await,
                }
            }
            "OpenImageOptional" => self.open(&request.arguments::<(String,)>("[name]")?.0, true).await,
            "CloseImage" => {
                let (id,) = request.arguments::<(u32,)>("[image]")?;
                self.images.remove(&id).with_context(|| no_image(id))?;
                done(Value::Null)
            }
            "GetManifest" => {
                let image = image()?;
                self.piped(image.digest.to_string().into(), image.manifest())
            }
            "GetFullConfig" => {
                let config = image()?.config().await?;
                self.piped(Value::Null, config)
            }
            "GetConfig" => {
                // Only what a container would run with: so it was before GetFullConfig came.
                let mut config: Value =
                    serde_json::from_slice(&image()?.config().await?).context("reading the image's configuration")?;
                let config = serde_json::to_vec(&config["config"].take()).context("encoding the configuration")?;
                self.piped(Value::Null, config)
            }
            "GetLayerInfo" => done(image()?.layers()?),
            "GetLayerInfoPiped" => {
                let layers = serde_json::to_vec(&image()?.layers()?).context("encoding the layers")?;
                self.piped(Value::Null, layers)
            }
            "GetBlob" => {
                let (id, digest, size) = request.arguments::<(u32, String, u64)>("[image, digest, bytes]")?;
                self.blob(id, &digest, size).await
            }
            "FinishPipe" => {
                let (id,) = request.arguments::<(u32,)>("[pipe]")?;
                self.pipes.finish(id).await?;
                done(Value::Null)
            }
            other => Err(anyhow!("there is no method {other:?} in version {VERSION} of the protocol")),
        }
    }

    fn initialize(&mut self) -> Result<Answer> {
        if self.config.is_some() {
            return Err(anyhow!("Initialize was called before"));
        }
        self.config =
            Some(load(&self.options.root, self.options.policy.as_deref(), self.options.credentials.as_deref())?);
        done(VERSION.into())
    }

    async fn open(&mut self, name: &str, is_optional: bool) -> Result<Answer> {
        let name = ImageName::parse(name)?;
        let config = self.config.as_ref().context("Initialize was not called, expected it first")?;
        let opened = async {
            let (source, name) = source(&self.options, config, name.clone())?;
            Image::open(source, &name, &config.policy).await
        };
        match opened.await {
            Ok(image) => {
                if let (Some(file), Some(until)) = (&self.options.failures, image.signed_until) {
                    failure::report_signed_until(file, until)?;
                }
                self.last_image = self.last_image.checked_add(1).context("numbering the image")?;
                self.images.insert(self.last_image, Arc::new(image));
                done(self.last_image.into())
            }
            Err(error) if is_optional && failure::kind(&error) == Some(Kind::NotFound) => done(NO_IMAGE.into()),
            Err(error) => Err(error.context(format!("opening {name}"))),
        }
    }

    async fn blob(&mut self, image: u32, digest: &str, size: u64) -> Result<Answer> {
        let digest: Digest = digest.parse()?;
        let blob = self.image(image)?.blob(&digest, size).await?;
        let reports = self.options.failures.clone();
        let (pipe, read_end) = self.pipes.start(move |mut writer| async move {
            let copied = if size <= CHECKED_FIRST_BYTES {
                check_then_copy(blob, &digest, &mut writer, reports).await
            } else {
                copy(blob, &mut writer).await
            };
            (writer, copied)
        })?;
        Ok((Reply::done(size.into(), pipe), Some(read_end)))
    }

    fn image(&self, id: u32) -> Result<Arc<Image>> {
        self.images.get(&id).cloned().with_context(|| no_image(id))
    }

    fn piped(&mut self, value: Value, bytes: impl Into<Bytes>) -> Result<Answer> {
        let (pipe, read_end) = self.pipes.start_with_bytes(bytes)?;
        Ok((Reply::done(value, pipe), Some(read_end)))
    }
}

/// Nothing of a blob that is not what its digest names reaches the client.
async fn check_then_copy(blob: Blob, digest: &Digest, writer: &mut Writer, reports: Option<PathBuf>) -> Result<()> {
    let mut last = Instant::now();
    let mut file = blob
        .checked(|bytes| {
            let Some(reports) = reports.as_ref().filter(|_| last.elapsed() >= REPORT_EVERY) else { return };
            last = Instant::now();
            // How far it is, is no reason to fail.
            let _ = failure::report_received(reports, digest, bytes);
        })
        .await?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).context("reading a checked blob")? {
            0 => return Ok(()),
            bytes => writer.write(&piece[..bytes]).await?,
        }
    }
}

/// A blob that is too large to be held: the client sees the last of it only if it is what its digest names.
async fn copy(mut blob: Blob, writer: &mut Writer) -> Result<()> {
    while let Some(piece) = blob.next().await? {
        writer.write(&piece).await?;
    }
    Ok(())
}

fn done(value: Value) -> Result<Answer> {
    Ok((Reply::done(value, 0), None))
}

fn no_image(id: u32) -> String {
    format!("there is no open image {id}")
}

/// Where `name` comes from. A folder's name is made absolute and free of links, as the policy's scopes are.
fn source(options: &Options, config: &Config, name: ImageName) -> Result<(Source, ImageName)> {
    let asked = match name {
        ImageName::Oci { folder, tag } => {
            let folder = Path::new(&folder).canonicalize().with_context(|| format!("opening the folder {folder}"))?;
            let layout = Layout::open(&folder)?;
            let folder = folder.into_os_string().into_string().ok().context("the folder's name is not in UTF-8")?;
            return Ok((Source::Layout(layout), ImageName::Oci { folder, tag }));
        }
        ImageName::Docker(name) => name,
    };
    let mut registries = Vec::new();
    let mut unusable = None;
    for location in config.registries.locations(&asked)? {
        let name = location.name.name();
        let credentials = config.keyring.of(&location.name).cloned();
        let usual = || in_root(&options.root, CERTIFICATES).join(&location.name.host);
        let certificates = options.certificates.clone().unwrap_or_else(usual);
        match Registry::new(
            location,
            credentials,
            &certificates,
            &options.client_keys,
            options.is_unchecked,
            options.idle,
        ) {
            Ok(registry) => registries.push(registry),
            Err(error) => {
                log::warn!("{name} is left out: {error:#}");
                unusable = Some(error.context(name));
            }
        }
    }
    if let (true, Some(error)) = (registries.is_empty(), unusable) {
        return Err(error);
    }
    Ok((Source::Registries(Sources::new(registries, options.attempts)), ImageName::Docker(asked)))
}
