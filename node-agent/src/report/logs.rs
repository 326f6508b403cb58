//! Logs that are asked for: of units and the kernel from the journal, of pods from their files. A stream of lines.

use std::{collections::VecDeque, fmt, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::socket::{HEARTBEAT, Reply};
use crate::clients::{host::Host, journal, pod_logs};

/// So many lines with a text in them are kept until the end, not more.
const MOST_KEPT: usize = 10_000;

/// How often a pod's log is looked at for something new.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Which lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Whose.
    pub of: LogsOf,
    /// Also those that are still to come, until the connection is closed.
    #[serde(default)]
    pub follow: bool,
    /// None that is older than so many seconds.
    #[serde(default)]
    pub since_secs: Option<u64>,
    /// Not more than so many of the last ones.
    #[serde(default)]
    pub lines: Option<u32>,
    /// Those of the boot before, or of the container that ran before.
    #[serde(default)]
    pub previous: bool,
    /// Only those that have this text in them.
    #[serde(default)]
    pub grep: Option<String>,
}

/// Whose logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogsOf {
    /// The whole journal of this boot.
    Journal,
    /// The kernel's messages of this boot.
    Kernel,
    /// What systemd and the agent did, in all boots that the journal has.
    Events,
    /// A unit's.
    Unit(Name),
    /// A container's.
    Pod {
        /// Its namespace.
        namespace: Name,
        /// Its pod.
        pod: Name,
        /// Which container; None if the pod has only one.
        #[serde(default)]
        container: Option<Name>,
    },
}

/// The name of a unit, a pod, a namespace or a container: no path, no option, no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@' | b':' | b'\\');
        match (1..=255).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with(['.', '-']) {
            true => Ok(Self(text)),
            false => Err(format!("{text:?} is no name of a unit or a pod")),
        }
    }
}

/// Sends the lines that `wanted` asks for to `client`, and the end. Ends as well when nobody listens any more.
pub async fn send(host: Host, wanted: Logs, client: mpsc::Sender<Reply>) {
    let sent = match &wanted.of {
        LogsOf::Pod { namespace, pod, container } => {
            let container = container.as_ref().map(Name::as_str);
            let found = pod_logs::Place {
                namespace: namespace.as_str().to_owned(),
                pod: pod.as_str().to_owned(),
                container: container.map(str::to_owned),
                previous: wanted.previous,
            };
            of_pod(&host, found, &wanted, &client).await
        }
        LogsOf::Journal | LogsOf::Kernel | LogsOf::Unit(_) | LogsOf::Events => {
            of_journal(&host, &wanted, &client).await
        }
    };
    let end = sent.map_or_else(|error| Reply::Error(format!("{error:#}")), |()| Reply::End {});
    // Nobody may listen any more.
    let _ = client.send(end).await;
}

async fn of_journal(host: &Host, wanted: &Logs, client: &mpsc::Sender<Reply>) -> Result<()> {
    let of = match &wanted.of {
        LogsOf::Kernel => journal::Of::Kernel,
        LogsOf::Unit(name) => journal::Of::Unit(name.as_str()),
        LogsOf::Events => journal::Of::Events,
        LogsOf::Journal | LogsOf::Pod { .. } => journal::Of::All,
    };
    let boot = match (wanted.previous, of) {
        (true, _) => journal::Boot::Before,
        (false, journal::Of::Events) => journal::Boot::All,
        (false, _) => journal::Boot::This,
    };
    let (follow, since_secs) = (wanted.follow && !wanted.previous, wanted.since_secs);
    let mut lines =
        journal::Lines::open(host, &journal::Wanted { of, boot, follow, since_secs, lines: wanted.asked() })?;
    let mut sieve = Sieve::new(wanted);
    loop {
        tokio::select! {
            () = client.closed() => return Ok(()),
            line = timeout(HEARTBEAT, lines.next()) => match line {
                Err(_) => say(client, Reply::Working {}).await,
                Ok(line) => match line? {
                    Some(line) => say_all(client, sieve.take(line)).await,
                    None => {
                        say_all(client, sieve.rest()).await;
                        return Ok(());
                    }
                },
            }
        }
    }
}

