//! One request and its answer over HTTP: redirects followed, every wait bounded, bodies read up to a limit.

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context, Error, anyhow};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION, USER_AGENT},
    uri::Scheme,
};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::{client::legacy, rt::TokioExecutor};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::{dial::Dial, retry::Failure};
use crate::failure::{Failed, Kind};

/// Registries send blobs from elsewhere by one redirect, sometimes two.
const MAX_REDIRECTS: usize = 5;

/// Headers that are for one origin alone.
const SECRET: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

const OURSELVES: &str = concat!("ballast/", env!("CARGO_PKG_VERSION"));

type Client = legacy::Client<HttpsConnector<Dial>, Full<Bytes>>;

pub(super) struct Http {
    /// The origin that all begins at.
    home: Origin,
    client_at_home: Client,
    client_elsewhere: Client,
    dial: Dial,
    idle: Duration,
}

/// How connections are secured.
pub(super) struct Tls {
    /// At the registry's own origin, where a certificate of ours may be shown.
    pub(super) at_home: ClientConfig,
    /// At any other.
    pub(super) elsewhere: ClientConfig,
}

pub(super) struct RegistryRequest {
    pub(super) uri: Uri,
    /// What is secret among them does not leave the origin of `uri`.
    pub(super) headers: HeaderMap,
    /// Sent as a form by POST; else the request is a GET. It does not leave the origin of `uri` either.
    pub(super) form: Option<String>,
}

/// An answer, and who gave it, which after redirects may be another than was asked.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) uri: Uri,
}

