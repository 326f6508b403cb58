//! Any text as a manifest of pods. The parser is a part of the agent: it is taken from there without the rest.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the agent uses more of it")]

use libfuzzer_sys::fuzz_target;

#[path = "manifest/pods.rs"]
mod pods;

fuzz_target!(|text: &str| {
    let read = pods::manifest::read("f.yaml", text);
    assert!(!read.pods.is_empty() || !read.problems.is_empty() || !read.notes.is_empty() || text.contains("kind"));
    // A pod that was taken once is taken again: the runtime keeps its text, and it is all that is left after a start.
    for pod in read.pods {
        let again = pods::manifest::read("f.yaml", &pod.text);
        assert!(again.pods.iter().any(|other| other.uid == pod.uid));
    }
});
