//! Whole files: what applies, and what is said of the rest.

mod clusters;
mod wrong;

use std::time::Duration;

use crate::{
    Rank, Source,
    model::{
        ApiRole, Authority, ClusterRole, Credential, Credentials, Dhcp, LogLevel, OciRuntime, Problem, Settings,
        Signatures,
    },
    values::Hostname,
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

/// A file with every key in it.
const WHOLE: &str = include_str!("../../../tests/golden/whole.toml");

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
fn keys_with_points_need_no_quotes() {
    let (found, problems) = settings("f", b"[kernel.sysctl]\nnet.core.somaxconn = 4096\nvm.swappiness = \"10\"\n");
    assert_eq!(problems, []);
    let reported: Vec<String> = found.kernel.sysctl.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(reported, ["net.core.somaxconn=4096", "vm.swappiness=10"]);
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
    let changed = crate::edit::set(&newer, "hostname", "b", &[]).unwrap();
    assert_eq!(changed, newer.replace("\"a\"", "\"b\""));
}
