//! Which command, in which container.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::logs::Name;
use crate::clients::cri::RunningContainer;

/// A command to run in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The pod's namespace; None if the node has only one pod of the name.
    #[serde(default)]
    pub namespace: Option<Name>,
    /// The pod.
    pub pod: Name,
    /// The container; None if the pod has only one.
    #[serde(default)]
    pub container: Option<Name>,
    /// Whether the command reads what the client says.
    #[serde(default)]
    pub stdin: bool,
    /// Whether it has a terminal.
    #[serde(default)]
    pub tty: bool,
    /// The program and its arguments. (`command` says in a line of JSON what is asked for.)
    #[serde(rename = "words")]
    pub command: Vec<String>,
}

/// The container that is meant, of those that run in pods of the name.
pub(super) fn choose<'a>(running: &'a [RunningContainer], wanted: &Exec) -> Result<&'a RunningContainer, String> {
    let Exec { namespace, pod, container, .. } = wanted;
    if wanted.command.is_empty() {
        return Err("there is no command to run; write it after --".to_owned());
    }
    let namespace = namespace.as_ref().map(Name::as_str);
    let in_pod: Vec<&RunningContainer> =
        running.iter().filter(|one| namespace.is_none_or(|namespace| one.namespace == namespace)).collect();
    let namespaces: BTreeSet<&str> = in_pod.iter().map(|one| one.namespace.as_str()).collect();
    if namespaces.len() > 1 {
        let all: Vec<String> = namespaces.iter().map(|namespace| format!("{namespace}/{pod}")).collect();
        return Err(format!("{pod} may be several pods; write one of {}", all.join(", ")));
    }
    let container = container.as_ref().map(Name::as_str);
    let found: Vec<&RunningContainer> =
        in_pod.iter().copied().filter(|one| container.is_none_or(|container| one.name == container)).collect();
    let names = || in_pod.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    match (found.as_slice(), container) {
        ([only], _) => Ok(only),
        ([], _) if in_pod.is_empty() => {
            Err(format!("no container of a pod {pod} runs on the node; see ballast status"))
        }
        ([], Some(container)) => Err(format!("no container {container} runs in pod {pod}, only {}", names())),
        ([], None) | ([_, _, ..], _) => Err(format!("pod {pod} has several containers; name one with -c: {}", names())),
    }
}

/// `pod=NAMESPACE/NAME` or `pod=NAME`, `container=NAME`, `stdin=true`, `tty=true`, and a `command=` for each word.
///
/// # Errors
/// In a sentence, if a key is none of these or a value does not fit.
pub fn of_query(query: &str) -> Result<Exec, String> {
    let (mut pod, mut container, mut stdin, mut tty, mut command) = (None, None, false, false, Vec::new());
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        let wrong = |expected: &str| format!("{key}={value} does not fit, expected {expected}");
        let switch = || value.parse::<bool>().map_err(|_| wrong("true or false"));
        match &*key {
            "pod" => pod = Some(pod_of(&value)?),
            "container" => container = Some(Name::try_from(value)?),
            "stdin" => stdin = switch()?,
            "tty" => tty = switch()?,
            "command" => command.push(value),
            _ => return Err(format!("there is no {key:?}, expected one of pod, container, stdin, tty, command")),
        }
    }
    let (namespace, pod) = pod.ok_or("expected pod=NAMESPACE/NAME")?;
    Ok(Exec { namespace, pod, container, stdin, tty, command })
}

/// `POD` or `NAMESPACE/POD`.
///
/// # Errors
/// If these are no names.
pub fn pod_of(text: &str) -> Result<(Option<Name>, Name), String> {
    Ok(match text.split_once('/') {
        Some((namespace, pod)) => (Some(Name::try_from(namespace.to_owned())?), Name::try_from(pod.to_owned())?),
        None => (None, Name::try_from(text.to_owned())?),
    })
}

/// The query that [`of_query`] reads.
pub fn query(exec: &Exec) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let pod = &exec.pod;
    query
        .append_pair("pod", &exec.namespace.as_ref().map_or(pod.to_string(), |namespace| format!("{namespace}/{pod}")));
    if let Some(container) = &exec.container {
        query.append_pair("container", container.as_str());
    }
    append_process(&mut query, exec.stdin, exec.tty, &exec.command);
    query.finish()
}

/// What a command and a shell have in common.
pub(super) fn append_process(
    query: &mut form_urlencoded::Serializer<'_, String>,
    stdin: bool,
    tty: bool,
    command: &[String],
) {
    for (key, is_set) in [("stdin", stdin), ("tty", tty)] {
        if is_set {
            query.append_pair(key, "true");
        }
    }
    for word in command {
        query.append_pair("command", word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(query: &str) -> Exec {
        of_query(query).unwrap()
    }

    #[test]
    fn a_query_is_read_as_it_was_written() {
        for text in [
            "pod=web&command=ls",
            "pod=prod%2Fweb&container=c&stdin=true&tty=true&command=sh&command=-c&command=a+%26+b%0A",
        ] {
            assert_eq!(query(&exec(text)), text);
        }
        let read = exec("pod=prod%2Fweb&command=a+%26+b");
        assert_eq!((read.namespace.unwrap().as_str(), read.command), ("prod", vec!["a & b".to_owned()]));
        for (query, expected) in [
            ("command=ls", "expected pod=NAMESPACE/NAME"),
            ("pod=..%2Fweb", "\"..\" is no name"),
            ("pod=web&tty=yes", "tty=yes does not fit, expected true or false"),
            ("pod=web&user=0", "there is no \"user\", expected one of pod, "),
        ] {
            let message = of_query(query).unwrap_err();
            assert!(message.starts_with(expected), "{query}: {message}");
        }
    }

    #[test]
    fn the_only_container_is_meant_or_the_one_that_is_named() {
        let container = |namespace: &str, name: &str| RunningContainer {
            id: format!("{namespace}-{name}"),
            namespace: namespace.to_owned(),
            pod: "web".to_owned(),
            name: name.to_owned(),
        };
        let one = [container("default", "a")];
        let two = [container("default", "a"), container("default", "b")];
        let others = [container("default", "a"), container("prod", "a")];
        for (running, query, expected) in [
            (&one[..], "pod=web&command=x", "default-a"),
            (&[], "pod=web&command=x", "no container of a pod web runs on the node; see ballast status"),
            (&one, "pod=prod/web&command=x", "no container of a pod web runs on the node; see ballast status"),
            (&two, "pod=web&command=x", "pod web has several containers; name one with -c: a, b"),
            (&two, "pod=web&container=b&command=x", "default-b"),
            (&two, "pod=web&container=c&command=x", "no container c runs in pod web, only a, b"),
            (&others, "pod=web&command=x", "web may be several pods; write one of default/web, prod/web"),
            (&others, "pod=prod/web&command=x", "prod-a"),
            (&one, "pod=web", "there is no command to run; write it after --"),
        ] {
            let chosen = choose(running, &exec(query)).map(|one| one.id.clone());
            assert_eq!(chosen.unwrap_or_else(|why| why), expected, "{query}");
        }
    }
}
