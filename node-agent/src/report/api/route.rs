//! How requests and replies look in HTTP, in both directions: the agent reads what the client writes.

use anyhow::{Context, Result};
use http::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use super::table::paths;
use crate::report::{
    exec::{wanted, wanted_shell},
    inspect::{Inspection, Subject},
    logs,
    socket::{Reply, Request},
};

/// A request as HTTP carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `GET`, or `POST` for what changes something.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// JSON.
    pub body: Option<Vec<u8>>,
}

/// Why a request is not answered: a status and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What is wrong and what to do.
    pub message: String,
}

impl Refusal {
    /// `message` with the status `status`.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

const STATUS: &str = "/v1/status";
const RELEASES: &str = "/v1/releases";
const SETTINGS: &str = "/v1/settings";
const DOCUMENT: &str = "/v1/settings/document";
const METRICS: &str = "/v1/metrics";
const IMAGES: &str = "/v1/images";
const DOCTOR: &str = "/v1/doctor";
const LOGS: &str = "/v1/logs";
const EXEC: &str = "/v1/exec";
const SHELL: &str = "/v1/shell";
const SUPPORT_BUNDLE: &str = "/v1/support-bundle";
const PROCESSES: &str = "/v1/processes";
const NETWORK: &str = "/v1/network";
const DISKS: &str = "/v1/disks";
const RESET: &str = "/v1/reset";
const OPERATIONS: &str = "/v1/operations";
const POWER: &str = "/v1/power";

/// `request` as HTTP carries it.
///
/// # Errors
/// If it cannot be encoded.
pub fn encode(request: &Request) -> Result<Call> {
    let get = |target: &str| Ok(Call { method: Method::GET, target: target.to_owned(), body: None });
    match request {
        Request::Status {} => get(STATUS),
        Request::Releases {} => get(RELEASES),
        Request::Settings {} => get(SETTINGS),
        Request::Document {} => get(DOCUMENT),
        Request::Metrics {} => get(METRICS),
        Request::Images {} => get(IMAGES),
        Request::Doctor {} => get(DOCTOR),
        Request::SupportBundle {} => get(SUPPORT_BUNDLE),
        Request::Inspect { subject: Subject::Processes } => get(PROCESSES),
        Request::Inspect { subject: Subject::Network } => get(NETWORK),
        Request::Inspect { subject: Subject::Disks } => get(DISKS),
        Request::Logs(wanted) => get(&format!("{LOGS}?{}", logs::query(wanted))),
        // Its body is what the client says.
        Request::Exec(exec) => {
            Ok(Call { method: Method::POST, target: format!("{EXEC}?{}", wanted::query(exec)), body: None })
        }
        Request::Shell(shell) => {
            Ok(Call { method: Method::POST, target: format!("{SHELL}?{}", wanted_shell::query(shell)), body: None })
        }
        Request::Power(order) => post(POWER, order),
        Request::Reset { operation } => post(RESET, operation),
        Request::Image { operation } => post(IMAGES, operation),
        Request::Run { operation } => post(OPERATIONS, operation),
        Request::Change { operation } => post(SETTINGS, operation),
    }
}

fn post(target: &str, body: &impl Serialize) -> Result<Call> {
    let body = serde_json::to_vec(body).context("encoding the request")?;
    Ok(Call { method: Method::POST, target: target.to_owned(), body: Some(body) })
}

/// What is asked for.
///
/// # Errors
/// If there is no such path, it takes no such method, or the body does not fit.
pub fn decode(method: &Method, path: &str, query: Option<&str>, body: &[u8]) -> Result<Request, Refusal> {
    let request = match (method, path) {
        (&Method::GET, STATUS) => Request::Status {},
        (&Method::GET, RELEASES) => Request::Releases {},
        (&Method::GET, SETTINGS) => Request::Settings {},
        (&Method::GET, DOCUMENT) => Request::Document {},
        (&Method::GET, METRICS) => Request::Metrics {},
        (&Method::GET, IMAGES) => Request::Images {},
        (&Method::GET, DOCTOR) => Request::Doctor {},
        (&Method::GET, SUPPORT_BUNDLE) => Request::SupportBundle {},
        (&Method::GET, PROCESSES) => Request::Inspect { subject: Subject::Processes },
        (&Method::GET, NETWORK) => Request::Inspect { subject: Subject::Network },
        (&Method::GET, DISKS) => Request::Inspect { subject: Subject::Disks },
        (&Method::GET, LOGS) => {
            let wanted = logs::of_query(query.unwrap_or_default());
            return wanted.map(Request::Logs).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why));
        }
        (&Method::POST, EXEC) => {
            let wanted = wanted::of_query(query.unwrap_or_default());
            return wanted.map(Request::Exec).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why));
        }
        (&Method::POST, SHELL) => {
            let wanted = wanted_shell::of_query(query.unwrap_or_default());
            return wanted.map(Request::Shell).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why));
        }
        (&Method::POST, POWER) => Request::Power(json(body)?),
        (&Method::POST, IMAGES) => Request::Image { operation: json(body)? },
        (&Method::POST, RESET) => Request::Reset { operation: json(body)? },
        (&Method::POST, OPERATIONS) => Request::Run { operation: json(body)? },
        (&Method::POST, SETTINGS) => Request::Change { operation: json(body)? },
        (_, path) if paths().contains(&path) => {
            return Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("{path} does not take {method}; GET reads, POST changes"),
            ));
        }
        (_, path) => {
            let message = format!("there is no {path:?}; expected one of {}", paths().join(", "));
            return Err(Refusal::new(StatusCode::NOT_FOUND, message));
        }
    };
    match query {
        Some(query) if !query.is_empty() => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, format!("{path} takes no query, and this is {query:?}")))
        }
        Some(_) | None => Ok(request),
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("the body is not what this path takes: {error}"))
    })
}

