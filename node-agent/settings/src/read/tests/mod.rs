//! Whole files: what applies, and what is said of the rest.

use std::time::Duration;

use crate::{
    Rank, Source,
    model::{
        ApiRole, Authority, ClusterRole, Credential, Credentials, Dhcp, Identity, LogLevel, OciRuntime, Problem,
        Settings, Signatures,
    },
    values::Hostname,
    window::Window,
};

fn settings(name: &str, bytes: &[u8]) -> (Settings, Vec<Problem>) {
    crate::settings(&[Source::new(name, Rank::Node, bytes)])
}

fn reported(text: &str) -> Vec<String> {
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

/// Neither a comment nor the first key makes it anything else.
#[test]
fn the_nodes_own_document_is_toml_whatever_it_begins_with() {
    for comment in ["#cloud-config", "#!/bin/sh", "#include", "## template: jinja"] {
        let (found, problems) = settings("f", format!("{comment}\nhostname = \"a\"\n").as_bytes());
        assert_eq!(
            (found.hostname.map(|name| name.to_string()).as_deref(), problems),
            (Some("a"), vec![]),
            "{comment}"
        );
    }
    let (_, problems) = settings("f", b"#!/bin/sh\nrm -rf /\n");
    assert!(problems.len() == 1 && problems[0].what.contains("a script"), "{problems:?}");
}

#[test]
fn mirrors_at_one_host_and_port_have_one_account() {
    const FIRST: &str = "[[registry]]\nhost = \"docker.io\"\nmirrors = [{ host = \"m.example:5000/hub\", token = \"one\" }]\n\
                         [[registry]]\nhost = \"quay.io\"\n";
    let of = |mirror: &str| reported(&format!("{FIRST}mirrors = [{{ host = {mirror} }}]\n"));
    let found = of("\"m.example:5000/quay\", token = \"two\"");
    assert!(
        matches!(&found[..], [reported] if reported.starts_with("f:6:") && reported.contains("m.example:5000") && !reported.contains("two")),
        "{found:?}"
    );
    for right in [
        "\"m.example:5000/quay\", token = \"one\"",
        "\"m.example:5001/quay\", token = \"two\"",
        "\"m.example:5000/quay\"",
    ] {
        assert_eq!(of(right), [""; 0], "{right}");
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

/// A file with every key in it.
const WHOLE: &str = include_str!("../../tests/golden/whole.toml");

#[test]
fn every_key_applies() {
    let (found, problems) = settings("f", WHOLE.as_bytes());
    assert_eq!(problems, []);
    assert_eq!(found.hostname.as_ref().map(Hostname::as_str), Some("node1.example.com"));
    let [eth0, second] = found.network.interfaces.as_slice() else { panic!("{found:?}") };
    assert_eq!((eth0.dhcp, second.dhcp), (Dhcp::No, Dhcp::Ipv4));
    assert_eq!((eth0.routes.len(), eth0.mtu, eth0.required, second.required), (2, Some(9000), true, false));
    let [hub, own] = found.registries.as_slice() else { panic!("{found:?}") };
    assert_eq!(hub.mirrors[1].place.path(), "hub");
    assert!(hub.mirrors[1].access.plain_http && !hub.access.plain_http);
    assert!(matches!(&own.access.credentials, Some(Credentials::Token(token)) if token.reveal() == "s3cret-token"));
    assert_eq!(found.kernel.sysctl.len(), 2);
    assert_eq!(found.runtime.default, OciRuntime::Crun);
    let [prod, lab, elsewhere] = found.clusters.as_slice() else { panic!("{found:?}") };
    assert_eq!((prod.servers.len(), prod.node_labels.len(), prod.node_taints.len()), (2, 2, 1));
    assert_eq!((prod.role, lab.role), (ClusterRole::Node, ClusterRole::ReportOnly));
    assert!(
        matches!(lab.authority, Some(Authority::Hash(_)))
            && matches!(lab.credential, Some(Credential::Certificate { .. }))
    );
    assert!(matches!(elsewhere.credential, Some(Credential::Kubeconfig(_))) && elsewhere.servers.is_empty());
    assert_eq!(found.metrics.listen.as_ref().map(|listen| listen.address.port()), Some(9100));
    let api = found.api.listen.as_ref().unwrap();
    assert_eq!((api.revoked_serials.len(), api.revoked_roles.as_slice()), (1, &[ApiRole::Admin][..]));
    assert_eq!(found.log.level, LogLevel::Debug);
    // Not one table is as it is when nothing was said.
    let nothing = Settings::default();
    assert_ne!(found.time, nothing.time);
    assert_ne!(found.pods, nothing.pods);
    assert_ne!(found.network.proxy, nothing.network.proxy);
}

#[test]
fn secrets_are_shown_nowhere() {
    let (found, _) = settings("f", WHOLE.as_bytes());
    assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
    for text in [
        "[[registry]]\nhost = \"r.example\"\nusername = \"me\"\npassword = \"s3cret\\n\"",
        "[[registry]]\nhost = \"r.example\"\npassword = \"s3cret\"",
        "[[registry]]\nhost = \"r.example\"\npassword = [\"s3cret\"]",
        "[[registry]]\nhost = \"r.example\"\npassword = \"s3cret",
        "[[registry]]\nhost = \"r.example\"\npassword = s3cret",
        "[network.proxy]\nhttp = \"https://me:s3cret@proxy\"",
        "[network.proxy]\nhttp = \"http://me:s3cret$@proxy\"",
        "[cluster]\nname = \"a\"\ntoken = \"s3cret\"",
        "[[cluster]]\nname = \"a\"\ntoken = \"s3cret\\t\"",
        "[[cluster]]\nname = \"s3cret@a\"\ntoken = \"a\"",
        "[[cluster]]\nname = \"a\"\nkubeconfig = \"s3cret: [\"",
        "[[cluster]]\nname = \"a\"\nclient_key = \"s3cret\"",
        "[metrics]\nkey = \"s3cret\"",
        "[[registry]]\nhost = \"r.example\"\nusername = \"me:s3cret\"\npassword = \"x\"",
        "[[registry]]\nhost = \"me:s3cret@r.example\"",
        "[[cluster]]\nname = \"a\"\nservers = [\"https://me:s3cret@api.example\"]",
        "[network.proxy]\nno_proxy = [\"me:s3cret@proxy\"]",
        "update.image = \"https://me:s3cret@r.example/os\"",
    ] {
        let reported = reported(text);
        assert!(
            !reported.is_empty() && !reported.iter().any(|reported| reported.contains("s3cret")),
            "{text}: {reported:?}"
        );
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
fn keys_with_points_need_no_quotes() {
    let (found, problems) = settings("f", b"[kernel.sysctl]\nnet.core.somaxconn = 4096\nvm.swappiness = \"10\"\n");
    assert_eq!(problems, []);
    let reported: Vec<String> = found.kernel.sysctl.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(reported, ["net.core.somaxconn=4096", "vm.swappiness=10"]);
}

#[test]
fn an_entry_that_means_nothing_costs_only_itself() {
    let (found, problems) =
        settings("f", b"[[registry]]\nhost = \"r_example\"\n[[registry]]\nhost = \"r.example\"\nplain_http = 1\n");
    assert_eq!(found.registries.len(), 1);
    assert!(!found.registries[0].access.plain_http);
    assert_eq!(problems.len(), 2);
}

/// What is said of `keys` of the cluster a, and whether there is such a cluster.
fn cluster(keys: &str) -> (Vec<String>, bool) {
    let text = format!("[[cluster]]\nname = \"a\"\n{keys}");
    (reported(&text), !settings("f", text.as_bytes()).0.clusters.is_empty())
}

#[test]
fn a_cluster_is_never_joined_otherwise_than_was_wanted() {
    const SERVERS: &str = "servers = [\"https://a.example\"]\n";
    let refused = [
        ("", "f:1:1: cluster.a: names no server that fits; it does not apply, expected servers, or a kubeconfig"),
        ("servers = [\"http://a\"]", "f:3:12: cluster.a.servers: \"http://a\" is not a URL that begins with https://"),
        ("SERVERSca = \"x\"", "f:4:6: cluster.a.ca: has no certificate in it"),
        ("SERVERSca_hash = \"sha1:ab\"", "f:4:11: cluster.a.ca_hash: \"sha1:ab\" is not such a hash"),
        (
            "SERVERSrole = \"report_only\"",
            "f:4:8: cluster.a.role: is \"report_only\", expected \"node\", \"kubelet\" or \"report-only\"",
        ),
        ("SERVERSpool = \"A\"", "f:4:8: cluster.a.pool: \"A\" is not such a word"),
        ("SERVERSnode_name = \"A\"", "f:4:13: cluster.a.node_name: \"A\" is not a node's name"),
        ("SERVERStoken = \"a\"\nclient_key = \"b\"", "f:5:14: cluster.a.client_key: has no private key in it"),
        (
            "SERVERStoken = \"a\"\nkubeconfig = \"clusters: [{cluster: {server: https://a}}]\"",
            "f:4:9: cluster.a: has credentials that do not belong together",
        ),
    ];
    for (keys, expected) in refused {
        let (reported, is_there) = cluster(&keys.replace("SERVERS", SERVERS));
        assert!(reported.iter().any(|reported| reported.starts_with(expected)) && !is_there, "{keys}: {reported:#?}");
    }
    let only_named = [
        (
            "SERVERS[cluster.node_labels]\nrack = 7",
            "f:5:8: cluster.a.node_labels.rack: is a number, expected a label's value",
        ),
        (
            "SERVERS[cluster.node_labels]\n\"kubernetes.io/x\" = \"7\"",
            "f:5:1: cluster.a.node_labels.\"kubernetes.io/x\": \"kubernetes.io/x\" is not a node's own to give",
        ),
        ("SERVERSnode_taints = [\"a\"]", "f:4:16: cluster.a.node_taints: \"a\" is not a taint"),
    ];
    for (keys, expected) in only_named {
        let (reported, is_there) = cluster(&keys.replace("SERVERS", SERVERS));
        assert!(reported.iter().any(|reported| reported.starts_with(expected)) && is_there, "{keys}: {reported:#?}");
    }
    assert_eq!(cluster(SERVERS), (vec![], true));
}

#[test]
fn there_are_eight_clusters_at_most() {
    let text: String =
        (0..9).map(|index| format!("[[cluster]]\nname = \"c{index}\"\nservers = [\"https://a.example\"]\n")).collect();
    assert_eq!(reported(&text), ["f:25:1: cluster.c8: is one cluster too many; it does not apply, expected at most 8"]);
    assert_eq!(settings("f", text.as_bytes()).0.clusters.len(), 8);
}

/// A newer release wrote it, and the node fell back.
#[test]
fn f06_of_a_newer_version_all_applies_that_is_known() {
    let this = "hostname = \"a\"\n[kernel.sysctl]\nvm.swappiness = 10\n[[registry]]\nhost = \"r.example\"\n";
    let newer = format!("version = 2\n{this}futuristic = true\n[future]\nkey = [{{ a = 1 }}]\n");
    let (found, problems) = settings("f", newer.as_bytes());
    assert_eq!(found, settings("f", this.as_bytes()).0);
    let reported: Vec<Option<&str>> = problems.iter().map(|problem| problem.key.as_deref()).collect();
    assert_eq!(reported, [Some("version"), Some("registry.\"r.example\".futuristic"), Some("future")]);
    // As long as no step leads from it to this version, it stays as it is written.
    assert!(crate::migrate::up(&newer).is_err());
    let changed = crate::edit::set(&newer, "hostname", "b").unwrap();
    assert_eq!(changed, newer.replace("\"a\"", "\"b\""));
}

#[test]
fn one_cluster_has_the_nodes_pods() {
    let cluster =
        |name: &str| format!("[[cluster]]\nname = \"{name}\"\nservers = [\"https://a.example\"]\nrole = \"kubelet\"\n");
    let (found, problems) = settings("f", format!("{}{}", cluster("one"), cluster("two")).as_bytes());
    assert_eq!((found.clusters.len(), found.clusters[0].role), (1, ClusterRole::Kubelet));
    assert!(problems[0].to_string().contains("cluster.two: is a second cluster with the role kubelet"), "{problems:?}");
}

#[test]
fn a_kubelet_is_told_what_is_peculiar_to_it() {
    let (found, problems) = settings(
        "f",
        b"[kubelet]\nimage = \"r.example/kubelet:1.33\"\ncluster_dns = \"10.96.0.10\"\nconfig = \"maxPods: 50\"\nnode_ip = \"x\"\n\
          reserved = { cpu = \"100m\", memory = \"lots\" }\n",
    );
    let kubelet = &found.kubelet;
    assert_eq!((kubelet.image.as_deref(), kubelet.cluster_dns.len()), (Some("r.example/kubelet:1.33"), 1));
    assert_eq!((kubelet.config.keys().len(), kubelet.cluster_domain.as_str()), (1, "cluster.local"));
    assert_eq!(kubelet.reserved.cpu.as_ref().map(|cpu| cpu.as_str()), Some("100m"));
    let keys: Vec<Option<&str>> = problems.iter().map(|problem| problem.key.as_deref()).collect();
    assert_eq!(keys, [Some("kubelet.node_ip"), Some("kubelet.reserved.memory")]);
    let (_, problems) = settings("f", b"[kubelet]\nconfig = \"staticPodPath: /x\"\n");
    assert!(problems[0].to_string().contains("has staticPodPath in it, which the node writes itself"), "{problems:?}");
}
