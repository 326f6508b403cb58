//! JSON schemas as pages: the settings, and the NodeOS.

use serde_json::Value;

use super::cell;

/// The settings: a section for each table at the top.
pub(crate) fn settings(schema: &str) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let mut page =
        "# Settings reference\n\nAll keys of the settings. How to use them: [Settings](../settings.md).\n".to_owned();
    let properties = schema["properties"].as_object().unwrap();
    let is_table = |value: &Value| value.get("properties").is_some() || value["items"].get("properties").is_some();
    page.push_str("\n## At the top\n\n| key | type | meaning |\n|---|---|---|\n");
    for (key, value) in properties.iter().filter(|(_, value)| !is_table(value)) {
        row(key, value, &mut page);
    }
    for (key, value) in properties.iter().filter(|(_, value)| is_table(value)) {
        let title = if value["type"] == "array" { format!("[[{key}]]") } else { format!("[{key}]") };
        let about = cell(value["description"].as_str().unwrap_or_default());
        page.push_str(&format!("\n## {title}\n\n{about}\n\n| key | type | meaning |\n|---|---|---|\n"));
        rows(value, "", &mut page);
    }
    page
}

/// The NodeOS: `spec` and `status`.
pub(crate) fn node_os(crd: &str) -> String {
    let crd: Value = serde_saphyr::from_str(crd).unwrap();
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let group = crd["spec"]["group"].as_str().unwrap();
    let mut page = format!(
        "# NodeOS\n\n{}\n\n`{group}/{}`, kind `NodeOS`, cluster-scoped. How to use it: [Kubernetes](../kubernetes.md).\n",
        schema["description"].as_str().unwrap_or_default(),
        version["name"].as_str().unwrap()
    );
    for part in ["spec", "status"] {
        let value = &schema["properties"][part];
        let about = cell(value["description"].as_str().unwrap_or_default());
        page.push_str(&format!("\n## {part}\n\n{about}\n\n| field | type | meaning |\n|---|---|---|\n"));
        rows(value, "", &mut page);
    }
    page.push_str("\n## Columns of kubectl get\n\n| column | from | meaning |\n|---|---|---|\n");
    for column in version["additionalPrinterColumns"].as_array().unwrap() {
        let of = |key: &str| cell(column[key].as_str().unwrap_or_default());
        page.push_str(&format!("| {} | `{}` | {} |\n", of("name"), of("jsonPath"), of("description")));
    }
    page
}

/// The keys of a table, and below those that are tables the keys of these.
fn rows(value: &Value, prefix: &str, page: &mut String) {
    let inner = if value["type"] == "array" { &value["items"] } else { value };
    for (key, value) in inner["properties"].as_object().into_iter().flatten() {
        let key = format!("{prefix}{key}");
        row(&key, value, page);
        let is_list = value["type"] == "array";
        rows(value, &format!("{key}{}.", if is_list { "[]" } else { "" }), page);
    }
}

fn row(key: &str, value: &Value, page: &mut String) {
    let about = cell(value["description"].as_str().unwrap_or_default());
    page.push_str(&format!("| `{key}` | {} | {about} |\n", cell(&kind(value))));
}

/// What a value may be, in words.
fn kind(value: &Value) -> String {
    if let Some(any) = value["anyOf"].as_array() {
        return any.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = value["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let bounds = match (value["minimum"].as_f64(), value["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", from {least}"),
        (None, Some(most)) => format!(", to {most}"),
        (None, None) => String::new(),
    };
    match value["type"].as_str() {
        Some("array") => format!("list of {}", kind(&value["items"])),
        Some("object") if value.get("properties").is_some() => "table".to_owned(),
        Some("object") => "table of any keys".to_owned(),
        Some(other) => format!("{other}{bounds}"),
        None => String::new(),
    }
}
