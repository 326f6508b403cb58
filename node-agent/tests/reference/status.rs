//! `ballast status --json` and `ballast releases --json` as a page: from the types' own comments.

use syn::{Expr, Fields, Item, Lit, Meta};

use super::cell;

/// A section for each type that is published.
pub(crate) fn page(sources: &[String]) -> String {
    let mut page = "# Status JSON\n\nWhat `ballast status --json` (type `Status`) and `ballast releases --json` (type `Releases`) print. Keys are added, \
                    never renamed or removed. `null`: not known.\n"
        .to_owned();
    for source in sources {
        for item in syn::parse_file(source).unwrap().items {
            let Item::Struct(item) = item else { continue };
            let Fields::Named(fields) = &item.fields else { continue };
            page.push_str(&format!(
                "\n## {}\n\n{}\n\n| key | type | meaning |\n|---|---|---|\n",
                item.ident,
                docs(&item.attrs)
            ));
            for field in fields.named.iter().filter(|field| matches!(field.vis, syn::Visibility::Public(_))) {
                let name = field.ident.as_ref().unwrap();
                page.push_str(&format!("| `{name}` | {} | {} |\n", cell(&kind(&field.ty)), cell(&docs(&field.attrs))));
            }
        }
    }
    page
}

fn docs(attributes: &[syn::Attribute]) -> String {
    let line = |attribute: &syn::Attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect::<Vec<_>>().join(" ")
}

/// A Rust type in JSON's words.
fn kind(kind: &syn::Type) -> String {
    let syn::Type::Path(path) = kind else { return "value".to_owned() };
    let last = path.path.segments.last().unwrap();
    let inner = || match &last.arguments {
        syn::PathArguments::AngleBracketed(list) => list
            .args
            .iter()
            .filter_map(|argument| match argument {
                syn::GenericArgument::Type(inner) => Some(self::kind(inner)),
                _ => None,
            })
            .collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    match last.ident.to_string().as_str() {
        "String" => "string".to_owned(),
        "bool" => "boolean".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "i32" | "i64" | "usize" => "integer".to_owned(),
        "f32" | "f64" => "number".to_owned(),
        "Vec" => format!("list of {}", inner().join(", ")),
        "Option" => format!("{} or null", inner().join(", ")),
        "BTreeMap" => format!("object of {}", inner().last().cloned().unwrap_or_default()),
        other => other.to_owned(),
    }
}