/// Whether the body is a stream of what the client says, in place of the request itself.
pub fn has_inputs(path: &str) -> bool {
    path == EXEC || path == SHELL
}

/// Whether the answer is a line for each reply, the last of which is the end.
pub fn is_stream(request: &Request) -> bool {
    match request {
        Request::Status {}
        | Request::Releases {}
        | Request::Settings {}
        | Request::Document {}
        | Request::Metrics {}
        | Request::Images {}
        | Request::Doctor {}
        | Request::Inspect { .. }
        | Request::Reset { .. } => false,
        Request::Run { .. }
        | Request::Power(_)
        | Request::Change { .. }
        | Request::Logs(_)
        | Request::Exec(_)
        | Request::Shell(_)
        | Request::Image { .. }
        | Request::SupportBundle {} => true,
    }
}

/// The body for a reply that is the whole answer: what a program wants of it, without the word that says what it is. None for a reply
/// that is part of a stream.
///
/// # Errors
/// If it cannot be encoded.
pub fn body(reply: &Reply) -> Result<Option<String>> {
    let body = match reply {
        Reply::Status(status) => serde_json::to_string(status),
        Reply::Releases(releases) => serde_json::to_string(releases),
        Reply::Settings(shown) => serde_json::to_string(shown),
        Reply::Images(images) => serde_json::to_string(images),
        Reply::Inspected(Inspection::Processes(processes)) => serde_json::to_string(processes),
        Reply::Inspected(Inspection::Network(network)) => serde_json::to_string(network),
        Reply::Inspected(Inspection::Disks(disks)) => serde_json::to_string(disks),
        Reply::Findings(findings) => serde_json::to_string(findings),
        // How it ended has its own word, as in a stream.
        Reply::Done(_) | Reply::Failed(_) => serde_json::to_string(reply),
        Reply::Text(text) => return Ok(Some(text.clone())),
        Reply::Progress(_)
        | Reply::Working {}
        | Reply::Planned(_)
        | Reply::Changed(_)
        | Reply::Unchanged(_)
        | Reply::Line(_)
        | Reply::Stdout(_)
        | Reply::Stderr(_)
        | Reply::Exited(_)
        | Reply::End {}
        | Reply::Error(_) => return Ok(None),
    };
    body.map(Some).context("encoding the answer")
}

/// The reply to `request` whose answer has the body `text`.
///
/// # Errors
/// If it is another answer.
pub fn reply(request: &Request, text: &str) -> Result<Reply> {
    let doing = "reading the node's answer";
    Ok(match request {
        Request::Status {} => Reply::Status(serde_json::from_str(text).context(doing)?),
        Request::Releases {} => Reply::Releases(serde_json::from_str(text).context(doing)?),
        Request::Settings {} => Reply::Settings(serde_json::from_str(text).context(doing)?),
        Request::Document {} | Request::Metrics {} => Reply::Text(text.to_owned()),
        Request::Images {} => Reply::Images(serde_json::from_str(text).context(doing)?),
        Request::Doctor {} => Reply::Findings(serde_json::from_str(text).context(doing)?),
        Request::Inspect { subject } => Reply::Inspected(inspection(*subject, text).context(doing)?),
        Request::Power(_)
        | Request::Run { .. }
        | Request::Change { .. }
        | Request::Logs(_)
        | Request::Exec(_)
        | Request::Shell(_)
        | Request::Image { .. }
        | Request::Reset { .. }
        | Request::SupportBundle {} => serde_json::from_str(text).context(doing)?,
    })
}

