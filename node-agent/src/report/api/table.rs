//! What the API has, for those who read of it: the OpenAPI document is made of this (`tests/reference`). A test beside it holds it against what is
//! answered.

use ballast_settings::model::ApiRole;

/// A path with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `GET`, or `POST` for what changes something.
    pub method: &'static str,
    /// As `/v1/status`.
    pub path: &'static str,
    /// The role that it needs at least.
    pub role: ApiRole,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Keys of its query, and what each means.
    pub query: &'static [(&'static str, &'static str)],
    /// The type of its body, as Rust has it; empty: it has none.
    pub body: &'static str,
    /// What is answered.
    pub answer: Answer,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A value of this type, as Rust has it.
    Json(&'static str),
    /// A text of this kind.
    Text(&'static str),
    /// A line of JSON for each reply, the last of which is the end.
    Lines,
}

const GET: &str = "GET";
const POST: &str = "POST";

const fn get(path: &'static str, about: &'static str, answer: &'static str) -> Entry {
    let answer = Answer::Json(answer);
    Entry { method: GET, path, role: ApiRole::Reader, about, query: &[], body: "", answer }
}

const fn change(path: &'static str, role: ApiRole, about: &'static str, body: &'static str) -> Entry {
    Entry { method: POST, path, role, about, query: &[], body, answer: Answer::Lines }
}

const LOGS: &[(&str, &str)] = &[
    ("unit", "the logs of this unit; without unit, kernel, events and pod the whole journal of this boot"),
    ("kernel", "true: the kernel's messages"),
    ("events", "true: what systemd and the agent did, also in boots before"),
    ("pod", "NAMESPACE/NAME: the logs of a container, which needs the role operator"),
    ("container", "which, if the pod has several"),
    ("follow", "true: also those that are still to come"),
    ("since", "none that is older than so many seconds"),
    ("lines", "not more than so many of the last ones"),
    ("previous", "true: of the boot before, or of the container that ran before"),
    ("grep", "only those with this text in them"),
];

const EXEC: &[(&str, &str)] = &[
    ("pod", "NAMESPACE/NAME, or NAME"),
    ("container", "which, if the pod has several"),
    ("stdin", "true: the command reads what the body says"),
    ("tty", "true: the command has a terminal"),
    ("command", "a word of the command; once for each"),
];

const SHELL: &[(&str, &str)] = &[
    ("image", "the toolbox; without it that of the settings"),
    ("secs", "how long it is open at most; without it 1800"),
    ("stdin", "true: the command reads what the body says"),
    ("tty", "true: the command has a terminal"),
    ("command", "a word of the command; once for each; without one bash -l"),
];

/// All of it.
pub const TABLE: [Entry; 19] = [
    get("/v1/status", "The status", "Status"),
    get("/v1/releases", "Releases, and what is being done", "Releases"),
    get("/v1/images", "Images that the container runtime has", "Vec<Image>"),
    get("/v1/doctor", "What was checked, and what mends what is wrong", "Vec<Finding>"),
    get("/v1/processes", "What pods, units and processes take", "Processes"),
    get("/v1/network", "Addresses, routes, name servers, who listens", "Network"),
    get("/v1/disks", "Partitions, how full they are, who uses /var", "Disks"),
    Entry { answer: Answer::Text("text/plain"), ..get("/v1/metrics", "Metrics, in Prometheus' text format", "") },
    Entry {
        role: ApiRole::Operator,
        ..get("/v1/settings", "What holds, with secrets masked, and where it is from", "Shown")
    },
    Entry {
        role: ApiRole::Admin,
        answer: Answer::Text("text/plain"),
        ..get("/v1/settings/document", "What was set on the node, as it was written, with secrets", "")
    },
    Entry {
        query: LOGS,
        answer: Answer::Lines,
        ..get("/v1/logs", "Logs, line by line; closing the connection ends them", "")
    },
    Entry {
        role: ApiRole::Admin,
        answer: Answer::Lines,
        ..get("/v1/support-bundle", "What others need to see what is wrong: parts of a .tar.zst", "")
    },
    change(
        "/v1/operations",
        ApiRole::Operator,
        "Does something with releases; closing the connection cancels it",
        "Command",
    ),
    change("/v1/images", ApiRole::Operator, "Fetches or removes an image", "ImageCommand"),
    change(
        "/v1/settings",
        ApiRole::Operator,
        "Changes settings; keys by which an operator would become more than that, and whole documents, need the role admin",
        "SettingsCommand",
    ),
    change("/v1/power", ApiRole::Operator, "Goes down, at once or later, or not after all", "Order"),
    Entry {
        query: EXEC,
        ..change(
            "/v1/exec",
            ApiRole::Admin,
            "Runs a command in a container; the body is a line of JSON for each input",
            "Input",
        )
    },
    Entry {
        query: SHELL,
        ..change(
            "/v1/shell",
            ApiRole::Admin,
            "Opens a shell with all rights on the node; the body is a line of JSON for each input",
            "Input",
        )
    },
    Entry {
        answer: Answer::Json("Reply"),
        ..change("/v1/reset", ApiRole::Admin, "Has the next boot empty /var, or takes that back", "Reset")
    },
];

/// All paths, for whoever asks for another.
pub(super) fn paths() -> Vec<&'static str> {
    let mut paths: Vec<&str> = TABLE.iter().map(|entry| entry.path).collect();
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|path| seen.insert(*path));
    paths
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        super::{
            rights::needed,
            route::{encode, is_stream, tests::all},
        },
        *,
    };

    #[test]
    fn the_table_is_what_is_answered() {
        let mut seen = BTreeSet::new();
        for request in all() {
            let call = encode(&request).unwrap();
            let (method, path) = (call.method.as_str().to_owned(), call.target.split('?').next().unwrap().to_owned());
            let entry = TABLE.iter().find(|entry| (entry.method, entry.path) == (&*method, &*path));
            let entry = entry.unwrap_or_else(|| panic!("{method} {path} is not in the table"));
            assert_eq!(entry.answer == Answer::Lines, is_stream(&request), "{method} {path}");
            // What a pod writes, and what an edit is about, may need more.
            let may_need_more = ["/v1/logs", "/v1/settings"].contains(&&*path);
            assert!(
                needed(&request) == entry.role || may_need_more && needed(&request) > entry.role,
                "{method} {path}"
            );
            assert_eq!(
                call.body.is_some(),
                !entry.body.is_empty() && !["/v1/exec", "/v1/shell"].contains(&entry.path),
                "{method} {path}"
            );
            assert_eq!(call.target.contains('?'), !entry.query.is_empty(), "{method} {path}");
            seen.insert((method, path));
        }
        assert_eq!(seen.len(), TABLE.len());
        assert_eq!(paths().iter().filter(|path| **path == "/v1/images").count(), 1);
    }
}
