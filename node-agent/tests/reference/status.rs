//! `ballast status --json` and `ballast releases --json` as a page: from the types' own comments. Only types that one of the two reaches are
//! on it, and all of those.

#![expect(clippy::wildcard_enum_match_arm, reason = "syn's enums may grow")]

use std::collections::BTreeMap;

use syn::{Attribute, Expr, ExprLit, Fields, Item, Lit, Meta, Token, punctuated::Punctuated};

use super::cell;

/// What is printed.
const ROOTS: [&str; 2] = ["Status", "Releases"];

/// Types that are a string in JSON.
const STRINGS: [&str; 2] = ["String", "Sha256Digest"];

/// A section for each type that is published, in the order in which a reader meets them.
pub(crate) fn page(sources: &[String]) -> String {
    let types = types(sources);
    let mut page = "# Status JSON\n\nWhat `ballast status --json` (type `Status`) and `ballast releases --json` (type `Releases`) print. Keys are added, \
                    never renamed or removed. `null`: not known.\n"
        .to_owned();
    let mut next: Vec<String> = ROOTS.iter().rev().map(|root| (*root).to_owned()).collect();
    let mut done = Vec::new();
    while let Some(name) = next.pop() {
        if done.contains(&name) {
            continue;
        }
        let item = types.get(&name).unwrap_or_else(|| {
            panic!("{name} is in the status, and no source has it: add its file to the list in main.rs")
        });
        let mut reached = section(item, &types, &mut page);
        reached.reverse();
        next.append(&mut reached);
        done.push(name);
    }
    page
}

/// The types of `sources` that are serialized, by name.
fn types(sources: &[String]) -> BTreeMap<String, Item> {
    let items = sources.iter().flat_map(|source| syn::parse_file(source).unwrap().items);
    let named = |item: Item| match &item {
        Item::Struct(one) if derives(&one.attrs, "Serialize") => Some((one.ident.to_string(), item)),
        Item::Enum(one) if derives(&one.attrs, "Serialize") => Some((one.ident.to_string(), item)),
        _ => None,
    };
    items.filter_map(named).collect()
}

/// Adds the section of `item`, and returns the types that it names.
fn section(item: &Item, types: &BTreeMap<String, Item>, page: &mut String) -> Vec<String> {
    let mut reached = Vec::new();
    match item {
        Item::Struct(item) => {
            *page += &format!("\n## {}\n\n{}\n\n", item.ident, comment(&item.ident.to_string(), &item.attrs));
            *page += "| key | type | meaning |\n|---|---|---|\n";
            rows(&item.fields, types, &mut reached, page);
        }
        Item::Enum(item) => {
            *page += &format!("\n## {}\n\n{}\n\n", item.ident, comment(&item.ident.to_string(), &item.attrs));
            *page += "| value | meaning |\n|---|---|\n";
            assert_eq!(serde(&item.attrs, "rename_all").as_deref(), Some("kebab-case"), "{}", item.ident);
            for variant in &item.variants {
                assert!(variant.fields.is_empty(), "{}::{} is no word in JSON", item.ident, variant.ident);
                let what = format!("{}::{}", item.ident, variant.ident);
                *page += &format!(
                    "| `{}` | {} |\n",
                    kebab(&variant.ident.to_string()),
                    cell(&comment(&what, &variant.attrs))
                );
            }
        }
        other => panic!("{other:?} is neither a struct nor an enum"),
    }
    reached
}

/// A row for each field; those of a flattened one in its place.
fn rows(fields: &Fields, types: &BTreeMap<String, Item>, reached: &mut Vec<String>, page: &mut String) {
    for field in fields {
        let name = field.ident.as_ref().unwrap().to_string();
        let kind = kind(&field.ty, reached);
        if has(&field.attrs, "flatten") {
            let Some(Item::Struct(inner)) = types.get(&kind) else { panic!("{name}: {kind} is no struct") };
            reached.retain(|one| *one != kind);
            rows(&inner.fields, types, reached, page);
            continue;
        }
        let key = serde(&field.attrs, "rename").unwrap_or(name);
        *page += &format!("| `{key}` | {} | {} |\n", cell(&kind), cell(&comment(&key, &field.attrs)));
    }
}

/// What the comment of `what` says: whoever reads the page has nothing else.
pub(crate) fn comment(what: &str, attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| {
        let Meta::NameValue(pair) = &attribute.meta else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
        pair.path.is_ident("doc").then(|| text.value().trim().to_owned())
    };
    let text = attributes.iter().filter_map(line).collect::<Vec<_>>().join(" ");
    assert!(!text.is_empty(), "{what} has no comment, and the manual nothing to say of it");
    text
}

