//! One place where images are: a registry that speaks the OCI distribution protocol, and one repository in it.
//! (opencontainers/distribution-spec)

mod challenge;
mod dial;
pub(super) mod download;
mod http;
mod retry;
mod tls;

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use ::http::{
    HeaderMap, HeaderValue, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RANGE},
};
use anyhow::{Context, Error, Result, anyhow};
use bytes::Bytes;
use hyper::body::Incoming;
use serde::Deserialize;

pub(crate) use self::retry::{Backoff, Failure};
use self::{
    challenge::{Challenge, Token, TokenRequest},
    http::{Answer, Http, Origin, RegistryRequest, place},
};
use crate::{
    config::{ClientKeys, Credentials, Location},
    content::manifest,
    failure::{Failed, Kind},
};

/// Answers of token servers, and what registries say when they refuse: some kilobytes.
const MAX_SMALL_BYTES: u64 = 64 * 1024;

/// What is taken of a refusal into the error.
const MAX_REASON_LETTERS: usize = 300;

pub(crate) struct Registry {
    pub(crate) location: Location,
    http: Http,
    credentials: Option<Credentials>,
    /// What it asked for, once it is known. For its own origin alone.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Registry {
    /// `certificates` is a folder as in containers-certs.d(5), `keys` has those in it that we may not read; `is_unchecked` believes every certificate; `idle` is how long the registry may be silent.
    pub(crate) fn new(
        location: Location,
        credentials: Option<Credentials>,
        certificates: &Path,
        keys: &ClientKeys,
        is_unchecked: bool,
        idle: Duration,
    ) -> Result<Self> {
        let tls = tls::config(certificates, keys, is_unchecked)?;
        let home = Origin::of(&uri(&location, "/v2/")?);
        let http = Http::new(home, tls, idle);
        Ok(Self { location, http, credentials, authorization: Mutex::default() })
    }

