//! Changes to a document: one key at a time, with its comments kept; and what is different between two, without secrets.
//!
//! Pure: the caller reads and writes the file.

mod difference;
mod find;
mod mask;
mod place;
mod secrets;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use toml_edit::{DocumentMut, Key, TomlError};

use self::place::Act;
pub use self::{difference::difference, secrets::secrets};
use crate::{Origin, Outcome, Rank, Source, model::Problem, read, schema::KEYS};

/// How problems name the document, of which they have only the text.
const NAME: &str = "settings";

/// Why a document stays as it is: a sentence for each thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Vec<Problem>);

impl Refused {
    pub(crate) fn of(key: Option<&str>, what: &str, expected: &str) -> Self {
        Self(vec![Problem {
            file: NAME.to_owned(),
            place: None,
            key: key.map(str::to_owned),
            what: what.to_owned(),
            expected: expected.to_owned(),
        }])
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reported: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&reported.join("\n"))
    }
}

impl std::error::Error for Refused {}

/// `document` with `key` set to `value`; `below` are the sources that count less. The key is written as in TOML: `update.auto`, `registry."r.example".plain_http`; of a
/// list of tables the host or name says which. Texts need no quotes, lists are written as in TOML.
///
/// # Errors
/// If there is no such key, the value does not fit, or the document is not TOML.
pub fn set(document: &str, key: &str, value: &str, below: &[Source<'_>]) -> Result<String, Refused> {
    let changed = change(document, key, &Act::Set(value))?;
    validate(document, &changed, below)?;
    let Outcome { origins, .. } = outcome(&changed, below);
    let path = path(key)?;
    // The version is no setting, and comes from nowhere.
    let is_ours = |origin: &Origin| &*origin.source == NAME;
    let is_there =
        path == ["version"] || origins.iter().any(|(known, origin)| is_ours(origin) && place::is_same(known, &path));
    // As in `network = { … }`, which cannot take a table that spans lines.
    let refused = || Refused::of(Some(key), "cannot be set where it would have to stand", "to be written by hand");
    if is_there { Ok(changed) } else { Err(refused()) }
}

/// `document` without `key`, which may be a whole table, or one of a list of tables; `below` as for [`set`].
///
/// # Errors
/// If there is no such key, it is not in the document, or the document is not TOML.
pub fn unset(document: &str, key: &str, below: &[Source<'_>]) -> Result<String, Refused> {
    let changed = change(document, key, &Act::Unset)?;
    validate(document, &changed, below)?;
    Ok(changed)
}

/// What `document` has under `key`, which is written as for [`set`]; None if it is not there.
///
/// # Errors
/// If there is no such key, or the document is not TOML.
pub fn get(document: &str, key: &str) -> Result<Option<serde_json::Value>, Refused> {
    let found = find::find(parse(document)?.as_table(), KEYS, &path(key)?);
    found.map_err(|(what, expected)| Refused::of(Some(key), &what, &expected))
}

/// `document` as JSON.
///
/// # Errors
/// If it is not TOML.
pub fn json(document: &str) -> Result<serde_json::Value, Refused> {
    Ok(find::json_of_table(parse(document)?.as_table()))
}

/// What is wrong with `changed` that is not wrong with `document` already; `below` as for [`set`]: a cluster may have its role from here and
/// its servers from there.
///
/// # Errors
/// If there is something.
pub fn validate(document: &str, changed: &str, below: &[Source<'_>]) -> Result<(), Refused> {
    // Where it stands may be another place now.
    let same = |one: &Problem, other: &Problem| (&one.key, &one.what) == (&other.key, &other.what);
    let known = outcome(document, below).problems;
    let mut problems = outcome(changed, below).problems;
    problems.retain(|problem| !known.iter().any(|known| same(known, problem)));
    if problems.is_empty() { Ok(()) } else { Err(Refused(problems)) }
}

fn outcome(document: &str, below: &[Source<'_>]) -> Outcome {
    let own = Source::new(NAME, Rank::Node, document.as_bytes());
    read(&[&[own], below].concat())
}

fn change(document: &str, key: &str, act: &Act<'_>) -> Result<String, Refused> {
    let mut document = parse(document)?;
    place::change(document.as_table_mut(), KEYS, &path(key)?, act)
        .map_err(|(what, expected)| Refused::of(Some(key), &what, &expected))?;
    Ok(document.to_string())
}

pub(crate) fn parse(document: &str) -> Result<DocumentMut, Refused> {
    let reported = |error: &TomlError| error.message().trim().replace('\n', ", ");
    let refuse = |error: TomlError| {
        let problems = outcome(document, &[]).problems;
        if problems.is_empty() { Refused::of(None, &reported(&error), "TOML") } else { Refused(problems) }
    };
    document.parse().map_err(refuse)
}

/// The words of `key`: `registry."r.example".plain_http` has three.
///
/// # Errors
/// If it is none.
pub fn path(key: &str) -> Result<Vec<String>, Refused> {
    let keys = Key::parse(key).map_err(|_| Refused::of(Some(key), "is no key", "one as update.auto"))?;
    Ok(keys.iter().map(|key| key.get().to_owned()).collect())
}