/// Scheme, host, port: whom something secret was given for (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Http {
    /// `idle` is how long the other side may be silent.
    pub(super) fn new(home: Origin, tls: Tls, idle: Duration) -> Self {
        let dial = Dial::new();
        let client = |tls: ClientConfig| {
            let connector = HttpsConnector::from((dial.clone(), Arc::new(tls)));
            legacy::Client::builder(TokioExecutor::new()).build(connector)
        };
        Self { client_at_home: client(tls.at_home), client_elsewhere: client(tls.elsewhere), home, dial, idle }
    }

    /// Asks, and gives the answer, whatever its status, once its head is there. Redirects are followed; to another origin
    /// without credentials, and never with a form.
    pub(super) async fn ask(&self, request: RegistryRequest) -> Result<Answer, Failure> {
        let RegistryRequest { mut uri, mut headers, form } = request;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask_once(&uri, headers.clone(), form.clone()).await?;
            let Some(next) = redirect(&response) else { return Ok(Answer { response, uri }) };
            let doing = || format!("following a redirect of {}", place(&uri));
            let next = next.and_then(|next| resolve(&uri, &next)).with_context(doing)?;
            if next.scheme() != Some(&Scheme::HTTPS) && uri.scheme() == Some(&Scheme::HTTPS) {
                return Err(anyhow!("it leads to {}, expected https", place(&next)).context(doing()).into());
            }
            log::debug!("{} sends us to {}", place(&uri), place(&next));
            if Origin::of(&next) != Origin::of(&uri) {
                if form.is_some() {
                    let text = format!("it leads to {}, and what was sent is secret and not for others", place(&next));
                    return Err(anyhow!(text).context(doing()).into());
                }
                // The credentials are for whom they were given.
                for secret in SECRET {
                    headers.remove(secret);
                }
            }
            uri = next;
        }
        Err(anyhow!("{} redirects more than {MAX_REDIRECTS} times", place(&uri)).into())
    }

    async fn ask_once(
        &self,
        uri: &Uri,
        mut headers: HeaderMap,
        form: Option<String>,
    ) -> Result<Response<Incoming>, Failure> {
        headers.insert(USER_AGENT, HeaderValue::from_static(OURSELVES));
        if let Some(authorization) = self.dial.proxy_authorization(uri) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        let method = if form.is_some() { Method::POST } else { Method::GET };
        if form.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        let mut request = Request::new(Full::from(form.unwrap_or_default()));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri.clone(), headers);
        log::debug!("{} {}", request.method(), place(uri));
        let client = if Origin::of(uri) == self.home { &self.client_at_home } else { &self.client_elsewhere };
        match timeout(self.idle, client.request(request)).await {
            Err(_) => Err(self.silence(uri)),
            Ok(Err(error)) => {
                let error = Error::new(error).context(format!("asking {}", place(uri)));
                // A certificate that is not believed will not be better the next time, but the registry cannot be reached.
                Err(if is_distrust(&error) {
                    Failure::Final(Failed::new(Kind::Unreachable, format!("{error:#}")).into())
                } else {
                    Failure::passing(error)
                })
            }
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    /// The next piece of a body; nothing at its end.
    pub(super) async fn next(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        loop {
            match timeout(self.idle, body.frame()).await {
                Err(_) => return Err(Failure::passing(anyhow!("it sent nothing for {} s", self.idle.as_secs_f32()))),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(Failure::passing(Error::new(error).context("the connection broke")));
                }
                // Another kind of frame is a trailer.
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// A whole body of at most `limit` bytes.
    pub(super) async fn read(&self, mut body: Incoming, limit: u64) -> Result<Bytes, Failure> {
        let too_long = || anyhow!("the answer is longer than {limit} bytes, which is more than is taken into memory");
        if body.size_hint().lower() > limit {
            return Err(too_long().into());
        }
        let mut all = BytesMut::new();
        while let Some(bytes) = self.next(&mut body).await? {
            if (all.len() + bytes.len()) as u64 > limit {
                return Err(too_long().into());
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    fn silence(&self, uri: &Uri) -> Failure {
        Failure::passing(anyhow!("{} did not answer within {} s", place(uri), self.idle.as_secs_f32()))
    }
}

/// A URL without its query, which may hold secrets.
pub(super) fn place(uri: &Uri) -> String {
    format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", |host| host.as_str()),
        uri.path()
    )
}

/// Whether the other side's certificate is not believed: it will not be better the next time.
fn is_distrust(error: &Error) -> bool {
    error.chain().any(|mut cause| {
        // Errors of the connection lie in others, in more than one layer.
        while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = inner;
        }
        matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
    })
}

fn redirect(answer: &Response<Incoming>) -> Option<Result<String, Error>> {
    use StatusCode as Is;
    let status = answer.status();
    let is_redirect = [Is::MOVED_PERMANENTLY, Is::FOUND, Is::SEE_OTHER, Is::TEMPORARY_REDIRECT, Is::PERMANENT_REDIRECT]
        .contains(&status);
    let location = || {
        let location = answer.headers().get(LOCATION).context("it does not say where to")?;
        Ok(location.to_str().context("it says where to in letters that no URL has")?.to_owned())
    };
    is_redirect.then(location)
}

/// Where `next`, a URL or an absolute path, leads from `uri`.
fn resolve(uri: &Uri, next: &str) -> Result<Uri, Error> {
    let next: Uri = next.parse().with_context(|| format!("it leads to {next:?}, which is no URL"))?;
    if matches!(next.scheme_str(), Some("https" | "http")) {
        return Ok(next);
    }
    if next.scheme().is_some() || next.authority().is_some() || !next.path().starts_with('/') {
        return Err(anyhow!("it leads to {next}, expected an https URL"));
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = next.into_parts().path_and_query;
    Ok(Uri::from_parts(parts)?)
}

impl Origin {
    pub(super) fn of(uri: &Uri) -> Self {
        let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        };
        let host = uri.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        Self { host, port: uri.port_u16().or(usual), scheme }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_urls_or_paths() {
        let from: Uri = "https://r.example:5000/v2/a?x=1".parse().unwrap();
        let table = [
            ("https://s.example/blob?sig=1", Some("https://s.example/blob?sig=1")),
            ("/blob?sig=1", Some("https://r.example:5000/blob?sig=1")),
            ("ftp://s.example/blob", None),
            ("s.example", None),
            ("", None),
        ];
        for (next, expected) in table {
            let found = resolve(&from, next).map(|uri| uri.to_string());
            assert_eq!(found.ok().as_deref(), expected, "{next}");
        }
        assert_eq!(place(&from), "https://r.example:5000/v2/a");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |uri: &str| Origin::of(&uri.parse().unwrap());
        let same = [
            ("https://r.example:5000/v2", "https://R.example:5000/b?c"),
            ("https://r.example", "https://r.example:443/"),
        ];
        for (one, other) in same {
            assert_eq!(origin(one), origin(other));
        }
        let others = [
            "https://r.example:5001",
            "http://r.example:5000",
            "https://q.example:5000",
            "https://r.example",
            "https://a.r.example:5000",
        ];
        for other in others {
            assert_ne!(origin("https://r.example:5000"), origin(other), "{other}");
        }
    }
}
