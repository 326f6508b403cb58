//! What an ELF file says about what it needs: interpreter, libraries, and libraries that it opens while it runs
//! (<https://uapi-group.org/specifications/specs/elf_dlopen_metadata/>).

use anyhow::{Context, Result};
use goblin::elf::Elf as Parsed;

/// The needs of one program or library.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// The program that loads it, as an absolute path.
    pub interpreter: Option<String>,
    /// DT_NEEDED: names of libraries.
    pub needed: Vec<String>,
    /// DT_RUNPATH or DT_RPATH: where its libraries are looked for first.
    pub runpath: Vec<String>,
    /// Libraries that it opens if they are there.
    pub dlopen: Vec<Dlopen>,
}

/// One entry of a `.note.dlopen` section.
#[derive(Debug, PartialEq, Eq)]
pub struct Dlopen {
    /// The program's name for what the library gives it.
    pub feature: String,
    /// `required`, `recommended` or `suggested`.
    pub priority: String,
    /// Names of the library, the best first.
    pub sonames: Vec<String>,
}

/// The section with these notes, and their type (`FDO` is the owner).
const DLOPEN_SECTION: &str = ".note.dlopen";
const DLOPEN_TYPE: u32 = 0x407c_0c0a;

/// Whether `bytes` start like an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Reads the needs of an ELF file.
pub fn parse(bytes: &[u8]) -> Result<Elf> {
    let elf = Parsed::parse(bytes).context("reading the ELF headers")?;
    let mut dlopen = Vec::new();
    for note in elf.iter_note_sections(bytes, Some(DLOPEN_SECTION)).into_iter().flatten() {
        let note = note.context("reading a dlopen note")?;
        if note.n_type == DLOPEN_TYPE {
            dlopen.extend(parse_dlopen(note.desc)?);
        }
    }
    let runpath = if elf.runpaths.is_empty() { &elf.rpaths } else { &elf.runpaths };
    Ok(Elf {
        interpreter: elf.interpreter.map(ToOwned::to_owned),
        needed: elf.libraries.iter().map(ToString::to_string).collect(),
        runpath: runpath.iter().flat_map(|paths| paths.split(':')).map(ToOwned::to_owned).collect(),
        dlopen,
    })
}

/// The note's text: a JSON list; `feature` and `priority` may be left out.
fn parse_dlopen(text: &[u8]) -> Result<Vec<Dlopen>> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let list: Vec<serde_json::Value> = serde_json::from_slice(&text[..end]).context("reading a dlopen note as JSON")?;
    let word = |value: &serde_json::Value, key: &str| value[key].as_str().map(ToOwned::to_owned);
    Ok(list
        .iter()
        .map(|entry| Dlopen {
            feature: word(entry, "feature").unwrap_or_default(),
            priority: word(entry, "priority").unwrap_or_else(|| "recommended".to_owned()),
            sonames: entry["soname"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(ToOwned::to_owned))
                .collect(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dlopen_note_is_read() {
        let note = br#"[{"feature":"bpf","description":"BPF","priority":"suggested","soname":["libbpf.so.1","libbpf.so.0"]},{"soname":["a.so"]}]"#;
        let mut padded = note.to_vec();
        padded.extend([0, 0]);
        let parsed = parse_dlopen(&padded).unwrap();
        assert_eq!(parsed[0].feature, "bpf");
        assert_eq!(parsed[0].sonames, ["libbpf.so.1", "libbpf.so.0"]);
        assert_eq!(parsed[1].priority, "recommended", "the specification's default");
        assert!(parse_dlopen(b"{").is_err());
    }

    #[test]
    fn this_test_needs_its_interpreter_and_a_c_library() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(is_elf(&own));
        let elf = parse(&own).unwrap();
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.so")), "{elf:?}");
        assert!(elf.interpreter.is_some_and(|path| path.contains("ld-linux")));
    }
}
