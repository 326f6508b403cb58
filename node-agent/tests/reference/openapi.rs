//! The API as an OpenAPI document (3.1.0): paths of the agent's own table, schemas of the types' own sources. Only types that a path reaches are in
//! it, and all of those.

#![expect(clippy::wildcard_enum_match_arm, reason = "syn's enums may grow")]

use std::collections::BTreeMap;

use ballast::report::api::table::{Answer, Entry};
use serde_json::{Map, Value, json};
use syn::{Fields, Item, Type};

use super::status::{comment, derives, has, kebab, serde};

/// Types that are a string in JSON, whatever they are in Rust.
const STRINGS: [&str; 5] = ["String", "Digest", "Name", "Piece", "Sha256Digest"];

/// Types by name, each with the prefix of its source: two sources may have a type of the same name.
pub(crate) struct Types {
    all: BTreeMap<String, (Item, &'static str)>,
}

impl Types {
    /// The types of `sources` that are serialized; the names of those with a prefix get it.
    pub(crate) fn of(sources: &[(String, &'static str)]) -> Self {
        let mut all = BTreeMap::new();
        for (source, prefix) in sources {
            for item in syn::parse_file(source).unwrap().items {
                let (name, attributes) = match &item {
                    Item::Struct(one) => (one.ident.to_string(), &one.attrs),
                    Item::Enum(one) => (one.ident.to_string(), &one.attrs),
                    _ => continue,
                };
                if !derives(attributes, "Serialize") {
                    continue;
                }
                let known = all.insert(format!("{prefix}{name}"), (item, *prefix));
                assert!(known.is_none(), "two sources have a type {prefix}{name}: give one of them a prefix");
            }
        }
        Self { all }
    }

    /// The name of the type that a source with `prefix` calls `name`: its own before others'.
    fn name(&self, prefix: &str, name: &str) -> String {
        let own = format!("{prefix}{name}");
        if self.all.contains_key(&own) { own } else { name.to_owned() }
    }
}

/// The document.
pub(crate) fn document(table: &[Entry], types: &Types) -> Value {
    let mut made = Schemas { types, next: vec!["Reply".to_owned()], made: Map::new() };
    let mut paths = Map::new();
    for entry in table {
        let path = paths.entry(entry.path).or_insert_with(|| json!({}));
        path[entry.method.to_lowercase()] = operation(entry, &mut made);
    }
    let error = json!({
        "description": "What is wrong and what to do",
        "content": { "application/json": { "schema": {
            "type": "object", "required": ["error"], "properties": { "error": { "type": "string" } },
        } } },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ballast's API",
            "version": "v1",
            "description": "What a node answers to who shows a client certificate of its authority. Only over TLS 1.3.",
        },
        "servers": [{ "url": "https://{node}:9600", "variables": { "node": { "default": "192.0.2.10" } } }],
        "security": [{ "certificate": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "certificate": {
                "type": "mutualTLS",
                "description": "Its organisation says the role: ballast:reader, ballast:operator or ballast:admin.",
            } },
            "responses": { "Refused": error },
            "schemas": made.all(),
        },
    })
}

fn operation(entry: &Entry, schemas: &mut Schemas<'_>) -> Value {
    let Entry { role, about, query, body, answer, .. } = entry;
    let content = match answer {
        Answer::Json(kind) => json!({ "application/json": { "schema": schemas.of_text(kind) } }),
        Answer::Text(kind) => json!({ *kind: { "schema": { "type": "string" } } }),
        Answer::Lines => json!({ "application/x-ndjson": { "schema": schemas.of_text("Reply") } }),
    };
    let mut operation = json!({
        "summary": about,
        "description": format!("Needs the role {}.", role.name()),
        "responses": {
            "200": { "description": "The answer", "content": content },
            "default": { "$ref": "#/components/responses/Refused" },
        },
    });
    if !query.is_empty() {
        let one = |(name, about): &(&str, &str)| {
            let schema = match *name {
                "command" => json!({ "type": "array", "items": { "type": "string" } }),
                "since" | "lines" | "secs" => json!({ "type": "integer", "minimum": 0 }),
                _ if about.starts_with("true") => json!({ "type": "boolean" }),
                _ => json!({ "type": "string" }),
            };
            json!({ "name": name, "in": "query", "description": about, "schema": schema })
        };
        operation["parameters"] = query.iter().map(one).collect();
    }
    if !body.is_empty() {
        let kind = if *body == "Input" { "application/x-ndjson" } else { "application/json" };
        operation["requestBody"] =
            json!({ "required": true, "content": { kind: { "schema": schemas.of_text(body) } } });
    }
    operation
}

/// The schemas so far, and the types that are still to come.
struct Schemas<'a> {
    types: &'a Types,
    next: Vec<String>,
    made: Map<String, Value>,
}

impl Schemas<'_> {
    fn all(mut self) -> Value {
        while let Some(name) = self.next.pop() {
            if self.made.contains_key(&name) {
                continue;
            }
            let found = self.types.all.get(&name);
            let (item, prefix) =
                found.unwrap_or_else(|| panic!("{name} is in the API, and no source has it: add its file"));
            let schema = self.item(item, prefix);
            self.made.insert(name, schema);
        }
        Value::Object(self.made)
    }

