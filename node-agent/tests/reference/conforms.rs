//! What the agent really writes conforms to the document: a small part of JSON Schema, as much as the document uses.

use ballast::{
    power::model::{Action, Order},
    report::{
        doctor::Finding,
        exec::{Input, Piece},
        images::ImageCommand,
        releases::{Operation, Releases},
        reset::{Keep, Reset},
        socket::{Image, Reply},
        status::{Api, Status},
    },
    settings::model as settings,
    update::model::{Command, Outcome, Phase, Progress, Target, Upgrade},
};
use serde_json::{Value, json};

/// Why `value` is not as `schema` says; None: it is.
fn breach(value: &Value, schema: &Value, document: &Value) -> Option<String> {
    if let Some(to) = schema["$ref"].as_str() {
        return breach(value, document.pointer(&to[1..])?, document);
    }
    for all in [&schema["oneOf"], &schema["anyOf"]] {
        if let Some(all) = all.as_array() {
            let fits = all.iter().filter(|one| breach(value, one, document).is_none()).count();
            return (fits == 0).then(|| format!("{value} is none of {} kinds", all.len()));
        }
    }
    if schema.get("const").is_some_and(|word| word != value) {
        return Some(format!("{value} is not {}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return Some(format!("{value} is none of {}", schema["enum"]));
    }
    let is_right = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !is_right {
        return Some(format!("{value} is no {}", schema["type"]));
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() {
            return Some(format!("{key} is missing in {value}"));
        }
    }
    if let Some(items) = value.as_array() {
        return items.iter().find_map(|item| breach(item, &schema["items"], document));
    }
    let properties = schema["properties"].as_object();
    value.as_object().into_iter().flatten().find_map(|(key, value)| match properties.and_then(|all| all.get(key)) {
        Some(schema) => breach(value, schema, document),
        // What is not described is no part of an interface.
        None if schema["additionalProperties"].is_object() => breach(value, &schema["additionalProperties"], document),
        None => Some(format!("{key} is not described")),
    })
}

/// One or more values of each kind of type, by its name in the document.
fn examples() -> Vec<(&'static str, Value)> {
    let of = |value: serde_json::Result<Value>| value.unwrap();
    let going = ballast_types::GoingDown {
        action: "reboot".to_owned(),
        phase: "scheduled".to_owned(),
        until_s: Some(1),
        left_s: None,
        drain: true,
        message: "m".to_owned(),
    };
    let api = Api { address: "a".to_owned(), fingerprint: "f".to_owned() };
    let status = Status { api: Some(api), going_down: Some(going), ..Status::default() };
    let operation = Operation { command: "upgrade".to_owned(), progress: Progress::default() };
    let releases = Releases { operation: Some(operation), ..Releases::default() };
    let edit = settings::Edit::Set { key: "hostname".to_owned(), value: "n".to_owned() };
    let change = settings::Command::Change(settings::Change { edit, dry_run: true, try_secs: Some(5) });
    let image = Image { id: "i".to_owned(), names: vec!["n".to_owned()], size_bytes: 1 };
    let finding = Finding { check: "c".to_owned(), problem: None, why: None, mend: Some("m".to_owned()) };
    let order = Order { in_secs: Some(600), drain: true, ..Order::now(Action::Off, true) };
    let progress = Progress { phase: Phase::Fetch, image: Some("i".to_owned()), ..Progress::default() };
    vec![
        ("Status", of(serde_json::to_value(Status::default()))),
        ("Status", of(serde_json::to_value(&status))),
        ("Releases", of(serde_json::to_value(&releases))),
        ("Shown", of(serde_json::to_value(settings::Shown::default()))),
        ("SettingsCommand", of(serde_json::to_value(change))),
        ("SettingsCommand", of(serde_json::to_value(settings::Command::Confirm))),
        ("Command", of(serde_json::to_value(Command::Upgrade(Upgrade::default())))),
        ("Command", of(serde_json::to_value(Command::Rollback { reboot: true }))),
        ("Command", of(serde_json::to_value(Command::Pin(Target { release: "r".to_owned() })))),
        ("Command", of(serde_json::to_value(Command::Collect))),
        ("ImageCommand", of(serde_json::to_value(ImageCommand::Pull { image: "i".to_owned() }))),
        ("ImageCommand", of(serde_json::to_value(ImageCommand::Collect {}))),
        ("Reset", of(serde_json::to_value(Reset::Order { keep: vec![Keep::Identity] }))),
        ("Order", of(serde_json::to_value(order))),
        ("Order", of(serde_json::to_value(Order::now(Action::Cancel, false)))),
        ("Input", of(serde_json::to_value(Input::Size { columns: 80, rows: 24 }))),
        ("Input", of(serde_json::to_value(Input::Data(Piece(vec![1]))))),
        ("Image", of(serde_json::to_value(image))),
        ("Finding", of(serde_json::to_value(finding))),
        ("Reply", of(serde_json::to_value(Reply::Progress(progress)))),
        ("Reply", of(serde_json::to_value(Reply::Done(Outcome::default())))),
        ("Reply", of(serde_json::to_value(Reply::Stdout(Piece(vec![1]))))),
        ("Reply", of(serde_json::to_value(Reply::Exited(7)))),
        ("Reply", of(serde_json::to_value(Reply::Changed(settings::Outcome::default())))),
        ("Reply", of(serde_json::to_value(Reply::End {}))),
    ]
}

/// Panics with what does not conform.
pub(crate) fn check(document: &Value) {
    for (name, value) in examples() {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        if let Some(why) = breach(&value, &schema, document) {
            panic!("{name}: {why}\n{value}");
        }
    }
}

#[test]
fn what_does_not_conform_is_found() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": "integer" }, "b": { "anyOf": [{ "enum": ["x"] }, { "type": "null" }] },
    } });
    for (value, expected) in [
        (json!({ "a": 1 }), None),
        (json!({ "a": 1, "b": "x" }), None),
        (json!({ "a": 1, "b": null }), None),
        (json!({}), Some("a is missing")),
        (json!({ "a": "1" }), Some("\"1\" is no \"integer\"")),
        (json!({ "a": 1, "b": "y" }), Some("\"y\" is none of 2 kinds")),
        (json!({ "a": 1, "c": 1 }), Some("c is not described")),
        (json!([]), Some("[] is no \"object\"")),
    ] {
        let found = breach(&value, &schema, &Value::Null);
        assert_eq!(found.is_some(), expected.is_some(), "{value}: {found:?}");
        assert!(expected.is_none_or(|expected| found.unwrap().starts_with(expected)), "{value}");
    }
}
