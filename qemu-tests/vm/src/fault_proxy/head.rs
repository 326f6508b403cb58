//! HTTP/1.1 heads (RFC 9112), as far as forwarding one request a connection takes: the first line and the headers as they came.

use std::io::{ErrorKind, Read};

use anyhow::{Context, Result, bail};

/// Longer heads than registries and their clients send.
const HEAD_MAX: usize = 64 << 10;

/// The head of a request or of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// `GET /v2/ HTTP/1.1` or `HTTP/1.1 200 OK`
    pub(crate) first: String,
    /// Names as they were sent
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// An answer of our own without a body.
    pub(crate) fn answer(status: u16, headers: &[(&str, &str)]) -> Self {
        let mut head = Self { first: format!("HTTP/1.1 {status} Test"), headers: Vec::new() };
        headers.iter().for_each(|(name, value)| head.set(name, value));
        head.set("Content-Length", "0");
        head
    }

    /// Reads a head; what came behind it is given too. `None` when the other side closed without a word.
    pub(crate) fn read(source: &mut impl Read) -> Result<Option<(Self, Vec<u8>)>> {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 8 << 10]);
        loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return Ok(Some((Self::parse(&bytes[..end])?, rest)));
            }
            if bytes.len() > HEAD_MAX {
                bail!("the head has more than {HEAD_MAX} bytes");
            }
            match source.read(&mut chunk) {
                Ok(0) if bytes.is_empty() => return Ok(None),
                Ok(0) => bail!("the connection ended within a head"),
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("reading a head"),
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).context("a head that is not text")?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').with_context(|| format!("the header {line:?}"))?;
            Ok((name.to_owned(), value.trim().to_owned()))
        };
        Ok(Self { first, headers: lines.map(header).collect::<Result<_>>()? })
    }

    /// The bytes to send.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("{}\r\n{}\r\n", self.first, headers.collect::<String>()).into_bytes()
    }

    /// The value of the header `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Puts the header `name` in place of those of that name.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(one, _)| !one.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Method and path of a request.
    pub(crate) fn request(&self) -> Result<(&str, &str)> {
        let mut words = self.first.split(' ');
        match (words.next(), words.next()) {
            (Some(method), Some(path)) => Ok((method, path)),
            _ => bail!("the request {:?}", self.first),
        }
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> Result<u16> {
        let code = self.first.split(' ').nth(1).and_then(|code| code.parse().ok());
        code.with_context(|| format!("the answer {:?}", self.first))
    }

    /// Where in the whole the body starts: `Content-Range: bytes FIRST-LAST/ALL` of a part, 0 of a whole.
    pub(crate) fn starts_at(&self) -> u64 {
        let range = self.get("content-range").and_then(|value| value.strip_prefix("bytes "));
        range.and_then(|range| range.split_once('-')).and_then(|(first, _)| first.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_written_alike() {
        let mut source = &b"GET /v2/ HTTP/1.1\r\nHost: a\r\nrange: bytes=5-\r\n\r\nbody"[..];
        let (mut head, rest) = Head::read(&mut source).unwrap().unwrap();
        assert_eq!(
            (head.request().unwrap(), head.get("Range"), &rest[..]),
            (("GET", "/v2/"), Some("bytes=5-"), &b"body"[..])
        );
        head.set("HOST", "b");
        assert_eq!(head.bytes(), b"GET /v2/ HTTP/1.1\r\nrange: bytes=5-\r\nHOST: b\r\n\r\n");
        assert!(Head::read(&mut &b""[..]).unwrap().is_none());
        assert!(Head::read(&mut &b"GET"[..]).is_err());
    }

    #[test]
    fn a_part_reports_where_it_starts() {
        let mut head = Head::answer(206, &[("Content-Range", "bytes 100-199/200")]);
        assert_eq!((head.status().unwrap(), head.starts_at()), (206, 100));
        head.headers.clear();
        assert_eq!(head.starts_at(), 0);
    }
}
