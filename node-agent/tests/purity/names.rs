//! What a parsed file names, in full: imports are followed to what they import, `self` and `super` to the crate's root.

#![expect(clippy::wildcard_enum_match_arm, reason = "syn's enums may grow")]

use std::collections::{BTreeMap, BTreeSet};

use syn::{
    Attribute, File, ImplItem, Item, Local, Macro, Meta, Path, Signature, Stmt, TraitItem, UseTree,
    visit::{self, Visit},
};

/// All that `file` names outside of tests; it is the module `module` of its crate.
pub(crate) fn names(module: &[String], file: &File) -> BTreeSet<String> {
    let mut imports = Imports { module: module.to_vec(), known: BTreeMap::new(), names: BTreeSet::new() };
    imports.visit_file(file);
    let Imports { known, names, .. } = imports;
    let mut reader = Reader { module: module.to_vec(), known, names };
    reader.visit_file(file);
    reader.names
}

/// The modules in files of their own that `file` has for tests alone.
pub(crate) fn modules_for_tests(file: &File) -> Vec<String> {
    let test = |item: &Item| match item {
        Item::Mod(module) if module.content.is_none() && is_for_tests(&module.attrs) => Some(module.ident.to_string()),
        _ => None,
    };
    file.items.iter().filter_map(test).collect()
}

/// Whether what has these attributes is compiled for tests alone: `cfg(test)`, `cfg(all(test, …))`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string().replace(' ', "");
        let is_all = condition.strip_prefix("all(").is_some_and(|all| all.split([',', ')']).any(|one| one == "test"));
        list.path.is_ident("cfg") && (condition == "test" || is_all)
    })
}

fn item_attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(one) => &one.attrs,
        Item::Enum(one) => &one.attrs,
        Item::ExternCrate(one) => &one.attrs,
        Item::Fn(one) => &one.attrs,
        Item::ForeignMod(one) => &one.attrs,
        Item::Impl(one) => &one.attrs,
        Item::Macro(one) => &one.attrs,
        Item::Mod(one) => &one.attrs,
        Item::Static(one) => &one.attrs,
        Item::Struct(one) => &one.attrs,
        Item::Trait(one) => &one.attrs,
        Item::TraitAlias(one) => &one.attrs,
        Item::Type(one) => &one.attrs,
        Item::Union(one) => &one.attrs,
        Item::Use(one) => &one.attrs,
        _ => &[],
    }
}

fn is_test_of_impl(item: &ImplItem) -> bool {
    match item {
        ImplItem::Fn(one) => is_for_tests(&one.attrs),
        ImplItem::Const(one) => is_for_tests(&one.attrs),
        _ => false,
    }
}

/// The full name of a path that begins with `self`, `super` or `crate`, within `module`; any other is full, or an import's business.
fn from_root(module: &[String], parts: &[String]) -> Option<Vec<String>> {
    let mut at = module.to_vec();
    let mut rest = parts;
    match parts.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &parts[1..];
        }
        "self" | "super" => {
            while let Some(first @ ("self" | "super")) = rest.first().map(String::as_str) {
                if first == "super" {
                    at.pop();
                }
                rest = &rest[1..];
            }
        }
        _ => return None,
    }
    Some(["crate".to_owned()].into_iter().chain(at).chain(rest.iter().cloned()).collect())
}

/// First, what is imported, and under which name.
struct Imports {
    module: Vec<String>,
    known: BTreeMap<String, Vec<String>>,
    names: BTreeSet<String>,
}

impl Imports {
    fn take(&mut self, before: &[String], tree: &UseTree) {
        let with = |last: &dyn ToString| before.iter().cloned().chain([last.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.take(&with(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.take(before, tree)),
            UseTree::Glob(_) => self.know("*", with(&"*")),
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.know(&last, before.to_vec());
            }
            UseTree::Name(name) => self.know(&name.ident.to_string(), with(&name.ident)),
            UseTree::Rename(rename) if rename.ident == "self" => self.know(&rename.rename.to_string(), before.to_vec()),
            UseTree::Rename(rename) => self.know(&rename.rename.to_string(), with(&rename.ident)),
        }
    }

    fn know(&mut self, name: &str, path: Vec<String>) {
        let path = from_root(&self.module, &path).unwrap_or(path);
        self.names.insert(path.join("::"));
        self.known.insert(name.to_owned(), path);
    }
}

impl<'a> Visit<'a> for Imports {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_for_tests(item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        if !is_test_of_impl(item) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, import: &'a syn::ItemUse) {
        self.take(&[], &import.tree);
    }
}

/// Then all that is named.
struct Reader {
    module: Vec<String>,
    known: BTreeMap<String, Vec<String>>,
    names: BTreeSet<String>,
}

impl Reader {
    fn name(&mut self, parts: &[String]) {
        let full = from_root(&self.module, parts).unwrap_or_else(|| match parts.split_first() {
            Some((first, rest)) => match self.known.get(first) {
                Some(path) => path.iter().chain(rest).cloned().collect(),
                None => parts.to_vec(),
            },
            None => Vec::new(),
        });
        // An import may be of something that is imported by another name.
        let full = match full.split_first() {
            Some((first, rest)) if first != "crate" => {
                match self.known.get(first).filter(|path| path.first() != Some(first)) {
                    Some(path) => path.iter().chain(rest).cloned().collect(),
                    None => full,
                }
            }
            _ => full,
        };
        self.names.insert(full.join("::"));
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_for_tests(item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        if !is_test_of_impl(item) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'a TraitItem) {
        if !matches!(item, TraitItem::Fn(one) if is_for_tests(&one.attrs)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'a Stmt) {
        if !matches!(statement, Stmt::Local(Local { attrs, .. }) if is_for_tests(attrs)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'a Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(&parts);
        visit::visit_path(self, path);
    }

    /// What a macro makes of its words nobody knows before; that they are paths can be seen.
    fn visit_macro(&mut self, called: &'a Macro) {
        let text = called.tokens.to_string().replace(" :: ", "::").replace(":: ", "::").replace(" ::", "::");
        // What is quoted is text.
        let code: String = text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        for word in code.split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':')) {
            let parts: Vec<String> = word.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            if matches!(word, "async" | "await") || parts.len() > 1 {
                self.name(&parts);
            }
        }
        visit::visit_macro(self, called);
    }

    fn visit_signature(&mut self, signature: &'a Signature) {
        if signature.asyncness.is_some() {
            self.names.insert("async".to_owned());
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'a syn::ExprAsync) {
        self.names.insert("async".to_owned());
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_closure(&mut self, closure: &'a syn::ExprClosure) {
        if closure.asyncness.is_some() {
            self.names.insert("async".to_owned());
        }
        visit::visit_expr_closure(self, closure);
    }

    fn visit_expr_await(&mut self, waiting: &'a syn::ExprAwait) {
        self.names.insert("await".to_owned());
        visit::visit_expr_await(self, waiting);
    }
}
