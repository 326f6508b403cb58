//! Which memberships to begin and to end: pure functions of the settings and of the existing ones.

use core::net::{IpAddr, SocketAddr};

use ballast_types::status::Traffic;

use super::model::{Asked, Authority, Config, Credentials, DEFAULT_POOL, Order, Report, Role, Secret, State, Step};
use crate::settings::model as settings;

/// What leads from the memberships `running` to those that the settings want. What changed is ended and begun again. `is_kept`: whether the
/// machine keeps what it was given when it joined a cluster of that name.
pub fn plan<'a>(
    running: impl Iterator<Item = &'a Config> + Clone,
    wanted: &[settings::Cluster],
    is_kept: impl Fn(&str) -> bool,
) -> Vec<Step> {
    let wanted: Vec<Config> = wanted.iter().filter_map(|cluster| config(cluster, &is_kept)).collect();
    let surplus = running.clone().filter(|known| !wanted.contains(known));
    let mut steps: Vec<Step> = surplus.map(|known| Step::End { name: known.name.clone() }).collect();
    let missing = wanted.into_iter().filter(|config| !running.clone().any(|known| known == config));
    steps.extend(missing.map(|config| Step::Begin { config: Box::new(config) }));
    steps
}

/// A cluster of the settings as a membership takes it; None if there is nothing to join it with.
pub fn config(cluster: &settings::Cluster, is_kept: impl Fn(&str) -> bool) -> Option<Config> {
    let credentials = match &cluster.credential {
        None if is_kept(&cluster.name.to_string()) => Credentials::Kept,
        None => return None,
        Some(settings::Credential::Token(token)) => Credentials::Token(Secret::new(token.reveal())),
        Some(settings::Credential::Kubeconfig(text)) => Credentials::Kubeconfig(Secret::new(text.reveal())),
        Some(settings::Credential::Certificate { certificate, key }) => {
            Credentials::Certificate { certificate: certificate.to_string(), key: Secret::new(key.reveal()) }
        }
    };
    let authority = match &cluster.authority {
        None => Authority::Image,
        Some(settings::Authority::Certificates(certificates)) => Authority::Pem(certificates.to_string()),
        Some(settings::Authority::Hash(hash)) => Authority::Hash(hash.hex().to_owned()),
    };
    Some(Config {
        name: cluster.name.to_string(),
        servers: cluster.servers.iter().map(ToString::to_string).collect(),
        authority,
        credentials,
        role: role(cluster.role),
        pool: cluster.pool.as_ref().map_or_else(|| DEFAULT_POOL.to_owned(), ToString::to_string),
        node_name: cluster.node_name.as_ref().map(ToString::to_string),
        node_labels: cluster.node_labels.iter().map(|(label, value)| (label.key().clone(), value.clone())).collect(),
        node_taints: cluster.node_taints.clone(),
    })
}

/// What is reported about a cluster that cannot be joined, since the settings have nothing to join it with.
pub fn without_credentials(cluster: &settings::Cluster) -> Report {
    let problem = "the settings name no token, kubeconfig or client certificate to join it with";
    let problems = vec![problem.to_owned()];
    Report { name: cluster.name.to_string(), role: role(cluster.role), problems, ..Report::default() }
}

/// Why an order is not carried out: of several clusters whose NodeOS name images, the one that the settings have first is followed. Else each
/// would undo what another did, without end.
pub fn overruled(asked: &Asked, reports: &[Report], wanted: &[settings::Cluster]) -> Option<String> {
    let named = |name: &str| reports.iter().find(|report| report.name == name)?.image.as_deref();
    let own = match &asked.order {
        Order::Prepare { image, .. } => Some(image.as_str()),
        Order::Reboot { .. } => named(&asked.cluster),
        // One cluster alone has the role: the settings see to it.
        Order::Kubelet { .. } => return None,
    };
    let names = wanted.iter().map(|cluster| cluster.name.to_string());
    let (first, image) = names.filter_map(|name| named(&name).map(|image| (name, image))).next()?;
    let is_other = first != asked.cluster && Some(image) != own;
    is_other.then(|| format!("cluster {first:?} asks for {image}; one cluster alone may name the image"))
}