    fn of_text(&mut self, kind: &str) -> Value {
        self.kind(&syn::parse_str(kind).unwrap(), "")
    }

    fn item(&mut self, item: &Item, prefix: &str) -> Value {
        match item {
            Item::Struct(item) => {
                let mut schema = match &item.fields {
                    Fields::Unnamed(fields) => self.kind(&fields.unnamed.first().unwrap().ty, prefix),
                    fields => self.object(fields, has(&item.attrs, "default"), prefix),
                };
                schema["description"] = json!(comment(&item.ident.to_string(), &item.attrs));
                if has(&item.attrs, "deny_unknown_fields") {
                    schema["additionalProperties"] = json!(false);
                }
                schema
            }
            Item::Enum(item) => {
                assert_eq!(serde(&item.attrs, "rename_all").as_deref(), Some("kebab-case"), "{}", item.ident);
                let about = comment(&item.ident.to_string(), &item.attrs);
                let is_words = item.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
                let words: Vec<String> =
                    item.variants.iter().map(|variant| kebab(&variant.ident.to_string())).collect();
                if is_words {
                    return json!({ "type": "string", "enum": words, "description": about });
                }
                let mut any = Vec::new();
                for (variant, word) in item.variants.iter().zip(words) {
                    let inner = match &variant.fields {
                        Fields::Unit => {
                            any.push(json!({ "const": word, "description": comment(&word, &variant.attrs) }));
                            continue;
                        }
                        Fields::Unnamed(fields) => self.kind(&fields.unnamed.first().unwrap().ty, prefix),
                        fields => self.object(fields, false, prefix),
                    };
                    any.push(json!({
                        "type": "object",
                        "description": comment(&word, &variant.attrs),
                        "required": [word],
                        "properties": { word: inner },
                        "additionalProperties": false,
                    }));
                }
                json!({ "description": about, "oneOf": any })
            }
            other => panic!("{other:?} is neither a struct nor an enum"),
        }
    }

    fn object(&mut self, fields: &Fields, has_defaults: bool, prefix: &str) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        self.properties(fields, has_defaults, prefix, &mut properties, &mut required);
        let mut object = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }

    fn properties(
        &mut self,
        fields: &Fields,
        has_defaults: bool,
        prefix: &str,
        properties: &mut Map<String, Value>,
        required: &mut Vec<String>,
    ) {
        for field in fields {
            let name = field.ident.as_ref().unwrap().to_string();
            if has(&field.attrs, "skip") {
                continue;
            }
            if has(&field.attrs, "flatten") {
                let inner = self.types.name(prefix, &last(&field.ty));
                let Some((Item::Struct(item), of)) = self.types.all.get(&inner) else {
                    panic!("{name}: {inner} is no struct")
                };
                self.properties(&item.fields, has(&item.attrs, "default"), of, properties, required);
                continue;
            }
            let key = serde(&field.attrs, "rename").unwrap_or(name);
            let mut schema = self.kind(&field.ty, prefix);
            schema["description"] = json!(comment(&key, &field.attrs));
            let is_optional = has_defaults || has(&field.attrs, "default") || last(&field.ty) == "Option";
            if !is_optional {
                required.push(key.clone());
            }
            properties.insert(key, schema);
        }
    }

    fn kind(&mut self, kind: &Type, prefix: &str) -> Value {
        if let Type::Tuple(tuple) = kind {
            let items: Vec<Value> = tuple.elems.iter().map(|one| self.kind(one, prefix)).collect();
            return json!({ "type": "array", "prefixItems": items });
        }
        let Type::Path(path) = kind else { panic!("a type that is no path is not described") };
        let segments: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let mut inner = || {
            let syn::PathArguments::AngleBracketed(list) = &path.path.segments.last().unwrap().arguments else {
                return Vec::new();
            };
            let of = |argument: &syn::GenericArgument| {
                if let syn::GenericArgument::Type(inner) = argument { Some(inner.clone()) } else { None }
            };
            list.args.iter().filter_map(of).collect::<Vec<_>>().iter().map(|one| self.kind(one, prefix)).collect()
        };
        match segments.last().unwrap().as_str() {
            string if STRINGS.contains(&string) => json!({ "type": "string" }),
            "bool" => json!({ "type": "boolean" }),
            "u8" | "u16" | "u32" | "u64" | "usize" => json!({ "type": "integer", "minimum": 0 }),
            "i32" | "i64" => json!({ "type": "integer" }),
            "f32" | "f64" => json!({ "type": "number" }),
            "Box" => inner().remove(0),
            "Vec" => json!({ "type": "array", "items": inner().remove(0) }),
            "Option" => json!({ "anyOf": [inner().remove(0), { "type": "null" }] }),
            "BTreeMap" => json!({ "type": "object", "additionalProperties": inner().pop() }),
            other => {
                // As `settings::Outcome`: of the source whose types have that prefix.
                let prefix = if segments.len() > 1 && segments[0] == "settings" { "Settings" } else { prefix };
                let name = self.types.name(prefix, other);
                self.next.push(name.clone());
                json!({ "$ref": format!("#/components/schemas/{name}") })
            }
        }
    }
}

