//! spec.containers\[\].lifecycle, and what hooks and probes have in common: commands and requests.

use std::time::Duration;

use super::{
    expand::{self, Budget},
    names,
    reader::Fields,
};
use crate::pods::{
    model::Port,
    probes::model::{Hook, HttpGet, Lifecycle},
};

/// A day: longer is a mistake.
const LONGEST_SLEEP_SECS: u64 = 24 * 3600;

const SCHEMES: [(&str, bool); 4] = [("HTTP", false), ("HTTPS", true), ("http", false), ("https", true)];

/// What a command or a request may refer to.
pub(super) struct Inside<'a> {
    /// The container's environment.
    pub(super) env: &'a [(String, String)],
    /// Its ports, some of which have names.
    pub(super) ports: &'a [Port],
    /// What the pods of the file may still take.
    pub(super) budget: &'a Budget,
}

/// What is done at the ends of the container's life.
pub(super) fn lifecycle(mut fields: Fields<'_>, inside: &Inside<'_>) -> Lifecycle {
    let lifecycle = Lifecycle {
        post_start: fields.fields("postStart").and_then(|one| hook(one, inside)),
        pre_stop: fields.fields("preStop").and_then(|one| hook(one, inside)),
    };
    fields.finish();
    lifecycle
}

fn hook(mut fields: Fields<'_>, inside: &Inside<'_>) -> Option<Hook> {
    let exec = fields.fields("exec");
    let http = fields.fields("httpGet");
    let sleep = fields.fields("sleep");
    if let Some(tcp) = fields.fields("tcpSocket") {
        tcp.refuse_at(tcp.line(), "", "is possible in probes only (Kubernetes takes it here and does nothing)");
    }
    let count = [exec.is_some(), http.is_some(), sleep.is_some()].into_iter().filter(|one| *one).count();
    if count != 1 && !fields.has("tcpSocket") {
        fields.refuse_at(fields.line(), "", "expected one of exec, httpGet, sleep");
    }
    let exec = exec.and_then(|exec| command(exec, inside)).map(|command| Hook::Exec { command });
    let http = http.and_then(|http| http_get(http, inside)).map(Hook::Http);
    let sleep = sleep.and_then(|mut sleep| {
        let secs = sleep.number("seconds", LONGEST_SLEEP_SECS);
        if secs.is_none() {
            sleep.refuse_at(sleep.line(), "", "the field `seconds` is missing");
        }
        sleep.finish();
        Some(Hook::Sleep { time: Duration::from_secs(secs?) })
    });
    fields.finish();
    exec.or(http).or(sleep)
}

/// exec: its command, in which `$(NAME)` is what the manifest says of it.
pub(super) fn command(mut fields: Fields<'_>, inside: &Inside<'_>) -> Option<Vec<String>> {
    // What is known only when the container is made stays as it is written (so does the kubelet).
    let env: Vec<(String, String)> = inside.env.iter().filter(|(_, value)| !value.contains('\0')).cloned().collect();
    let words = expand::words(&mut fields, "command", &env, inside.budget);
    if words.is_empty() {
        fields.refuse_at(fields.line(), "command", "expected a program and its arguments");
    }
    fields.finish();
    (!words.is_empty()).then_some(words)
}

/// httpGet.
pub(super) fn http_get(mut fields: Fields<'_>, inside: &Inside<'_>) -> Option<HttpGet> {
    let is_https = fields.word("scheme", &SCHEMES).unwrap_or_default();
    let host = fields.text("host").map(|host| host.text.to_owned()).filter(|host| !host.is_empty());
    let path = fields.text("path");
    if let Some(path) = path {
        let is_path = path.text.chars().all(|letter| letter.is_ascii_graphic());
        fields.require(is_path, path, "path", "expected a path of a URL, with %20 for a blank");
    }
    let port = port(&mut fields, inside);
    let mut headers = Vec::new();
    for mut header in fields.all("httpHeaders") {
        let name = header.need("name");
        if let Some(name) = name {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_name = !name.text.is_empty() && name.text.bytes().all(is_letter);
            header.require(is_name, name, "name", "expected the name of a header");
        }
        let value = header.text("value");
        if let Some(value) = value {
            header.require(!value.text.contains(char::is_control), value, "value", "expected one line");
        }
        header.finish();
        headers.extend(name.map(|name| (name.text.to_owned(), value.map_or("", |value| value.text).to_owned())));
    }
    fields.finish();
    let path = path.map_or("/", |path| path.text).to_owned();
    Some(HttpGet { is_https, host, port: port?, path, headers })
}

/// A port by its number, or by the name that the container gives it.
pub(super) fn port(fields: &mut Fields<'_>, inside: &Inside<'_>) -> Option<u16> {
    let said = fields.need("port")?;
    let is_it = |port: &&Port| port.name.as_deref() == Some(said.text);
    let named = inside.ports.iter().find(is_it).map(|port| port.number);
    let port = said.text.parse().ok().or(named).filter(|port| *port > 0);
    if port.is_none() {
        let message = match names::is_label(said.text) && said.text.contains(|letter: char| letter.is_ascii_lowercase())
        {
            true => format!("`{}` is none of the names in the container's ports", said.text),
            false => "expected a port's number, or its name in the container's ports".to_owned(),
        };
        fields.refuse_at(said.line, "port", &message);
    }
    port
}
