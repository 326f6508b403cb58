//! What a source says, whatever it is written in: tables, lists and values, each with the place where it stands.

use std::{fmt, sync::Arc};

use crate::problem::{Place, Problem};

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The source's name.
    pub source: Arc<str>,
    /// Where in it, if it has lines.
    pub place: Option<Place>,
    /// The key as it is written there, if that is another than the settings'.
    pub key: Option<Arc<str>>,
}

impl Origin {
    /// What is wrong there with the settings' key `key`.
    pub(crate) fn problem(&self, key: &str, what: &str, expected: &str) -> Problem {
        let key = self.key.as_deref().unwrap_or(key);
        Problem {
            file: self.source.to_string(),
            place: self.place,
            key: Some(key.to_owned()).filter(|key| !key.is_empty()),
            what: what.to_owned(),
            expected: expected.to_owned(),
        }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A value. A text may be a secret: it is not shown.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Switch(bool),
    Integer(i64),
    /// With a fraction, or too large.
    Number,
    Text(String),
    Date,
    Nothing,
    List(Vec<Item>),
    Table(Table),
    /// It could not be read, which has been named.
    Broken,
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "a text of {} bytes", text.len()),
            Self::List(items) => items.fmt(formatter),
            Self::Table(table) => table.fmt(formatter),
            // A password may be digits.
            Self::Switch(_) | Self::Integer(_) | Self::Number | Self::Date | Self::Nothing | Self::Broken => {
                formatter.write_str(self.kind())
            }
        }
    }
}

impl Value {
    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Switch(_) => "true or false",
            Self::Integer(_) | Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::Date => "a date or time",
            Self::Nothing => "nothing",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Broken => "not readable",
        }
    }

    /// The clause that this is not what it should be.
    pub(crate) fn kind_clause(&self) -> String {
        format!("is {}", self.kind())
    }

    /// It, if it is true or false.
    pub(crate) fn as_switch(&self) -> Option<bool> {
        if let Self::Switch(switch) = self { Some(*switch) } else { None }
    }

    /// It, if it is a whole number.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// It, if it is a text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// It, if it is a list.
    pub(crate) fn as_list(&self) -> Option<&[Item]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// It, if it is a table; else as it is.
    pub(crate) fn into_table(self) -> Result<Table, Self> {
        if let Self::Table(table) = self { Ok(table) } else { Err(self) }
    }

    /// It, if it is a table.
    pub(crate) fn as_table(&self) -> Option<&Table> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) item: Item,
}

/// Keys and values; each key once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

impl Table {
    /// The value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Item> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &entry.item)
    }

    /// The text `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|item| item.value.as_text())
    }

    /// Takes the entry `name` out.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(index))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Kind, Rank, Source, merged::Merged};

    /// Whatever is written where a secret belongs, and however it is written.
    #[test]
    fn no_value_is_shown() {
        for (kind, text) in [
            (Kind::Settings, "[[registry]]\nhost = \"r.example\"\npassword = \"5318008\"\n"),
            (Kind::Settings, "registry = [{ password = 5318008 }, \"5318008\", [\"5318008\"]]\n"),
            (Kind::Settings, "network.proxy.http = \"http://me:5318008@p.example\"\n"),
            (
                Kind::Settings,
                "#cloud-config\nwrite_files:\n- path: /etc/ballast/settings.toml\n  content: |\n    token = \"5318008\"\n",
            ),
            (Kind::Settings, "password = 5318008 \"5318008"),
        ] {
            for rank in [Rank::Node, Rank::Volume] {
                let source = Source { kind, ..Source::new("f", rank, text.as_bytes()) };
                let shown = format!("{source:?} {:?}", Merged::new(&[source]));
                assert!(!shown.contains("5318008") && shown.starts_with("Source(f, "), "{shown}");
                assert!(!shown.contains(&format!("{:?}", text.as_bytes())), "{shown}");
            }
        }
    }
}
