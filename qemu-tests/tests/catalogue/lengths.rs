//! No source file is longer than one can hold in mind: past this there are two things in it.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{files, top};

const MOST_LINES: usize = 400;

fn is_too_long(text: &str) -> bool {
    text.lines().count() > MOST_LINES
}

#[test]
fn no_file_is_too_long() -> Result<()> {
    let mut sources = Vec::new();
    files(&top(), "rs", &mut sources)?;
    ensure!(sources.len() > 500, "only {} files were found", sources.len());
    let mut long = Vec::new();
    for file in sources {
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        if is_too_long(&text) {
            long.push(file.strip_prefix(top()).unwrap_or(&file).display().to_string());
        }
    }
    ensure!(long.is_empty(), "split these, they have more than {MOST_LINES} lines: {}", long.join(", "));
    Ok(())
}

#[test]
fn a_file_that_is_too_long_is_found() {
    assert!(!is_too_long(&"x\n".repeat(MOST_LINES)) && is_too_long(&"x\n".repeat(MOST_LINES + 1)));
}
