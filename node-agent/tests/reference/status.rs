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
    let line = |attribute: &syn::Attribute| {
        let Meta::NameValue(pair) = &attribute.meta else { return None };
        let Expr::Lit(literal) = &pair.value else { return None };
        let Lit::Str(text) = &literal.lit else { return None };
        pair.path.is_ident("doc").then(|| text.value().trim().to_owned())
    };
    attributes.iter().filter_map(line).collect::<Vec<_>>().join(" ")
}

/// A Rust type in JSON's words.
fn kind(kind: &syn::Type) -> String {
    let syn::Type::Path(path) = kind else { return "value".to_owned() };
    let last = path.path.segments.last().unwrap();
    let inner = || {
        let syn::PathArguments::AngleBracketed(list) = &last.arguments else { return Vec::new() };
        let kind = |argument: &syn::GenericArgument| {
            if let syn::GenericArgument::Type(inner) = argument { Some(self::kind(inner)) } else { None }
        };
        list.args.iter().filter_map(kind).collect::<Vec<_>>()
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
