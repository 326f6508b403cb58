//! Whole files: what applies, and what is said of the rest.

use std::time::Duration;

use super::{
    super::{model::Signatures, window::Window},
    *,
};

fn told(text: &str) -> Vec<String> {
    settings("f", text.as_bytes()).1.iter().map(Problem::to_string).collect()
}

#[test]
fn a_whole_file_applies() {
    let text = r#"
        [update]
        image = "registry.example:5000/ballast:stable"
        auto = true
        window = ["Mon-Fri 02:00-04:00 Europe/Berlin", "sat 23:30-01:00 utc"]
        reboot = false
        signatures = "none"
        [health]
        network = true
        deadline = "90s"
    "#;
    let (found, problems) = settings("f", text.as_bytes());
    assert_eq!(problems, []);
    assert_eq!(found.update.image.as_deref(), Some("registry.example:5000/ballast:stable"));
    assert_eq!((found.update.auto, found.update.reboot), (true, false));
    let windows: Vec<String> = found.update.windows.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(windows, ["Mon-Fri 02:00-04:00 Europe/Berlin", "sat 23:30-01:00 utc"]);
    assert_eq!(found.update.signatures, Signatures::Unchecked);
    assert_eq!((found.health.network, found.health.deadline), (true, Duration::from_secs(90)));
}

#[test]
fn nothing_said_is_not_a_problem() {
    for text in ["", "\n", "# only a remark\r\n", "\u{feff}", "[update]\n[health]\n", "update.auto = false"] {
        assert_eq!(settings("f", text.as_bytes()), (Settings::default(), vec![]), "{text:?}");
    }
}

#[test]
fn what_does_not_fit_is_named_with_its_place() {
    let windows = Window::EXPECTED;
    let table: &[(&str, &str)] = &[
        ("[update]\nauto = \"yes\"", "f:2:8: update.auto: is a text, expected true or false"),
        ("update.auto = 1", "f:1:15: update.auto: is a number, expected true or false"),
        ("[update]\r\nreboot = []\r\n", "f:2:10: update.reboot: is a list, expected true or false"),
        (
            "\u{feff}[update]\nsignatures = \"no\"",
            "f:2:14: update.signatures: is \"no\", expected \"required\" or \"none\"",
        ),
        ("[updates]\nauto = true", "f:1:2: updates: there is no such key; did you mean update?"),
        ("[update]\nsingatures = \"none\"", "f:2:1: update.singatures: there is no such key; did you mean signatures?"),
        ("[health]\nprobes = 1", "f:2:1: health.probes: there is no such key, expected one of network, deadline"),
        ("health = true", "f:1:10: health: is true or false, expected a table, [health]"),
        ("[[update]]\nauto = true", "f:1:1: update: is a list, expected a table, [update]"),
        (
            "[health]\ndeadline = \"2h\"",
            "f:2:12: health.deadline: \"2h\" is out of range, expected a time from \"30s\" to \"1h\"",
        ),
        ("[health]\ndeadline = 5", "f:2:12: health.deadline: is a number, expected a time from \"30s\" to \"1h\""),
    ];
    for (text, expected) in table {
        assert_eq!(told(text), [*expected], "{text:?}");
    }
    assert_eq!(
        told("[update]\nwindow = [\"Mon 02:00-04:00 UTC\",\n  \"Tue\", 7]"),
        [
            format!("f:3:3: update.window: \"Tue\" is not a window, expected {windows}"),
            format!("f:3:10: update.window: is a number, expected {windows}"),
        ]
    );
}

#[test]
fn what_is_valid_applies_beside_what_is_not() {
    let (found, problems) =
        settings("f", b"[update]\nauto = 1\nimage = \"r.example/a\"\n[health]\nnetwork = true\nx = 1\n");
    assert_eq!((found.update.auto, found.update.image.as_deref()), (false, Some("r.example/a")));
    assert!(found.health.network);
    assert_eq!(problems.len(), 2);
}

#[test]
fn a_wrong_value_never_makes_a_node_do_more_by_itself() {
    let update = |text: &str| settings("f", text.as_bytes()).0.update;
    assert_eq!(update("[update]\nwindow = [\"Mon\"]").windows, Some(vec![]));
    assert_eq!(update("[update]\nwindow = \"Mon 02:00-04:00 UTC\"").windows, Some(vec![]));
    assert_eq!(update("[update]\nwindow = []").windows, Some(vec![]));
    assert!(!update("[update]\nreboot = \"yes\"").reboot);
    assert_eq!(update("[update]\nsignatures = false").signatures, Signatures::Required);
}

#[test]
fn a_line_that_is_not_toml_costs_only_itself() {
    let text = "[update]\nauto = yes\nreboot = false\n[health]\nnetwork = true\nnetwork = false\n";
    let (found, problems) = settings("f", text.as_bytes());
    assert_eq!((found.update.auto, found.update.reboot), (false, false));
    assert!(found.health.network, "of two the first holds");
    let places: Vec<usize> = problems.iter().filter_map(|problem| Some(problem.place?.line)).collect();
    assert_eq!(places, [2, 6], "{problems:#?}");
    // A list that is not closed may lack some of what it should have.
    let (found, problems) = settings("f", b"[update]\nwindow = [\"Mon 02:00-04:00 UTC\"\n[health]\nnetwork = true\n");
    assert_ne!(problems, []);
    assert!(!found.update.auto);
}

#[test]
fn bytes_that_are_no_text_are_named() {
    let (found, problems) = settings("f", b"[update]\nauto = true\nimage = \"\xff\"\n");
    assert_eq!(found, Settings::default());
    let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(told, ["f:3:10: it is not UTF-8 from here on; no setting applies"]);
    let (found, problems) = settings("f", b"[update]\nauto\0 = true\n[health]\nnetwork = true\n");
    assert!(!found.update.auto && found.health.network, "{problems:#?}");
    assert_ne!(problems, []);
}

/// Cut and garbled files, and nesting without an end: whatever the text, there is an answer.
#[test]
fn no_text_brings_the_agent_down() {
    let whole = "[update]\nimage = \"r.example/a\"\nwindow = [\"Mon 02:00-04:00 UTC\", '''x''']\n[health]\r\ndeadline = \"5min\" # ü\n";
    for end in 0..=whole.len() {
        settings("f", whole.as_bytes().get(..end).unwrap());
    }
    let mut seed = 1_u32;
    for _ in 0..3000 {
        let mut bytes = whole.as_bytes().to_vec();
        for _ in 0..3 {
            // Numerical Recipes' generator: any will do, as long as a failure can be had again.
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (seed >> 16) as usize % bytes.len();
            bytes[at] = *b"[]{}\"'=.,#\n\r\0\xffa0".get((seed >> 8) as usize % 16).unwrap();
        }
        settings("f", &bytes);
    }
    for deep in ["[", "{", "a = [", "a.", "a = {a=", "[["] {
        settings("f", deep.repeat(20_000).as_bytes());
    }
}