fn inspection(subject: Subject, text: &str) -> serde_json::Result<Inspection> {
    Ok(match subject {
        Subject::Processes => Inspection::Processes(serde_json::from_str(text)?),
        Subject::Network => Inspection::Network(serde_json::from_str(text)?),
        Subject::Disks => Inspection::Disks(serde_json::from_str(text)?),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        power::model::{Action, Order},
        report::{
            images::ImageCommand,
            releases::Releases,
            reset::{Keep, Reset},
            status::Status,
        },
        settings::model as settings,
        update::model::{Command, Target},
    };

    /// One of each kind.
    pub(in crate::report::api) fn all() -> Vec<Request> {
        vec![
            Request::Status {},
            Request::Releases {},
            Request::Settings {},
            Request::Document {},
            Request::Metrics {},
            Request::Images {},
            Request::Doctor {},
            Request::SupportBundle {},
            Request::Reset { operation: Reset::Order { keep: vec![Keep::Identity] } },
            Request::Image { operation: ImageCommand::Pull { image: "docker.io/a:1".to_owned() } },
            Request::Image { operation: ImageCommand::Collect {} },
            Request::Inspect { subject: Subject::Processes },
            Request::Inspect { subject: Subject::Network },
            Request::Inspect { subject: Subject::Disks },
            Request::Logs(logs::of_query("pod=default/web&follow=true").unwrap()),
            Request::Exec(wanted::of_query("pod=web&tty=true&command=sh").unwrap()),
            Request::Shell(wanted_shell::of_query("image=r%2Ft%3A1&tty=true").unwrap()),
            Request::Power(Order { in_secs: Some(600), drain: true, ..Order::now(Action::Off, true) }),
            Request::Power(Order::now(Action::Cancel, false)),
            Request::Run { operation: Command::Pin(Target { release: "20261121.1".to_owned() }) },
            Request::Change { operation: settings::Command::Confirm },
        ]
    }

    #[test]
    fn what_the_client_writes_the_agent_reads() {
        for request in all() {
            let call = encode(&request).unwrap();
            let (path, query) =
                call.target.split_once('?').map_or((&*call.target, None), |(path, query)| (path, Some(query)));
            let read = decode(&call.method, path, query, call.body.as_deref().unwrap_or_default());
            assert_eq!(read, Ok(request.clone()), "{call:?}");
            // What only looks is a GET.
            let changes = matches!(
                request,
                Request::Run { .. }
                    | Request::Change { .. }
                    | Request::Power(_)
                    | Request::Image { .. }
                    | Request::Reset { .. }
                    | Request::Exec(_)
                    | Request::Shell(_)
            );
            assert_eq!(call.method == Method::POST, changes, "{call:?}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_status_and_a_sentence() {
        for (method, path, query, body, status, sentence) in [
            (Method::GET, "/", None, "", 404, "there is no \"/\"; expected one of /v1/status, "),
            (Method::GET, "/v2/status", None, "", 404, "there is no \"/v2/status\""),
            (Method::GET, "/v1/status/", None, "", 404, "there is no \"/v1/status/\""),
            (Method::POST, "/v1/status", None, "", 405, "/v1/status does not take POST"),
            (Method::DELETE, "/v1/operations", None, "", 405, "/v1/operations does not take DELETE"),
            (Method::GET, "/v1/status", Some("a=b"), "", 400, "/v1/status takes no query"),
            (Method::GET, "/v1/logs", Some("unit=-x"), "", 400, "\"-x\" is no name of a unit"),
            (Method::POST, "/v1/power", None, "{\"action\":\"explode\"}", 400, "the body is not what this path takes"),
            (Method::POST, "/v1/operations", None, "", 400, "the body is not what this path takes: EOF"),
            (
                Method::POST,
                "/v1/operations",
                None,
                "{\"reboot\":{}}",
                400,
                "the body is not what this path takes: unknown variant",
            ),
        ] {
            let refusal = decode(&method, path, query, body.as_bytes()).unwrap_err();
            assert!(refusal.status == status && refusal.message.starts_with(sentence), "{method} {path}: {refusal:?}");
        }
    }

    #[test]
    fn an_answer_is_what_a_program_wants() {
        for (request, whole) in [
            (Request::Status {}, Reply::Status(Box::new(Status { ready: true, ..Status::default() }))),
            (Request::Releases {}, Reply::Releases(Releases::default())),
            (Request::Settings {}, Reply::Settings(Box::default())),
            (Request::Metrics {}, Reply::Text("a 1\n".to_owned())),
            (Request::Images {}, Reply::Images(Vec::new())),
            (Request::Doctor {}, Reply::Findings(Vec::new())),
            (Request::Inspect { subject: Subject::Network }, Reply::Inspected(Inspection::Network(Default::default()))),
            (Request::Inspect { subject: Subject::Disks }, Reply::Inspected(Inspection::Disks(Default::default()))),
            (Request::Reset { operation: Reset::Cancel {} }, Reply::Done(Default::default())),
        ] {
            let text = body(&whole).unwrap().unwrap();
            assert_eq!(reply(&request, &text).unwrap(), whole);
            assert!(!is_stream(&request));
        }
        assert!(body(&Reply::Working {}).unwrap().is_none());
        assert!(reply(&Request::Status {}, "[]").is_err());
    }
}
