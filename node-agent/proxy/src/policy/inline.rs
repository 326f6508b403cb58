//! A policy that carries its keys, for a proxy that may not read the files which it names.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::model::Policy;

/// `text` with the content of the keys in place of their names, where `read` gives it for the keys of a requirement. A policy that is
/// refused stays as it is: whoever reads it says why.
pub(crate) fn with_keys(text: &str, read: impl Fn(&[&str]) -> Option<Vec<Vec<u8>>>) -> String {
    // As the proxy reads it: of a key that stands there twice, a JSON value would keep one.
    if Policy::parse(text).is_err() {
        return text.to_owned();
    }
    let Ok(mut policy) = serde_json::from_str(text) else { return text.to_owned() };
    fill(&mut policy, &read);
    policy.to_string()
}

fn fill(value: &mut Value, read: &impl Fn(&[&str]) -> Option<Vec<Vec<u8>>>) {
    match value {
        Value::Object(object) => {
            put(object, "keyPath", "keyData", read);
            put(object, "keyPaths", "keyDatas", read);
            object.values_mut().for_each(|value| fill(value, read));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, read)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn put(object: &mut Map<String, Value>, path: &str, data: &str, read: &impl Fn(&[&str]) -> Option<Vec<Vec<u8>>>) {
    let files: Option<Vec<&str>> = match object.get(path) {
        Some(Value::Array(files)) => files.iter().map(Value::as_str).collect(),
        Some(file) => file.as_str().map(|file| vec![file]),
        None => None,
    };
    let Some(keys) = files.and_then(|files| read(&files)) else { return };
    let mut texts: Vec<Value> = keys.iter().map(|key| STANDARD.encode(key).into()).collect();
    let is_list = object.remove(path).is_some_and(|files| files.is_array());
    let filled = if is_list { Value::from(texts) } else { texts.pop().unwrap_or_default() };
    object.insert(data.to_owned(), filled);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::key::tests::PEM;

    #[test]
    fn keys_stand_in_the_policy() {
        let text = r#"{"default":[{"type":"reject"}],"transports":{"docker":{"r.example":[
            {"type":"sigstoreSigned","keyPaths":["/a","/b"],"signedIdentity":{"type":"matchRepository"}}]},
            "oci":{"":[{"type":"sigstoreSigned","keyPath":"/c"}]}}}"#;
        let whole = with_keys(text, |files| Some(vec![PEM.into(); files.len()]));
        assert!(!whole.contains("keyPath"), "{whole}");
        Policy::parse(&whole).unwrap().load_keys(|file| panic!("{file} is asked for")).unwrap();
        // Of the one requirement the keys are not given: it stays.
        let partly = with_keys(text, |files| (files.len() == 1).then(|| vec![PEM.into()]));
        assert!(partly.contains(r#""keyPaths":["/a","/b"]"#) && partly.contains("keyData\""), "{partly}");
    }

    #[test]
    fn a_policy_that_is_refused_stays_refused() {
        let twice = r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#;
        assert_eq!(with_keys(twice, |_| None), twice);
    }
}