    /// The manifest called `version` (a tag or a digest), and its media type as declared.
    pub(crate) async fn manifest(&self, version: &str) -> Result<(Bytes, Option<String>), Failure> {
        let accept =
            [manifest::OCI_INDEX, manifest::OCI_IMAGE, manifest::DOCKER_LIST, manifest::DOCKER_IMAGE].join(", ");
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::try_from(accept).context("what to accept")?)]);
        let answer = self.get(&format!("manifests/{version}"), headers).await?;
        let media_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_owned());
        let bytes = self.http.read(answer.into_body(), manifest::MAX_BYTES).await?;
        Ok((bytes, media_type))
    }

    /// The blob's bytes from `start` on, or from its beginning if the registry cannot do that (200, not 206).
    async fn blob(&self, digest: &str, start: u64) -> Result<Response<Incoming>, Failure> {
        let mut headers = HeaderMap::new();
        if start > 0 {
            headers.insert(RANGE, HeaderValue::try_from(format!("bytes={start}-")).context("a range")?);
        }
        self.get(&format!("blobs/{digest}"), headers).await
    }

    async fn get(&self, what: &str, mut headers: HeaderMap) -> Result<Response<Incoming>, Failure> {
        let uri = uri(&self.location, &format!("/v2/{}/{what}", self.location.name.path))?;
        for is_last in [false, true] {
            if let Some(authorization) = self.known(|known| known.clone()) {
                headers.insert(AUTHORIZATION, authorization);
            }
            let answer =
                self.http.ask(RegistryRequest { uri: uri.clone(), headers: headers.clone(), form: None }).await?;
            let Answer { response, uri: from } = answer;
            if response.status() == StatusCode::UNAUTHORIZED && Origin::of(&from) != Origin::of(&uri) {
                // It is not the registry: nobody gave us credentials for it, and whom it names has no claim to any.
                let text =
                    format!("{}, where {} sends us, asks for credentials and gets none", place(&from), place(&uri));
                return Err(unauthorized(text));
            }
            if response.status() == StatusCode::UNAUTHORIZED && !is_last {
                self.authorize(&uri, response.headers()).await?;
                continue;
            }
            return if response.status().is_success() {
                Ok(response)
            } else {
                Err(self.refusal(&from, response).await)
            };
        }
        Err(anyhow!("{} was not answered", place(&uri)).into())
    }

    /// Answers a challenge that the registry's own origin, that of `asked`, has sent.
    async fn authorize(&self, asked: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let host = &self.location.name.host;
        let challenge = Challenge::read(headers).with_context(|| format!("authorisation at {host}"))?;
        let authorization = match (challenge, &self.credentials) {
            (Challenge::Basic, Some(Credentials::Password { user, password })) => challenge::basic(user, password)?,
            (Challenge::Basic, Some(Credentials::IdentityToken(_))) => {
                let text = format!("{host} wants user and password, and an identity token is what there is for it");
                return Err(unauthorized(text));
            }
            (Challenge::Basic, Some(Credentials::Unusable(reason))) => {
                return Err(unauthorized(format!("{host} wants user and password: {reason}")));
            }
            (Challenge::Basic, None) => {
                let name = self.location.name.name();
                let text =
                    format!("{host} wants user and password, and there are none for {name}; give them with --authfile");
                return Err(unauthorized(text));
            }
            (Challenge::Bearer { realm, service, scope }, credentials) => {
                let needed = format!("repository:{}:pull", self.location.name.path);
                let request = TokenRequest::new((&realm, &service, &scope), &needed, credentials.as_ref())?;
                self.token(asked, request).await?
            }
        };
        self.known(|known| *known = Some(authorization));
        Ok(())
    }

    /// The token server may be another than the registry, which names it: Docker's is. It then has to be spoken to over TLS.
    async fn token(&self, asked: &Uri, request: TokenRequest) -> Result<HeaderValue, Failure> {
        let uri: Uri = request.url.parse().context("the registry names a token server that is no URL")?;
        let doing = format!("getting a token from {}", place(&uri));
        if uri.scheme_str() != Some("https") && Origin::of(&uri) != Origin::of(asked) {
            return Err(anyhow!("{doing}: expected https, or the registry itself").into());
        }
        let headers = request.authorization.map(|authorization| (AUTHORIZATION, authorization)).into_iter().collect();
        let answer = self.http.ask(RegistryRequest { uri: uri.clone(), headers, form: request.form }).await?;
        let Answer { response: answer, uri: from } = answer;
        if !answer.status().is_success() {
            return Err(self.refusal(&from, answer).await);
        }
        let body = self.http.read(answer.into_body(), MAX_SMALL_BYTES).await?;
        // What cannot be read is not shown: it may be a token.
        let token: Token =
            serde_json::from_slice(&body).ok().with_context(|| format!("{doing}: the answer has none"))?;
        Ok(token.authorization().context(doing)?)
    }

    /// The sentence for an answer that is none.
    async fn refusal(&self, uri: &Uri, answer: Response<Incoming>) -> Failure {
        let status = answer.status();
        let asked = ballast_client::retry_after(answer.headers(), SystemTime::now());
        let reason = match self.http.read(answer.into_body(), MAX_SMALL_BYTES).await {
            Ok(body) => reason(&body),
            Err(_) => String::new(),
        };
        let error: Error = anyhow!("{} answered {status}{reason}", place(uri));
        if status == StatusCode::NOT_FOUND {
            Failure::NotFound(error)
        } else if retry::is_passing(status) {
            Failure::Passing(error, asked)
        } else if let (StatusCode::UNAUTHORIZED, Some(Credentials::Unusable(reason))) = (status, &self.credentials) {
            unauthorized(format!("{error:#}; {reason}"))
        } else if status == StatusCode::UNAUTHORIZED && self.credentials.is_some() {
            unauthorized(format!("the credentials are not accepted: {error:#}"))
        } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            unauthorized(format!("{error:#}"))
        } else if status == StatusCode::RANGE_NOT_SATISFIABLE {
            // We asked for the rest of a blob by its size in the manifest.
            let text = format!("{error:#}: it has less of it than the manifest says");
            Failure::Final(Failed::new(Kind::Damaged, text).into())
        } else {
            Failure::Final(error)
        }
    }

    fn known<T>(&self, read: impl FnOnce(&mut Option<HeaderValue>) -> T) -> T {
        // Nothing panics while it is held, and a panic ends the process.
        read(&mut self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn uri(location: &Location, path: &str) -> Result<Uri> {
    // Where Docker's registry really is.
    let host = match &*location.name.host {
        "docker.io" => "registry-1.docker.io",
        host => host,
    };
    let scheme = if location.is_plain { "http" } else { "https" };
    Uri::builder().scheme(scheme).authority(host).path_and_query(path).build().context("making a URL")
}

fn unauthorized(text: String) -> Failure {
    Failure::Final(Failed::new(Kind::Unauthorized, text).into())
}

/// What a registry says in a refusal (distribution-spec: error codes), in brackets.
fn reason(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(Refusal { errors }) = serde_json::from_slice(body) else { return String::new() };
    let all: Vec<String> = errors.iter().map(|one| format!("{}: {}", one.code, one.message)).collect();
    let text: String = all.join("; ").chars().filter(|letter| !letter.is_control()).take(MAX_REASON_LETTERS).collect();
    if text.is_empty() { text } else { format!(" ({text})") }
}
