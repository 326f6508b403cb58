//! What is wrong is reported with its place, and costs only itself.

use super::{reported, settings};
use crate::{
    model::{Identity, Problem, Settings, Signatures},
    window::Window,
};

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
            "f:2:12: health.deadline: \"2h\" is out of range, expected a time from \"30s\" to \"1h\" (units: s, m or min, h)",
        ),
        (
            "[health]\ndeadline = 5",
            "f:2:12: health.deadline: is a number, expected a time from \"30s\" to \"1h\" (units: s, m or min, h)",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(reported(text), [*expected], "{text:?}");
    }
    assert_eq!(
        reported("[update]\nwindow = [\"Mon 02:00-04:00 UTC\",\n  \"Tue\", 7]"),
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
    assert_eq!(update("[update]\nwindow = \"Mon\"").windows, Some(vec![]));
    assert_eq!(update("[update]\nwindow = 1").windows, Some(vec![]));
    assert_eq!(update("[update]\nwindow = []").windows, Some(vec![]));
    assert!(!update("[update]\nreboot = \"yes\"").reboot);
    assert_eq!(update("[update]\nsignatures = false").signatures, Signatures::Required);
    let strictness = |text: &str| {
        let found = update(&format!("[update]\n{text}"));
        (found.keys_threshold, found.identity, found.signature_max_days)
    };
    assert_eq!(strictness(""), (1, Identity::Repository, None));
    let said = "keys_threshold = 2\nidentity = \"tag\"\nsignature_max_days = 90";
    assert_eq!(strictness(said), (2, Identity::Tag, Some(90)));
    let slips = "keys_threshold = 0\nidentity = \"channel\"\nsignature_max_days = \"90d\"";
    assert_eq!(strictness(slips), (16, Identity::Tag, Some(1)));
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
    let reported: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(reported, ["f:3:10: it is not UTF-8 from here on; nothing in it applies"]);
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
    for _ in 0..300 {
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
        settings("f", deep.repeat(5_000).as_bytes());
    }
}

#[test]
fn what_is_wrong_in_the_tables_is_named() {
    let table: &[(&str, &str)] = &[
        ("hostname = \"no_de\"", "f:1:12: hostname: \"no_de\" is not a host's name, expected"),
        (
            "[network]\ndns = [\"192.0.2\"]",
            "f:2:8: network.dns: \"192.0.2\" is not an IP address, expected an IP address",
        ),
        ("[network]\ndns = 1", "f:2:7: network.dns: is a number, expected a list, each an IP address"),
        (
            "[network.interface]\nname = \"eth0\"",
            "f:1:1: network.interface: is a table, expected a list of tables, [[network.interface]]",
        ),
        (
            "[[network.interface]]\nmtu = 1500",
            "f:1:1: network.interface[0]: has neither a name nor a mac that fits, expected one of them",
        ),
        (
            "[[network.interface]]\nname = \"eth0\"\nmac = \"52:54:00:12:34:56\"",
            "f:1:1: network.interface.eth0: has both a name and a mac",
        ),
        (
            "[[network.interface]]\nname = \"eth0\"\nmtu = 10",
            "f:3:7: network.interface.eth0.mtu: is out of range, expected a number from 68 to 65535",
        ),
        (
            "[[network.interface]]\nname = \"eth0\"\nroutes = [{ to = \"default\" }]",
            "f:3:11: network.interface.eth0.routes[0]: leads everywhere without a gateway, expected via",
        ),
        (
            "[[network.interface]]\nname = \"eth0\"\nroutes = [{ via = \"192.0.2.1\" }]",
            "f:3:11: network.interface.eth0.routes[0].to: is missing, expected \"default\" or a network",
        ),
        ("[time]\nzone = \"CEST\"", "f:2:8: time.zone: there is no time zone \"CEST\", expected"),
        (
            "[kernel]\narguments = [\"init=/bin/sh\"]",
            "f:2:14: kernel.arguments: \"init\" is not one of them, expected an argument",
        ),
        (
            "[kernel.sysctl]\n\"kernel.panic\" = 0",
            "f:2:1: kernel.sysctl.\"kernel.panic\": \"kernel.panic\" is not one of them",
        ),
        (
            "[kernel.sysctl]\nvm.swappiness = true",
            "f:2:17: kernel.sysctl.\"vm.swappiness\": is true or false, expected a number, or words in one line",
        ),
        (
            "[kernel.sysctl]\nkernel.threads-max = 1",
            "f:2:22: kernel.sysctl.\"kernel.threads-max\": \"1\" is out of range, expected a number from 4096 to 1073741823 (with less",
        ),
        ("[[registry]]\nhosst = \"r.example\"", "f:1:1: registry[0].host: is missing"),
        (
            "[[registry]]\nhost = \"r.example\"\nusername = \"me\"",
            "f:3:12: registry.\"r.example\": has credentials that do not belong together",
        ),
        ("[runtime]\ndefault = \"runsc\"", "f:2:11: runtime.default: is \"runsc\", expected \"runc\" or \"crun\""),
        (
            "[runtime]\nlog_max_size = \"1KiB\"",
            "f:2:16: runtime.log_max_size: \"1KiB\" is out of range, expected a size from \"64KiB\" to \"10GiB\" (units: B, K, M, G;",
        ),
        ("[metrics]\nlisten = \"9100\"", "f:2:10: metrics.listen: \"9100\" is not an address and a port"),
        (
            "[metrics]\nlisten = \"[::]:9100\"",
            "f:2:10: metrics: is not listened on: metrics leave the node over TLS only",
        ),
        ("[api]\nlisten = \"9600\"", "f:2:10: api.listen: \"9600\" is not an address and a port"),
        (
            "[api]\nlisten = \"[::]:9600\"",
            "f:2:10: api: is not listened on: nothing says whose certificates are let in, expected client_ca",
        ),
        (
            "[api]\nrevoked_roles = [\"root\"]",
            "f:2:17: api.revoked_roles: \"root\" is not a role, expected a list of \"reader\", \"operator\" and \"admin\"",
        ),
        (
            "[log]\nlevel = \"loud\"",
            "f:2:9: log.level: is \"loud\", expected \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ),
        (
            "version = 2",
            "f:1:11: version: is 2, which a newer release wrote; the keys that this one knows apply, expected 1",
        ),
        ("version = \"1\"", "f:1:11: version: is a text, expected 1"),
    ];
    for (text, expected) in table {
        let reported = reported(text);
        assert!(
            reported.first().is_some_and(|reported| reported.starts_with(expected)),
            "{text:?}: {reported:#?}\nexpected {expected}"
        );
    }
}

#[test]
fn an_entry_that_means_nothing_costs_only_itself() {
    let (found, problems) =
        settings("f", b"[[registry]]\nhost = \"r_example\"\n[[registry]]\nhost = \"r.example\"\nplain_http = 1\n");
    assert_eq!(found.registries.len(), 1);
    assert!(!found.registries[0].access.plain_http);
    assert_eq!(problems.len(), 2);
}
