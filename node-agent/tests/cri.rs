//! The messages of the CRI, in the agent and in the fake runtime that it is tested against, are those of Kubernetes: each field has the
//! number and the type that it has in the official definition. What both had wrong would show nowhere else.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{collections::BTreeMap, fs, path::Path};

use syn::{Attribute, Item, ItemStruct, Meta};

/// What a field is: its name, and its type as prost calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    name: String,
    kind: String,
}

/// By number.
type Message = BTreeMap<u32, Field>;

/// The fake's names, where they are others than Kubernetes'. An id is the first field of all these.
const OF_THE_FAKE: [(&str, &[&str]); 12] = [
    ("Condition", &["RuntimeCondition"]),
    ("Conditions", &["RuntimeStatus"]),
    ("SandboxMetadata", &["PodSandboxMetadata"]),
    ("Dns", &["DNSConfig"]),
    ("SandboxConfig", &["PodSandboxConfig"]),
    ("RunSandbox", &["RunPodSandboxRequest"]),
    ("Sandbox", &["PodSandbox"]),
    ("Sandboxes", &["ListPodSandboxResponse"]),
    ("CreateContainer", &["CreateContainerRequest"]),
    ("Containers", &["ListContainersResponse"]),
    ("Images", &["ListImagesResponse"]),
    ("PullImage", &["PullImageRequest"]),
];

/// The agent's names, likewise. A list of which it reads little is read into a message of its own.
const OF_THE_AGENT: [(&str, &str); 7] = [
    ("Candidate", "Container"),
    ("Candidates", "ListContainersResponse"),
    ("DnsConfig", "DNSConfig"),
    ("User", "Container"),
    ("Users", "ListContainersResponse"),
    ("StatsFilter", "ContainerStatsFilter"),
    ("Attributes", "ContainerAttributes"),
];

/// Requests and answers that are but an id.
const IDS: [&str; 9] = [
    "StopPodSandboxRequest",
    "RemovePodSandboxRequest",
    "StartContainerRequest",
    "RemoveContainerRequest",
    "ContainerStatusRequest",
    "ReopenContainerLogRequest",
    "RunPodSandboxResponse",
    "CreateContainerResponse",
    "StopContainerRequest",
];

/// containerd's own, which are not of the CRI.
const OF_CONTAINERD: [&str; 8] =
    ["Any", "StreamName", "Window", "Data", "Transfer", "Destination", "Reference", "Unpack"];

fn official(text: &str) -> BTreeMap<String, Message> {
    // Messages have other messages beside them, and enums also within.
    let enums: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("enum ")?.split([' ', '{']).next()).collect();
    let mut messages = BTreeMap::new();
    for block in text.split("\nmessage ").skip(1) {
        let (name, rest) = block.split_once('{').unwrap();
        messages.insert(name.trim().to_owned(), fields_of(rest, &enums));
    }
    messages
}

/// The fields in what follows a message's first brace, up to its last.
fn fields_of(text: &str, enums: &[&str]) -> Message {
    let (mut depth, mut body) = (1, String::new());
    for letter in text.chars() {
        match letter {
            '{' => {
                depth += 1;
                // What stood before it was a nested enum's name.
                body.truncate(body.rfind([';', '}']).map_or(0, |at| at + 1));
            }
            '}' => depth -= 1,
            letter if depth == 1 => body.push(letter),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let field = |field: &str| {
        let (left, number) = field.trim().split_once('=')?;
        let number = number.split('[').next()?.trim().parse().unwrap();
        let (kind, name) = left.trim().rsplit_once(' ')?;
        Some((number, Field { name: name.to_owned(), kind: as_prost(&kind.replace(", ", ","), enums) }))
    };
    body.split(';').filter_map(field).collect()
}

/// `repeated Mount` → message, repeated
fn as_prost(kind: &str, enums: &[&str]) -> String {
    let (kind, repeated) = kind.strip_prefix("repeated ").map_or((kind, ""), |kind| (kind, " repeated"));
    let kind = match kind.trim() {
        "map<string,string>" => "map",
        plain @ ("string" | "bool" | "bytes" | "int32" | "int64" | "uint32" | "uint64" | "double") => plain,
        name if enums.contains(&name) => "int32",
        _ => "message",
    };
    format!("{kind}{repeated}")
}

/// The messages in a source of ours.
fn ours(file: &str) -> BTreeMap<String, Message> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let parsed = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let structs = parsed.items.iter().filter_map(|item| if let Item::Struct(one) = item { Some(one) } else { None });
    structs.filter(|one| is_message(one)).map(|one| (one.ident.to_string(), fields(one))).collect()
}

fn is_message(one: &ItemStruct) -> bool {
    one.fields.iter().any(|field| field.attrs.iter().any(|attribute| attribute.path().is_ident("prost")))
}

/// All messages of the CRI in the agent, wherever they stand: what containerd has besides is in `transfer.rs` and `tasks.rs`.
fn of_the_agent() -> BTreeMap<String, Message> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/clients/cri");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name != "transfer.rs" && name != "tasks.rs")
        .flat_map(|name| ours(&format!("src/clients/cri/{name}")))
        .collect()
}

