//! Settings in `golden/NAME.toml` render as `golden/NAME.txt` says.
//!
//! `BALLAST_GOLDEN=write cargo test -p ballast-settings --test golden` writes those anew; then look at what is different.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use ballast_settings::{
    Rank, Source,
    render::{Content, Rendered, render},
};

/// A rendering as a person reads it.
fn printed(files: &[Rendered]) -> String {
    let mut printed = String::new();
    for Rendered { path, mode, content, then } in files {
        printed.push_str(&format!("=== {path} {mode:04o} {then:?}\n"));
        match content {
            Content::Link(target) => printed.push_str(&format!("-> {target}\n")),
            Content::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => printed.push_str(text),
                Ok(_) | Err(_) => printed.push_str(&format!("({} bytes that are no text)\n", bytes.len())),
            },
        }
    }
    printed
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn rendered(name: &str) -> Vec<Rendered> {
    let text = fs::read(golden(&format!("{name}.toml"))).unwrap();
    let (settings, problems) = ballast_settings::settings(&[Source::new(name, Rank::Node, &text)]);
    assert_eq!(problems, [], "{name}");
    render(&settings)
}

#[test]
fn settings_render_as_they_did() {
    for name in ["nothing", "whole", "mirrors", "interfaces"] {
        let printed = printed(&rendered(name));
        let golden = golden(&format!("{name}.txt"));
        if env::var_os("BALLAST_GOLDEN").is_some() {
            fs::write(&golden, &printed).unwrap();
        }
        assert_eq!(printed, fs::read_to_string(&golden).unwrap(), "{name}");
    }
}

#[test]
fn nothing_said_renders_nothing() {
    assert_eq!(rendered("nothing"), []);
}

#[test]
fn secrets_are_for_root_alone_and_not_in_debug() {
    for name in ["whole", "mirrors"] {
        let files = rendered(name);
        for file in &files {
            let Content::Bytes(bytes) = &file.content else { continue };
            let has_secret = String::from_utf8_lossy(bytes).contains("s3cret") || file.path.ends_with("auth.json");
            assert!(!has_secret || file.mode == 0o600, "{}", file.path);
        }
        assert!(!format!("{files:?}").contains("s3cret"));
    }
}

#[test]
fn what_is_toml_or_json_reads_as_such() {
    for file in ["whole", "mirrors"].into_iter().flat_map(rendered) {
        let Content::Bytes(bytes) = &file.content else { continue };
        let text = String::from_utf8_lossy(bytes);
        if file.path.ends_with(".toml") || file.path.contains("registries.conf.d") {
            toml::from_str::<toml::Table>(&text).unwrap();
        }
        if file.path.ends_with(".json") {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}