async fn of_pod(host: &Host, place: pod_logs::Place, wanted: &Logs, client: &mpsc::Sender<Reply>) -> Result<()> {
    let (lines, since_secs) = (wanted.asked(), wanted.since_secs);
    let mut sieve = Sieve::new(wanted);
    let mut position =
        host.read("looking for the pod's log", move |host| pod_logs::find(host, &place, lines, since_secs)).await?;
    let mut silent = Duration::ZERO;
    while !client.is_closed() {
        let (next, read) = host.read("reading the pod's log", move |_| position.read_on()).await?;
        position = next;
        if read.is_empty() {
            if !wanted.follow || wanted.previous {
                say_all(client, sieve.rest()).await;
                return Ok(());
            }
            sleep(POLL_INTERVAL).await;
            silent += POLL_INTERVAL;
            if silent < HEARTBEAT {
                continue;
            }
            say(client, Reply::Working {}).await;
        }
        silent = Duration::ZERO;
        for line in read {
            say_all(client, sieve.take(line)).await;
        }
    }
    Ok(())
}

async fn say_all(client: &mpsc::Sender<Reply>, lines: impl IntoIterator<Item = String>) {
    for line in lines {
        say(client, Reply::Line(line)).await;
    }
}

impl Logs {
    /// How many lines are read: of those that have a text in them the last ones are known only at the end.
    fn asked(&self) -> Option<u32> {
        self.lines.filter(|_| self.grep.is_none())
    }
}

/// Lines that have a text in them, and of those the last.
struct Sieve<'a> {
    text: Option<&'a str>,
    /// How many are kept until the end; None if each goes on at once.
    keeps: Option<usize>,
    kept: VecDeque<String>,
}

impl<'a> Sieve<'a> {
    fn new(wanted: &'a Logs) -> Self {
        let keeps = wanted.lines.filter(|_| wanted.grep.is_some() && !wanted.follow);
        let keeps = keeps.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX).min(MOST_KEPT));
        Self { text: wanted.grep.as_deref(), keeps, kept: VecDeque::new() }
    }

    /// What goes on of `line` now.
    fn take(&mut self, line: String) -> Option<String> {
        if self.text.is_some_and(|text| !line.contains(text)) {
            return None;
        }
        let Some(keeps) = self.keeps else { return Some(line) };
        self.kept.push_back(line);
        if self.kept.len() > keeps {
            self.kept.pop_front();
        }
        None
    }

    /// What goes on at the end.
    fn rest(&mut self) -> VecDeque<String> {
        std::mem::take(&mut self.kept)
    }
}

/// That nobody listens is seen where the next line is waited for.
async fn say(client: &mpsc::Sender<Reply>, reply: Reply) {
    let _ = client.send(reply).await;
}

/// `unit=NAME`, `kernel=true`, `events=true`, `pod=NAMESPACE/NAME&container=NAME`; `follow=true`, `since=SECONDS`, `lines=NUMBER`,
/// `previous=true`, `grep=TEXT`.
///
/// # Errors
/// In a sentence, if a key is none of these or a value does not fit.
pub fn of_query(query: &str) -> Result<Logs, String> {
    let mut logs =
        Logs { of: LogsOf::Journal, follow: false, since_secs: None, lines: None, previous: false, grep: None };
    let (mut unit, mut pod, mut container, mut kernel, mut events) = (None, None, None, false, false);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        let wrong = |expected: &str| format!("{key}={value} does not fit, expected {expected}");
        let switch = || value.parse::<bool>().map_err(|_| wrong("true or false"));
        match &*key {
            "unit" => unit = Some(Name::try_from(value)?),
            "pod" => {
                let (namespace, name) = value.split_once('/').ok_or_else(|| wrong("NAMESPACE/NAME"))?;
                pod = Some((Name::try_from(namespace.to_owned())?, Name::try_from(name.to_owned())?));
            }
            "container" => container = Some(Name::try_from(value)?),
            "kernel" => kernel = switch()?,
            "events" => events = switch()?,
            "previous" => logs.previous = switch()?,
            "grep" => logs.grep = Some(value),
            "follow" => logs.follow = switch()?,
            "since" => logs.since_secs = Some(value.parse().map_err(|_| wrong("seconds"))?),
            "lines" => logs.lines = Some(value.parse().map_err(|_| wrong("a number"))?),
            _ => {
                return Err(format!(
                    "there is no {key:?}, expected one of unit, kernel, events, pod, container, follow, since, lines, previous, grep"
                ));
            }
        }
    }
    logs.of = match (unit, pod, kernel, events) {
        (None, None, false, false) if container.is_none() => LogsOf::Journal,
        (Some(unit), None, false, false) if container.is_none() => LogsOf::Unit(unit),
        (None, None, true, false) if container.is_none() => LogsOf::Kernel,
        (None, None, false, true) if container.is_none() => LogsOf::Events,
        (None, Some((namespace, pod)), false, false) => LogsOf::Pod { namespace, pod, container },
        (_, _, _, _) => return Err("expected one of unit, kernel, events and pod; container belongs to pod".to_owned()),
    };
    Ok(logs)
}