fn fields(message: &ItemStruct) -> Message {
    let field = |field: &syn::Field| {
        let (number, kind) = field.attrs.iter().find_map(prost)?;
        let name = field.ident.as_ref()?.to_string();
        Some((number, Field { name: name.trim_start_matches("r#").to_owned(), kind }))
    };
    message.fields.iter().map(|one| field(one).unwrap()).collect()
}

/// `#[prost(string, repeated, tag = "4")]`
fn prost(attribute: &Attribute) -> Option<(u32, String)> {
    let Meta::List(list) = &attribute.meta else { return None };
    if !list.path.is_ident("prost") {
        return None;
    }
    let text = list.tokens.to_string().replace(' ', "");
    let number = text.split("tag=\"").nth(1)?.trim_end_matches('"').parse().ok()?;
    let first = text.split([',', '=']).next()?;
    let kind = if first.ends_with("map") { "map" } else { first };
    let repeated = if text.contains(",repeated") { " repeated" } else { "" };
    Some((number, format!("{kind}{repeated}")))
}

/// What is wrong with `message`, which is to be Kubernetes' `official`.
fn wrong(name: &str, message: &Message, official: &Message, has_its_names: bool) -> Vec<String> {
    let compare = |(number, field): (&u32, &Field)| match official.get(number) {
        Some(right) if right.kind == field.kind && (!has_its_names || right.name == field.name) => None,
        right => Some(format!("{name} has at {number} {field:?}, Kubernetes {right:?}")),
    };
    message.iter().filter_map(compare).collect()
}

#[test]
fn the_agent_and_the_fake_runtime_speak_the_official_cri() {
    let official = official(include_str!("fixtures/cri-v1.proto"));
    assert!(official.len() > 100, "{}", official.len());
    let mut found = Vec::new();
    let agent = of_the_agent();
    for name in ["Mount", "LinuxContainerSecurityContext", "RemoveImageRequest"] {
        assert!(agent.contains_key(name), "{name}");
    }
    for (name, message) in &agent {
        let names: Vec<&str> = match name.as_str() {
            "IdRequest" | "IdResponse" => IDS.to_vec(),
            name => vec![OF_THE_AGENT.iter().find(|(own, _)| *own == name).map_or(name, |(_, name)| name)],
        };
        for name in names {
            let right = official.get(name).unwrap_or_else(|| panic!("Kubernetes has no message {name}"));
            found.extend(wrong(name, message, right, !IDS.contains(&name)));
        }
    }
    let fake = ours("tests/flows/fake/wire.rs");
    for (name, message) in &fake {
        if OF_CONTAINERD.contains(&name.as_str()) {
            continue;
        }
        let others = OF_THE_FAKE.iter().find(|(of_the_fake, _)| of_the_fake == name).map(|(_, names)| *names);
        let names = if name == "Id" { &["StopContainerRequest"][..] } else { others.unwrap_or(&[]) };
        let own = [name.as_str()];
        for name in if names.is_empty() { &own[..] } else { names } {
            let right = official.get(*name).unwrap_or_else(|| panic!("Kubernetes has no message {name}"));
            found.extend(wrong(name, message, right, false));
        }
    }
    assert!(agent.len() > 30 && fake.len() > 20, "{} {}", agent.len(), fake.len());
    assert_eq!(found, [""; 0]);
}

#[test]
fn another_number_or_type_is_found() {
    let text = "\nenum S {\n}\nmessage A {\n  enum T {\n    X = 0;\n  }\n  string name = 1;\n  map<string, string> labels = 2;\n  S state = 3;\n  repeated B more = 4 [deprecated=true];\n  T kind = 6;\n}\n";
    let right = &official(text)["A"];
    let field = |name: &str, kind: &str| Field { name: name.to_owned(), kind: kind.to_owned() };
    let all = [
        (1, field("name", "string")),
        (2, field("labels", "map")),
        (3, field("state", "int32")),
        (4, field("more", "message repeated")),
        (6, field("kind", "int32")),
    ];
    assert_eq!(*right, all.iter().cloned().collect());
    assert_eq!(wrong("A", right, right, true), [""; 0]);
    for (number, other) in [
        (1, field("name", "bool")),
        (2, field("label", "map")),
        (4, field("more", "message")),
        (5, field("x", "string")),
    ] {
        let message: Message = all.iter().cloned().chain([(number, other)]).collect();
        assert_eq!(wrong("A", &message, right, true).len(), 1, "{number}");
    }
}
