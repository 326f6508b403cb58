//! Documents before and after.

use super::*;

const DOCUMENT: &str = "# mine
hostname = \"a\" # short

[update]
auto = false # not yet

[[registry]]
host = \"r.example\"
password = \"s3cret\" # of the robot
username = \"me\"

[kernel.sysctl]
vm.swappiness = 10
";

#[test]
fn a_key_is_set_and_comments_stay() {
    let table = [
        ("hostname", "b", "hostname = \"b\" # short"),
        ("hostname", "\"b\"", "hostname = \"b\" # short"),
        ("update.auto", "true", "auto = true # not yet"),
        ("update.window", "[\"daily 01:00-02:00 UTC\"]", "window = [\"daily 01:00-02:00 UTC\"]"),
        ("network.proxy.https", "http://p:1", "[network.proxy]\nhttps = \"http://p:1\""),
        ("registry.\"r.example\".plain_http", "true", "plain_http = true"),
        (
            "registry.\"q.example:5000\".ca",
            include_str!("../../tests/ca.pem"),
            "[[registry]]\nhost = \"q.example:5000\"\nca = ",
        ),
        ("registry.\"r.example\".mirrors", "[{ host = \"m.example\" }]", "mirrors = [{ host = \"m.example\" }]"),
        ("network.interface.eth0.mtu", "1400", "[[network.interface]]\nname = \"eth0\"\nmtu = 1400"),
        ("network.interface.\"52:54:00:12:34:56\".dhcp", "ipv4", "mac = \"52:54:00:12:34:56\"\ndhcp = \"ipv4\""),
        ("kernel.sysctl.vm.swappiness", "20", "vm.swappiness = 20"),
        ("kernel.sysctl.\"vm.swappiness\"", "20", "vm.swappiness = 20"),
        ("kernel.sysctl.net.core.somaxconn", "4096", "\"net.core.somaxconn\" = 4096"),
        (
            "cluster.prod.servers",
            "[\"https://a.example\"]",
            "[[cluster]]\nname = \"prod\"\nservers = [\"https://a.example\"]",
        ),
    ];
    for (key, value, expected) in table {
        let changed = set(DOCUMENT, key, value, &[]).unwrap_or_else(|refused| panic!("{key}: {refused}"));
        assert!(changed.contains(expected), "{key}: {changed}");
        assert!(changed.contains("# mine") && changed.contains("# of the robot"), "{changed}");
        assert_eq!(set(&changed, key, value, &[]).unwrap(), changed, "{key}: twice is once");
    }
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let table = [
        ("update.auto", "yes", "settings: update.auto: does not fit, expected true or false"),
        ("update.image", "ballast", "settings:6:9: update.image: names no registry, expected where a release is"),
        ("update.window", "[daily", "settings: update.window: does not fit, expected a list"),
        ("update.window", "daily", "update.window: \"daily\" is not a window"),
        ("update.window", "[\"daily\"]", "update.window: \"daily\" is not a window"),
        ("updat.auto", "true", "settings: updat.auto: there is no such key; did you mean update?"),
        ("update", "true", "settings: update: is a table, expected one of image, auto, window, reboot, signatures"),
        (
            "registry.\"r.example\"",
            "true",
            "settings: registry.\"r.example\": is a table, expected one of host, mirrors",
        ),
        ("registry", "x", "settings: registry: is a list of tables, expected registry.WHICH.KEY"),
        ("hostname.x", "x", "settings: hostname.x: has no keys in it"),
        ("kernel.sysctl.kernel.panic", "0", "\"kernel.panic\" is not one of them"),
        ("registry.\"q.example\".username", "me", "has credentials that do not belong together"),
        ("a b", "x", "settings: a b: is no key"),
    ];
    for (key, value, expected) in table {
        let refused = set(DOCUMENT, key, value, &[]).unwrap_err().to_string();
        assert!(refused.contains(expected), "{key}: {refused}\nexpected {expected}");
    }
    let refused = set("update = [", "update.auto", "true", &[]).unwrap_err().to_string();
    assert!(refused.starts_with("settings:1:"), "{refused}");
    let refused = set("network = { dns = [] }", "network.interface.eth0.mtu", "1400", &[]).unwrap_err().to_string();
    assert!(refused.contains("cannot be"), "{refused}");
}