fn role(role: settings::ClusterRole) -> Role {
    match role {
        settings::ClusterRole::Node => Role::Node,
        settings::ClusterRole::Kubelet => Role::Kubelet,
        settings::ClusterRole::ReportOnly => Role::ReportOnly,
    }
}

/// Where others reach what listens at `listen`, `ADDRESS:PORT`: on all addresses is on the first of `addresses`.
pub fn reachable(listen: &str, addresses: &[IpAddr]) -> String {
    match (listen.parse::<SocketAddr>(), addresses.first()) {
        (Ok(socket), Some(first)) if socket.ip().is_unspecified() => SocketAddr::new(*first, socket.port()).to_string(),
        (Ok(_) | Err(_), _) => listen.to_owned(),
    }
}

/// What people must know of a membership, one sentence each.
pub fn reasons(report: &Report) -> Vec<String> {
    let name = &report.name;
    let state = match &report.state {
        State::Off | State::Joining | State::Connected => None,
        State::WaitingForClock => {
            Some(format!("cluster {name} is not joined yet: the clock is not set; see time.servers in the settings"))
        }
        State::Unreachable { reason, .. } => {
            Some(format!("cluster {name} does not answer: {reason}; see ballast doctor"))
        }
        State::Refused { reason } => Some(format!("cluster {name} refuses this node: {reason}")),
    };
    let problems = report.problems.iter().map(|problem| format!("cluster {name}: {problem}"));
    state.into_iter().chain(problems).collect()
}

