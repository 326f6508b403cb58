//! `$(NAME)` in commands, arguments and environment values, as Kubernetes expands it.

use std::cell::Cell;

use super::reader::{Fields, Said};

/// What all pods of a file may take from variables and objects, at most: text that names itself twice doubles with each line, and each
/// volume has the whole content of its object.
const MOST_BYTES: usize = 4 << 20;

/// What is left for the pods of a file.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(MOST_BYTES))
    }
}

impl Budget {
    /// Whether `bytes` more are possible; once they are not, nothing is.
    #[must_use]
    pub(super) fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.unwrap_or_default());
        left.is_some()
    }

    /// The value of `key` on `line`, if there is room for it; else that is noted, once for each pod.
    pub(super) fn room<T>(&self, fields: &Fields<'_>, line: u64, key: &str, bytes: usize, value: T) -> Option<T> {
        if self.take(bytes) {
            return Some(value);
        }
        too_much(fields, line, key);
        None
    }
}

fn too_much(fields: &Fields<'_>, line: u64, key: &str) {
    let message = format!(
        "with it the pods of this file take more than {} MiB from variables and objects: make it less, or write several files",
        MOST_BYTES >> 20
    );
    fields.refuse_once(line, key, &message);
}

/// The text of `key`, expanded; empty if it is too much.
pub(super) fn expanded(
    fields: &Fields<'_>,
    said: Said<'_>,
    key: &str,
    env: &[(String, String)],
    budget: &Budget,
) -> String {
    expand(said.text, env, budget).unwrap_or_else(|| {
        too_much(fields, said.line, key);
        String::new()
    })
}

/// The texts in the list `key`, expanded.
pub(super) fn words(
    fields: &mut Fields<'_>,
    key: &'static str,
    env: &[(String, String)],
    budget: &Budget,
) -> Vec<String> {
    let words = fields.said(key);
    words.into_iter().map(|word| expanded(fields, word, key, env, budget)).collect()
}

/// Replaces `$(NAME)` by the value that `env` has for it (the last one counts), and `$$` by `$`. A name that `env` does
/// not have stays as it is written. None if the budget does not suffice.
fn expand(text: &str, env: &[(String, String)], budget: &Budget) -> Option<String> {
    if !budget.take(text.len()) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, behind)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match env.iter().rev().find(|(key, _)| key == name) {
                Some((_, value)) if budget.take(value.len()) => out.push_str(value),
                Some(_) => return None,
                None => out.push_str(&format!("$({name})")),
            }
            rest = behind;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_expanded_once_and_doubled_dollars_halved() {
        let env = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        for (text, expected) in
            [("x$(A)y$(A)", "x1y1"), ("$(B)", "$(A)"), ("$(C) $$(A) $A $", "$(C) $(A) $A $"), ("$(A", "$(A"), ("", "")]
        {
            assert_eq!(expand(text, &env, &Budget::default()).unwrap(), expected, "{text}");
        }
    }
}