/// What stands in the lists of all `name(…)` among `attributes`.
fn list(attributes: &[Attribute], name: &str) -> Vec<Meta> {
    let of = |attribute: &Attribute| {
        let Meta::List(list) = &attribute.meta else { return None };
        list.path.is_ident(name).then(|| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok())?
    };
    attributes.iter().filter_map(of).flatten().collect()
}

pub(crate) fn derives(attributes: &[Attribute], name: &str) -> bool {
    list(attributes, "derive").iter().any(|one| one.path().is_ident(name))
}

pub(crate) fn has(attributes: &[Attribute], word: &str) -> bool {
    list(attributes, "serde").iter().any(|one| one.path().is_ident(word))
}

/// The text of serde's `key = "TEXT"`.
pub(crate) fn serde(attributes: &[Attribute], key: &str) -> Option<String> {
    list(attributes, "serde").into_iter().find_map(|one| match one {
        Meta::NameValue(pair) if pair.path.is_ident(key) => match pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// `NoSpace` as serde's kebab-case.
pub(crate) fn kebab(name: &str) -> String {
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

/// A Rust type in JSON's words. A type that has a section is added to `reached`.
fn kind(kind: &syn::Type, reached: &mut Vec<String>) -> String {
    let syn::Type::Path(path) = kind else { panic!("a type that is no path is not described") };
    let last = path.path.segments.last().unwrap();
    let mut inner = || {
        let syn::PathArguments::AngleBracketed(list) = &last.arguments else { return Vec::new() };
        let mut kind = |argument: &syn::GenericArgument| {
            if let syn::GenericArgument::Type(inner) = argument { Some(self::kind(inner, reached)) } else { None }
        };
        list.args.iter().filter_map(&mut kind).collect::<Vec<_>>()
    };
    match last.ident.to_string().as_str() {
        string if STRINGS.contains(&string) => "string".to_owned(),
        "bool" => "boolean".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "i32" | "i64" | "usize" => "integer".to_owned(),
        "f32" | "f64" => "number".to_owned(),
        "Vec" => format!("list of {}", inner().join(", ")),
        "Option" => format!("{} or null", inner().join(", ")),
        "BTreeMap" => format!("object of {}", inner().last().cloned().unwrap_or_default()),
        other => {
            reached.push(other.to_owned());
            other.to_owned()
        }
    }
}

#[test]
fn what_is_reached_is_on_the_page_and_nothing_else() {
    let source = "
        /// All.
        #[derive(Serialize)]
        pub struct Status {
            /// One.
            #[serde(rename = \"where\")]
            pub place: Option<Inner>,
            /// Not shown.
            #[serde(flatten)]
            pub rest: Rest,
        }
        /// More.
        #[derive(Serialize)]
        pub struct Rest {
            /// Numbers.
            pub numbers: Vec<u64>,
        }
        /// A word.
        #[derive(Serialize)]
        #[serde(rename_all = \"kebab-case\")]
        pub enum Inner {
            /// It is full.
            NoSpace,
        }
        /// Other.
        #[derive(Serialize)]
        pub struct Releases {}
        #[derive(Deserialize)]
        struct Private {
            key: u64,
        }";
    let page = page(&[source.to_owned()]);
    let (_, sections) = page.split_once("\n## ").unwrap();
    let expected = "Status\n\nAll.\n\n| key | type | meaning |\n|---|---|---|\n| `where` | Inner or null | One. |\n\
                    | `numbers` | list of integer | Numbers. |\n\
                    \n## Inner\n\nA word.\n\n| value | meaning |\n|---|---|\n| `no-space` | It is full. |\n\
                    \n## Releases\n\nOther.\n\n| key | type | meaning |\n|---|---|---|\n";
    assert_eq!(sections, expected);
}

#[test]
#[should_panic(expected = "key has no comment")]
fn what_has_no_comment_is_found() {
    page(&["/// A.\n#[derive(Serialize)]\nstruct Status {\n pub key: u64 }".to_owned()]);
}

#[test]
#[should_panic(expected = "Gone is in the status, and no source has it")]
fn a_type_that_is_not_found_is_named() {
    page(&["/// A.\n#[derive(Serialize)]\nstruct Status {\n /// B.\n pub key: Gone }".to_owned()]);
}
