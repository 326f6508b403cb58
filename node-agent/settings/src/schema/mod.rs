//! All keys as data: to change a document key by key, and for editors. What a value has to look like
//! in detail is `values`' to know; a test holds that `read` knows the same keys.

mod json;
mod keys;
#[cfg(test)]
mod tests;

pub use self::{json::json_schema, keys::KEYS};

/// A key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub shape: Shape,
    /// What it means, in a sentence.
    pub what: &'static str,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// True or false.
    Switch,
    /// A whole number from the first to the second.
    Number(u32, u32),
    /// A text.
    Text,
    /// A text that nobody may see.
    Secret,
    /// The URL of a proxy, which may have a password in it.
    ProxyUrl,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// True, false, or one of these words.
    SwitchOrChoice(&'static [&'static str]),
    /// A list of texts; a text alone is a list of one.
    Texts,
    /// Keys that the operator chooses, with texts.
    Texted,
    /// As [`Shape::Texted`], also with whole numbers.
    TextedOrNumbered,
    /// A table.
    Table(&'static [Key]),
    /// A list of tables.
    List(&'static [Key]),
    /// A list of tables with these keys, in which a text alone stands for a table with only the first of them.
    TextsOrTables(&'static str, &'static [Key]),
    /// A list of tables that are distinguished by one of the keys in the first list.
    Keyed(&'static [&'static str], &'static [Key]),
}
