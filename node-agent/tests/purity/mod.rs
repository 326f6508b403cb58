//! Finds what a pure file does without; the crates beneath say what that is.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{fs, path::Path};

/// Which of `names` the `text` has, outside of comments.
pub(crate) fn impure<'a>(names: &[&'a str], text: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n").replace("use std::{", "use std::{std::");
    names.iter().copied().filter(|name| text.contains(name)).collect()
}

/// Holds all files under `folder` to that, but for their tests; gives how many these were.
pub(crate) fn check(names: &[&str], folder: &Path) -> usize {
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            seen += check(names, &path);
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            assert_eq!(impure(names, text), [""; 0], "{}", path.display());
            seen += 1;
        }
    }
    seen
}
