//! A page over HTTP/1.1: the status counts, the body is not read. Redirects are followed within the host (so does the kubelet).

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT},
};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{authority, connect, tls};

/// As many as a browser takes for a mistake (Go: 10).
const MAX_REDIRECTS: usize = 10;

/// Servers log the start of it, and look for it.
const AGENT: &str = "kube-probe/1.34 (ballast)";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get<'a> {
    /// Whether over TLS.
    pub is_https: bool,
    /// An address or a name.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The path, with what follows it.
    pub path: &'a str,
    /// Headers; one named Host says which of a server's sites is asked.
    pub headers: &'a [(String, String)],
}

/// Where a question goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    is_https: bool,
    port: u16,
    path: String,
}

/// The status of the answer, or of the last one within the host.
pub(super) async fn status(get: &Get<'_>) -> Result<u16> {
    let path = if get.path.starts_with('/') { get.path.to_owned() } else { format!("/{}", get.path) };
    let mut place = Place { is_https: get.is_https, port: get.port, path };
    for _ in 0..=MAX_REDIRECTS {
        let (status, headers) = ask(get, &place).await?;
        let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
        match next.and_then(|location| within(get.host, &place, location)) {
            Some(next) => place = next,
            None => return Ok(status),
        }
    }
    bail!("more than {MAX_REDIRECTS} redirects")
}

async fn ask(get: &Get<'_>, place: &Place) -> Result<(u16, HeaderMap)> {
    let request = request(get, place)?;
    let stream = connect(get.host, place.port).await?;
    match place.is_https {
        true => exchange(tls::over(stream, get.host).await?, request).await,
        false => exchange(stream, request).await,
    }
}

fn request(get: &Get<'_>, place: &Place) -> Result<Request<Empty<Bytes>>> {
    let mut request = Request::builder().uri(&place.path).body(Empty::new()).context("the path")?;
    let headers = request.headers_mut();
    let default = if place.is_https { 443 } else { 80 };
    let host = match place.port == default && !get.host.contains(':') {
        true => get.host.to_owned(),
        false => authority(get.host, place.port),
    };
    headers.insert(HOST, HeaderValue::from_str(&host).context("the host")?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut said = Vec::new();
    for (name, value) in get.headers {
        let doing = || format!("the header {name}");
        let key = HeaderName::from_bytes(name.as_bytes()).with_context(doing)?;
        let value = HeaderValue::from_str(value).with_context(doing)?;
        // What is said replaces ours, and what is said twice is there twice.
        if !said.contains(&key) {
            headers.remove(&key);
            said.push(key.clone());
        }
        // An empty one is not sent (the kubelet's way to leave one out).
        if !(value.is_empty() && (key == ACCEPT || key == USER_AGENT)) {
            headers.append(key, value);
        }
    }
    Ok(request)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<(u16, HeaderMap)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("speaking HTTP")?;
    // It is polled as long as it is asked, and dropped, which closes it: no task of its own.
    let asked = sender.send_request(request);
    tokio::pin!(connection, asked);
    let response = tokio::select! {
        biased;
        response = &mut asked => response,
        ended = &mut connection => {
            ended.context("speaking HTTP")?;
            asked.await
        }
    };
    let response = response.context("asking over HTTP")?;
    let (head, _body) = response.into_parts();
    Ok((head.status.as_u16(), head.headers))
}

/// Where `location` leads from `place`, if that is the same host.
fn within(host: &str, place: &Place, location: &str) -> Option<Place> {
    let uri: Uri = location.split('#').next().unwrap_or_default().parse().ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    match (uri.scheme_str(), uri.host()) {
        (None, _) if location.starts_with('/') => Some(Place { path: location.to_owned(), ..place.clone() }),
        (None, _) => {
            let folder =
                place.path.split('?').next().unwrap_or_default().rsplit_once('/').map_or("", |(folder, _)| folder);
            Some(Place { path: format!("{folder}/{location}"), ..place.clone() })
        }
        (Some(scheme @ ("http" | "https")), Some(other)) if other.trim_matches(['[', ']']) == host => {
            let is_https = scheme == "https";
            let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
            Some(Place { is_https, port, path: path.to_owned() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_within_the_host() {
        let place = Place { is_https: false, port: 8080, path: "/app/live?x=1".to_owned() };
        let table = [
            ("/ready?a=b", Some((false, 8080, "/ready?a=b"))),
            ("ready", Some((false, 8080, "/app/ready"))),
            ("https://10.0.0.1/x#y", Some((true, 443, "/x"))),
            ("http://10.0.0.1:81", Some((false, 81, "/"))),
            ("http://10.0.0.2/", None),
            ("https://login.example/", None),
            ("ftp://10.0.0.1/", None),
        ];
        for (location, expected) in table {
            let expected = expected.map(|(is_https, port, path)| Place { is_https, port, path: path.to_owned() });
            assert_eq!(within("10.0.0.1", &place, location), expected, "{location}");
        }
    }

    #[test]
    fn headers_are_as_they_are_said() {
        let said = [("host", "a.example"), ("X-A", "1"), ("x-a", "2"), ("User-Agent", "")];
        let headers = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let get = Get { is_https: false, host: "::1", port: 80, path: "/", headers: &headers };
        let place = Place { is_https: false, port: 80, path: "/".to_owned() };
        let made = request(&get, &place).unwrap();
        let mut shown: Vec<String> =
            made.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        shown.sort();
        assert_eq!(shown, ["accept: */*", "connection: close", "host: a.example", "x-a: 1", "x-a: 2"]);
        let plain = request(&Get { headers: &[], ..get }, &place).unwrap();
        assert_eq!(plain.headers()[HOST], "[::1]:80");
        assert!(
            request(
                &Get {
                    path: "/",
                    headers: &[("a b".to_owned(), String::new())],
                    ..Get { is_https: false, host: "a", port: 1, path: "", headers: &[] }
                },
                &place
            )
            .is_err()
        );
    }
}