/// The last part of a type's name.
fn last(kind: &Type) -> String {
    let Type::Path(path) = kind else { return String::new() };
    path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

#[test]
fn a_type_is_described_as_serde_writes_it() {
    let source = r#"
        /// All.
        #[derive(Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct Order {
            /// One.
            #[serde(rename = "where")]
            pub place: Option<Inner>,
            /// Two.
            pub names: Vec<String>,
            #[serde(flatten)]
            pub rest: Rest,
        }
        /// More.
        #[derive(Serialize)]
        #[serde(default)]
        pub struct Rest {
            /// Three.
            pub number: u64,
        }
        /// One of them.
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Inner {
            /// Nothing.
            NoSpace,
            /// Something.
            Some(Rest),
            /// This.
            These {
                /// A.
                a: bool,
            },
        }
        /// Word.
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Reply {
            /// It.
            It,
        }"#;
    let types = Types::of(&[(source.to_owned(), "")]);
    let entry = Entry {
        method: "POST",
        path: "/v1/a",
        role: ballast_settings::model::ApiRole::Admin,
        about: "does",
        query: &[("follow", "true: more")],
        body: "Order",
        answer: Answer::Lines,
    };
    let document = document(&[entry], &types);
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Order"]["required"], json!(["names"]));
    assert_eq!(schemas["Order"]["additionalProperties"], json!(false));
    assert_eq!(
        schemas["Order"]["properties"]["where"],
        json!({ "anyOf": [{ "$ref": "#/components/schemas/Inner" }, { "type": "null" }], "description": "One." })
    );
    assert_eq!(schemas["Order"]["properties"]["number"]["minimum"], json!(0));
    assert_eq!(schemas["Reply"], json!({ "type": "string", "enum": ["it"], "description": "Word." }));
    let inner = schemas["Inner"]["oneOf"].as_array().unwrap();
    assert_eq!((&inner[0]["const"], &inner[1]["required"], inner.len()), (&json!("no-space"), &json!(["some"]), 3));
    let operation = &document["paths"]["/v1/a"]["post"];
    assert_eq!(operation["description"], "Needs the role admin.");
    assert_eq!(operation["parameters"][0]["schema"], json!({ "type": "boolean" }));
}

#[test]
#[should_panic(expected = "Gone is in the API, and no source has it")]
fn a_type_that_no_source_has_is_named() {
    let source = "/// A.\n#[derive(Serialize)]\nstruct Reply {\n /// B.\n pub key: Gone }".to_owned();
    document(&[], &Types::of(&[(source, "")]));
}

/// Each `$ref` leads to something.
pub(crate) fn check_references(document: &Value) {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(to)) = map.get("$ref") {
                    assert!(document.pointer(&to[1..]).is_some(), "{to} leads nowhere");
                }
                map.values().for_each(|value| walk(value, document));
            }
            Value::Array(all) => all.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    walk(document, document);
}
