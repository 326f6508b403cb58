//! Why a request failed, as far as a decision depends on it.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use kube::core::Status;
use thiserror::Error as ThisError;

/// What became of a request that was not answered as it was meant.
#[derive(Debug, ThisError)]
pub enum Failure {
    /// No server took the connection, or the one that did broke it.
    #[error("{0}")]
    Unreachable(String),
    /// A server took the request and did not answer in time.
    #[error("{server} did not answer within {} s", .after.as_secs())]
    Late {
        /// Its URL.
        server: String,
        /// How long it had.
        after: Duration,
    },
    /// A server answered that it will not.
    #[error("{0}")]
    Refused(Refusal),
    /// A server answered what this program does not understand.
    #[error("{0}")]
    Unexpected(String),
}

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// A word, as `AlreadyExists`. May be empty.
    pub reason: String,
    /// A sentence. May be empty.
    pub message: String,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, reason, message, retry_after: _ } = self;
        match (message.as_str(), reason.as_str()) {
            ("", "") => write!(formatter, "the API server answered {code}"),
            ("", reason) => write!(formatter, "the API server answered {code} {reason}"),
            (message, _) => write!(formatter, "the API server answered {code}: {message}"),
        }
    }
}

impl Refusal {
    /// Reads an answer that says no. What is no Kubernetes status (a balancer's page) only has its code.
    pub(super) fn read(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let status: Option<Status> = serde_json::from_slice(body).ok();
        let (reason, message, details) =
            status.map(|status| (status.reason, status.message, status.details)).unwrap_or_default();
        let asked = details.filter(|details| details.retry_after_seconds > 0);
        let asked = asked.map(|details| Duration::from_secs(u64::from(details.retry_after_seconds)));
        let retry_after = ballast_client::retry_after(headers, SystemTime::now()).or(asked);
        Self { code: code.as_u16(), reason, message, retry_after }
    }
}

/// What is done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything waits, and is tried again.
    Passing,
    /// 401: who we are is not believed (any more).
    Unknown,
    /// 403: it is not for us to do. Said once.
    Forbidden,
    /// 404: there is no such object, or no such kind of objects.
    Missing,
    /// 409: somebody else was faster, or was there before.
    Conflict,
    /// 410: too old a place in the history.
    Gone,
    /// The request itself is wrong in the server's eyes, and will be again.
    Rejected,
}

impl Failure {
    /// What is to be done.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreachable(_) | Self::Late { .. } | Self::Unexpected(_) => Kind::Passing,
            Self::Refused(refusal) => match refusal.code {
                401 => Kind::Unknown,
                403 => Kind::Forbidden,
                404 => Kind::Missing,
                409 => Kind::Conflict,
                410 => Kind::Gone,
                408 | 429 | 500.. => Kind::Passing,
                _ => Kind::Rejected,
            },
        }
    }

    /// When the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Unreachable(_) | Self::Late { .. } | Self::Unexpected(_) => None,
        }
    }

    /// Whether the object is not there, in the API server's own word: a server without such objects, or one that is none, also says 404.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404 && refusal.reason == "NotFound")
    }

    /// Whether the object was there before: 409 on a creation.
    pub fn is_there_already(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 409 && refusal.reason == "AlreadyExists")
    }
}

/// An error with all its reasons, in one line, each said once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(reason) = next {
        let said = reason.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = reason.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_remedy() {
        let table = [
            (400, Kind::Rejected),
            (401, Kind::Unknown),
            (403, Kind::Forbidden),
            (404, Kind::Missing),
            (409, Kind::Conflict),
            (410, Kind::Gone),
            (422, Kind::Rejected),
            (429, Kind::Passing),
            (500, Kind::Passing),
            (503, Kind::Passing),
        ];
        for (code, expected) in table {
            let refusal = Refusal { code, reason: String::new(), message: String::new(), retry_after: None };
            assert_eq!(Failure::Refused(refusal).kind(), expected, "{code}");
        }
    }

    #[test]
    fn the_server_may_say_when() {
        let status = br#"{"kind":"Status","status":"Failure","reason":"TooManyRequests","code":429,"details":{"retryAfterSeconds":7}}"#;
        let of =
            |headers: &HeaderMap, body: &[u8]| Refusal::read(StatusCode::TOO_MANY_REQUESTS, headers, body).retry_after;
        let header = HeaderMap::from_iter([(http::header::RETRY_AFTER, "3".parse().unwrap())]);
        assert_eq!(of(&header, status), Some(Duration::from_secs(3)));
        assert_eq!(of(&HeaderMap::new(), status), Some(Duration::from_secs(7)));
        assert_eq!(of(&HeaderMap::new(), b"<html>"), None);
    }
}