#[test]
fn what_was_wrong_before_hinders_nobody() {
    let document = "[update]\nauto = 7\nx = 1\n[health]\nnetwork = false\n";
    assert!(set(document, "health.network", "true", &[]).unwrap().contains("network = true"));
    assert!(unset(document, "update.auto", &[]).is_ok());
}

#[test]
fn a_key_is_taken_out() {
    for (key, gone) in [
        ("hostname", "hostname"),
        ("update", "[update]"),
        ("registry.\"r.example\"", "registry"),
        ("kernel.sysctl.vm.swappiness", "swappiness"),
        ("kernel", "sysctl"),
    ] {
        let changed = unset(DOCUMENT, key, &[]).unwrap_or_else(|refused| panic!("{key}: {refused}"));
        assert!(!changed.contains(gone), "{key}: {changed}");
        assert_eq!(unset(&changed, key, &[]).unwrap_err().to_string(), format!("settings: {key}: is not set here"));
    }
    let refused = unset(DOCUMENT, "registry.\"r.example\".username", &[]).unwrap_err().to_string();
    assert!(refused.contains("credentials that do not belong together"), "{refused}");
}

#[test]
fn a_difference_shows_no_secret() {
    let new = DOCUMENT.replace("s3cret", "s3cret-2").replace("\"a\"", "\"b\"");
    let reported = difference(DOCUMENT, &new).unwrap();
    assert!(reported.contains("-hostname = \"a\" # short\n+hostname = \"b\" # short\n"), "{reported}");
    assert!(
        reported.contains("-password = \"(secret 1)\" # of the robot\n+password = \"(secret 2)\" # of the robot\n"),
        "{reported}"
    );
    assert_eq!(difference(DOCUMENT, DOCUMENT).unwrap(), "");

    let hidden = "[[registry]]\nhost = \"r.example\"\npasword = \"s3cret\"\nmirrors = [{ host = \"m.example\", token = \"s3cret\" }]
[network.proxy]\nhttps = \"http://me:s3cret@p:1\"\n[registri.x]\npassword = [\"s3cret\"]\n[[cluster]]\ntoken = { s3cret = \"s3cret\" }\n";
    let reported = difference("", hidden).unwrap();
    assert!(!reported.contains("\"s3cret") && !reported.contains(":s3cret"), "{reported}");
    assert!(reported.contains("+https = \"(secret 2)@p:1\""), "{reported}");
    assert!(difference("a = ", hidden).is_err());
}

#[test]
fn a_key_is_found_where_it_stands() {
    let document = "hostname = \"a\"\n[update]\nwindow = [\"daily 02:00-04:00 UTC\"]\n[[registry]]\nhost = \"r.example:5000\"\nplain_http = true\n\
                    [[network.interface]]\nmac = \"52:54:00:ab:cd:ef\"\nmtu = 1400\n[kernel.sysctl]\n\"vm.swappiness\" = 10\n";
    for (key, expected) in [
        ("hostname", Some("\"a\"")),
        ("update.window", Some("[\"daily 02:00-04:00 UTC\"]")),
        ("update", Some("{\"window\":[\"daily 02:00-04:00 UTC\"]}")),
        ("update.auto", None),
        ("registry.\"r.example:5000\".plain_http", Some("true")),
        ("registry.other.plain_http", None),
        ("registry.other", None),
        ("api.listen", None),
        ("network.interface.\"52-54-00-AB-CD-EF\".mtu", Some("1400")),
        ("kernel.sysctl.vm.swappiness", Some("10")),
        ("kernel.sysctl", Some("{\"vm.swappiness\":10}")),
    ] {
        let found = super::get(document, key).unwrap().map(|value| value.to_string());
        assert_eq!(found.as_deref(), expected, "{key}");
    }
    for (key, expected) in [
        ("update.autos", "did you mean auto?"),
        // Nothing of these is there.
        ("api.lisen", "did you mean listen?"),
        ("registry.other.plain_htp", "did you mean plain_http?"),
        ("hostname.x", "has no keys in it"),
        ("", "is no key"),
    ] {
        let reported = super::get(document, key).unwrap_err().to_string();
        assert!(reported.contains(expected), "{reported}");
    }
    assert!(super::json(document).unwrap()["network"]["interface"][0]["mtu"] == 1400);
}
