//! No source file is longer than one can hold in mind: past this there are two things in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::top;

const MOST_LINES: usize = 400;

/// The Rust files below `folder`, but what was built.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn is_too_long(text: &str) -> bool {
    text.lines().count() > MOST_LINES
}

#[test]
fn no_file_is_too_long() -> Result<()> {
    let mut files = Vec::new();
    sources(&top(), &mut files)?;
    ensure!(files.len() > 500, "only {} files were found", files.len());
    let mut long = Vec::new();
    for file in files {
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