/// Whether a report has something else to report people than the one before: its counters always grow.
pub fn is_news(before: &Report, now: &Report) -> bool {
    let reported = |report: &Report| Report { traffic: Traffic::default(), ..report.clone() };
    reported(before) != reported(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(text: &str) -> Vec<settings::Cluster> {
        let source = ballast_settings::Source::new("f", ballast_settings::Rank::Node, text.as_bytes());
        let (found, problems) = ballast_settings::settings(&[source]);
        assert_eq!(problems, []);
        found.clusters
    }

    fn cluster(name: &str, keys: &str) -> String {
        format!("[[cluster]]\nname = \"{name}\"\nservers = [\"https://{name}.example\"]\ntoken = \"s3cret\"\n{keys}\n")
    }

    /// As `-a +b`.
    fn reported(steps: &[Step]) -> String {
        let reported = steps.iter().map(|step| match step {
            Step::End { name } => format!("-{name}"),
            Step::Begin { config } => format!("+{}", config.name),
        });
        reported.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_what_changed_is_begun_again() {
        let (a, b) = (cluster("a", ""), cluster("b", ""));
        let table = [
            (String::new(), String::new(), ""),
            (String::new(), format!("{a}{b}"), "+a +b"),
            (format!("{a}{b}"), format!("{b}{a}"), ""),
            (format!("{a}{b}"), b.clone(), "-a"),
            (format!("{a}{b}"), format!("{}{b}", cluster("a", "pool = \"gpu\"")), "-a +a"),
            (a.clone(), a.replace("s3cret", "s3cret-2"), "-a +a"),
            (a.clone(), a.replace("token", "#"), "-a"),
        ];
        for (running, wanted, expected) in table {
            let running: Vec<Config> = clusters(&running).iter().filter_map(|one| config(one, |_| false)).collect();
            assert_eq!(
                reported(&plan(running.iter(), &clusters(&wanted), |_| false)),
                expected,
                "{running:?} {wanted}"
            );
        }
    }

    #[test]
    fn a_membership_gets_all_that_the_settings_say() {
        let keys = format!(
            "ca_hash = \"sha256:{}\"\nrole = \"report-only\"\nnode_name = \"n1\"\nnode_labels = {{ rack = \"r7\" }}",
            "AB".repeat(32)
        );
        let found = config(&clusters(&cluster("a", &keys))[0], |_| true).unwrap();
        assert_eq!((found.name.as_str(), found.pool.as_str(), found.role), ("a", "default", Role::ReportOnly));
        assert_eq!(
            (found.servers, found.authority),
            (vec!["https://a.example".to_owned()], Authority::Hash("ab".repeat(32)))
        );
        assert_eq!((found.node_name.as_deref(), found.node_labels.len()), (Some("n1"), 1));
        assert!(matches!(found.credentials, Credentials::Token(token) if token.reveal() == "s3cret"));
    }

    #[test]
    fn a_token_may_go_once_the_node_has_joined() {
        let found = &clusters(&cluster("a", "").replace("token", "#"))[0];
        assert_eq!(config(found, |name| name == "a").unwrap().credentials, Credentials::Kept);
        assert_eq!(config(found, |name| name == "b"), None);
    }

    #[test]
    fn of_several_clusters_the_first_that_names_an_image_is_followed() {
        let wanted = clusters(&format!("{}{}{}", cluster("idle", ""), cluster("b", ""), cluster("a", "")));
        let report = |name: &str, image: Option<&str>| Report {
            name: name.to_owned(),
            image: image.map(str::to_owned),
            ..Report::default()
        };
        let reports = [report("a", Some("os:1")), report("b", Some("os:2")), report("idle", None)];
        let reported = |reports: &[Report], cluster: &str, image: Option<&str>| {
            let order = match image {
                Some(image) => Order::Prepare { id: 1, image: image.to_owned() },
                None => Order::Reboot { reason: String::new() },
            };
            overruled(&Asked { cluster: cluster.to_owned(), order }, reports, &wanted)
        };
        let refused = Some("cluster \"b\" asks for os:2; one cluster alone may name the image".to_owned());
        assert_eq!(reported(&reports, "a", Some("os:1")), refused);
        assert_eq!(reported(&reports, "a", None), refused);
        assert_eq!(reported(&reports, "a", Some("os:2")), None, "they agree");
        assert_eq!(reported(&reports, "b", Some("os:2")), None);
        assert_eq!(reported(&reports, "b", None), None);
        assert_eq!(reported(&reports[..1], "a", Some("os:1")), None, "nobody else names one");
    }

    #[test]
    fn what_stands_in_the_way_is_reported() {
        let report = |state, problems: &[&str]| Report {
            name: "a".to_owned(),
            state,
            problems: problems.iter().map(|problem| (*problem).to_owned()).collect(),
            ..Report::default()
        };
        let reason = || "x".to_owned();
        let table: [(Report, &[&str]); 5] = [
            (report(State::Connected, &[]), &[]),
            (report(State::Connected, &["x"]), &["cluster a: x"]),
            (
                report(State::WaitingForClock, &[]),
                &["cluster a is not joined yet: the clock is not set; see time.servers in the settings"],
            ),
            (
                report(State::Unreachable { since: 1, reason: reason() }, &[]),
                &["cluster a does not answer: x; see ballast doctor"],
            ),
            (report(State::Refused { reason: reason() }, &["y"]), &["cluster a refuses this node: x", "cluster a: y"]),
        ];
        for (report, expected) in table {
            assert_eq!(reasons(&report), expected);
        }
    }

    #[test]
    fn what_listens_everywhere_is_reached_at_the_first_address() {
        let addresses = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        for (listen, expected) in [
            ("0.0.0.0:9600", "192.0.2.7:9600"),
            ("[::]:1", "192.0.2.7:1"),
            ("198.51.100.1:9600", "198.51.100.1:9600"),
            ("?", "?"),
        ] {
            assert_eq!(reachable(listen, &addresses), expected);
        }
        assert_eq!(reachable("[::]:1", &addresses[1..]), "[2001:db8::7]:1");
        assert_eq!(reachable("0.0.0.0:9600", &[]), "0.0.0.0:9600");
    }

    #[test]
    fn counters_are_no_news() {
        let report = Report { traffic: Traffic { requests: 1, ..Traffic::default() }, ..Report::default() };
        assert!(!is_news(&Report::default(), &report));
        assert!(is_news(&report, &Report { state: State::Joining, ..report.clone() }));
    }
}
