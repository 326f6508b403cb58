//! The lists beside this program: what a node needs that no file of the image says by itself, each line with its reason.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// A line: its words, then the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<const N: usize> {
    /// Path, unit, feature, …, as the list's head says.
    pub words: [String; N],
    /// Why a node has it: a clause that ends a sentence.
    pub reason: String,
}

/// All lists.
#[derive(Debug, Default)]
pub struct Lists {
    /// Commands for operators: a path.
    pub commands: Vec<Line<1>>,
    /// Units that PID 1, the kernel or the agent start by name.
    pub units: Vec<Line<1>>,
    /// Programs and libraries that another opens or executes: caller (or `-`: the kernel, /init), then a pattern.
    pub calls: Vec<Line<2>>,
    /// Files that a program reads: reader (or `-`), then a pattern.
    pub data: Vec<Line<2>>,
    /// Features of dlopen notes with priority `suggested` that are wanted.
    pub features: Vec<Line<1>>,
}

impl Lists {
    /// Reads the lists of `folder`.
    pub fn load(folder: &Path) -> Result<Self> {
        Ok(Self {
            commands: load(folder, "commands")?,
            units: load(folder, "units")?,
            calls: load(folder, "calls")?,
            data: load(folder, "data")?,
            features: load(folder, "features")?,
        })
    }
}

fn load<const N: usize>(folder: &Path, name: &str) -> Result<Vec<Line<N>>> {
    let path = folder.join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| format!("reading {}", path.display()))
}

/// Reads a list. A reason of `"` is that of the line above.
fn parse<const N: usize>(text: &str) -> Result<Vec<Line<N>>> {
    let mut lines: Vec<Line<N>> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut rest = line;
        let words = std::array::from_fn(|_| {
            let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = tail.trim_start();
            word.to_owned()
        });
        let reason = match (rest, lines.last()) {
            ("", _) => bail!("line {}: {line:?} has no reason", at + 1),
            ("\"", Some(above)) => above.reason.clone(),
            (reason, _) => reason.to_owned(),
        };
        lines.push(Line { words, reason });
    }
    Ok(lines)
}

/// Whether `path` is meant by `pattern`: a path; a folder with its slash, for all below it; or a path with one `*`, which stands
/// for anything but a slash.
pub fn matches(pattern: &str, path: &str) -> bool {
    if pattern.ends_with('/') {
        return path.starts_with(pattern);
    }
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, tail)) => {
            path.len() >= head.len() + tail.len()
                && path.starts_with(head)
                && path.ends_with(tail)
                && !path[head.len()..path.len() - tail.len()].contains('/')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_a_reason() {
        let lines = parse::<2>("# head\n\nusr/bin/a  usr/lib/b   it runs b\nusr/bin/a usr/lib/c \"\n").unwrap();
        assert_eq!(lines[0].words, ["usr/bin/a", "usr/lib/b"]);
        assert_eq!((lines[0].reason.as_str(), &lines[1].reason), ("it runs b", &lines[0].reason));
        let error = parse::<2>("usr/bin/a usr/lib/b").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("no reason"), "{error}");
    }

    #[test]
    fn patterns() {
        let cases = [
            ("usr/bin/ip", "usr/bin/ip", true),
            ("usr/bin/ip", "usr/bin/ipx", false),
            ("usr/share/a/", "usr/share/a/b/c", true),
            ("usr/share/a/", "usr/share/ab", false),
            ("usr/lib/*.conf", "usr/lib/x.conf", true),
            ("usr/lib/*.conf", "usr/lib/a/x.conf", false),
            ("usr/lib/ab*ba", "usr/lib/aba", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