/// The query that [`of_query`] reads.
pub fn query(logs: &Logs) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    match &logs.of {
        LogsOf::Journal => {}
        LogsOf::Kernel => {
            query.append_pair("kernel", "true");
        }
        LogsOf::Events => {
            query.append_pair("events", "true");
        }
        LogsOf::Unit(name) => {
            query.append_pair("unit", name.as_str());
        }
        LogsOf::Pod { namespace, pod, container } => {
            query.append_pair("pod", &format!("{namespace}/{pod}"));
            if let Some(container) = container {
                query.append_pair("container", container.as_str());
            }
        }
    }
    for (key, is_set) in [("follow", logs.follow), ("previous", logs.previous)] {
        if is_set {
            query.append_pair(key, "true");
        }
    }
    if let Some(text) = &logs.grep {
        query.append_pair("grep", text);
    }
    for (key, value) in [("since", logs.since_secs), ("lines", logs.lines.map(u64::from))] {
        if let Some(value) = value {
            query.append_pair(key, &value.to_string());
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let pod = |container| LogsOf::Pod { namespace: name("default"), pod: name("web"), container };
        for of in [
            LogsOf::Journal,
            LogsOf::Kernel,
            LogsOf::Events,
            LogsOf::Unit(name("systemd-fsck@dev-disk-by\\x2dlabel-VAR.service")),
            pod(None),
            pod(Some(name("c"))),
        ] {
            for (follow, since_secs, lines) in [(false, None, None), (true, Some(60), Some(10))] {
                let grep = lines.map(|_| "a & b=".to_owned());
                let logs = Logs { of: of.clone(), follow, since_secs, lines, previous: follow, grep };
                let written = query(&logs);
                assert_eq!(of_query(&written), Ok(logs), "{written}");
            }
        }
    }

    #[test]
    fn lines_with_a_text_are_the_last_of_their_kind() {
        let sieved = |grep: Option<&str>, lines, follow| {
            let of = LogsOf::Journal;
            let wanted = Logs { of, follow, since_secs: None, lines, previous: false, grep: grep.map(str::to_owned) };
            let mut sieve = Sieve::new(&wanted);
            let mut all: Vec<String> =
                ["a 1", "b", "a 2", "a 3"].into_iter().filter_map(|line| sieve.take(line.to_owned())).collect();
            all.extend(sieve.rest());
            (all.join(","), wanted.asked())
        };
        assert_eq!(sieved(None, Some(2), false), ("a 1,b,a 2,a 3".to_owned(), Some(2)));
        assert_eq!(sieved(Some("a"), None, false), ("a 1,a 2,a 3".to_owned(), None));
        assert_eq!(sieved(Some("a"), Some(2), false), ("a 2,a 3".to_owned(), None));
        assert_eq!(sieved(Some("a"), Some(2), true), ("a 1,a 2,a 3".to_owned(), None));
    }

    #[test]
    fn what_is_no_query_is_named() {
        for (query, expected) in [
            ("units=a", "there is no \"units\""),
            ("unit=../a", "\"../a\" is no name"),
            ("unit=-f", "\"-f\" is no name"),
            ("pod=web", "pod=web does not fit, expected NAMESPACE/NAME"),
            ("pod=a/../b", "\"../b\" is no name"),
            ("pod=a/b%2Fc", "\"b/c\" is no name"),
            ("follow=1", "follow=1 does not fit, expected true or false"),
            ("since=yesterday", "since=yesterday does not fit, expected seconds"),
            ("unit=a&kernel=true", "expected one of unit, kernel, events and pod"),
            ("container=c", "expected one of unit, kernel, events and pod"),
        ] {
            let message = of_query(query).unwrap_err();
            assert!(message.starts_with(expected), "{query}: {message}");
        }
    }

    #[test]
    fn a_name_is_no_path() {
        assert!(serde_json::from_str::<LogsOf>(r#"{"unit":"../../etc"}"#).is_err());
        assert!(serde_json::from_str::<LogsOf>(r#"{"pod":{"namespace":"a","pod":".."}}"#).is_err());
    }
}
