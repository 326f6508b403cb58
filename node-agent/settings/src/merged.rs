//! All sources, merged: if several have a key, the first wins.

use crate::{
    fragment::{Budget, Fragment, Source},
    problem::Problem,
    tree::Table,
};

/// What all sources say, each value with its place, the source that counts most on top.
///
/// Nothing is thrown away here: whoever reads a key goes down the layers until one of them has a value that fits. Tables
/// are looked through key by key, lists are taken or left as a whole.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    layers: Vec<Fragment>,
}

impl Merged {
    pub(crate) fn new(sources: &[Source<'_>]) -> Self {
        let mut sorted: Vec<&Source<'_>> = sources.iter().collect();
        // Of the same rank the first counts more: the sort is stable.
        sorted.sort_by_key(|source| source.rank);
        let mut budget = Budget::new();
        Self { layers: sorted.into_iter().flat_map(|source| Fragment::parse(source, &mut budget)).collect() }
    }

    /// What each source says, the one that counts most first.
    pub(crate) fn tables(&self) -> Vec<&Table> {
        self.layers.iter().map(|fragment| &fragment.table).collect()
    }

    /// The sources' names, in the same order.
    pub(crate) fn sources(&self) -> Vec<&str> {
        self.layers.iter().map(|fragment| &*fragment.source).collect()
    }

    /// What could not be read.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.layers.iter().flat_map(|fragment| &fragment.problems)
    }

    /// What is there and not taken, and nobody's mistake.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &Problem> {
        self.layers.iter().flat_map(|fragment| &fragment.notes)
    }

    /// Whether `problem` is with something that a platform wrote by itself.
    pub(crate) fn is_of_platform(&self, problem: &Problem) -> bool {
        self.layers.iter().any(|fragment| fragment.is_of_platform && *fragment.source == *problem.file)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Outcome, Rank, Source,
        model::{Credentials, Settings},
        read, settings,
    };

    const RANKS: [Rank; 6] = [Rank::Node, Rank::Credential, Rank::Volume, Rank::Esp, Rank::Metadata, Rank::Image];

    /// The sources `texts`, the first of the rank that counts most; given in an order that says nothing.
    fn merged(texts: &[&str]) -> Outcome {
        let names: Vec<String> = RANKS.iter().map(|rank| format!("{rank:?}")).collect();
        let layers = RANKS.iter().zip(&names).zip(texts);
        let mut sources: Vec<_> =
            layers.map(|((rank, name), text)| Source::new(name, *rank, text.as_bytes())).collect();
        sources.reverse();
        read(&sources)
    }

    fn settings_of(texts: &[&str]) -> Settings {
        merged(texts).settings
    }

    #[test]
    fn f04_the_first_source_that_says_a_key_holds() {
        for first in 0..RANKS.len() {
            let names: Vec<String> = (0..RANKS.len()).map(|index| format!("hostname = \"n{index}\"")).collect();
            let mut texts: Vec<&str> = vec![""; first];
            texts.extend(names.iter().skip(first).map(String::as_str));
            assert_eq!(settings_of(&texts).hostname.unwrap().as_str(), format!("n{first}"));
        }
    }

    #[test]
    fn tables_are_merged_by_key_and_lists_as_a_whole() {
        let found = settings_of(&[
            "[time]\nservers = [\"a.example\"]",
            "[time]\nservers = [\"b.example\", \"c.example\"]\nzone = \"UTC\"",
            "[kernel.sysctl]\nvm.swappiness = 1",
            "[kernel.sysctl]\nvm.swappiness = 2\nvm.overcommit_memory = 1",
        ]);
        assert_eq!(found.time.servers.len(), 1);
        assert!(found.time.zone.is_some());
        let sysctl: Vec<String> = found.kernel.sysctl.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(sysctl, ["vm.overcommit_memory=1", "vm.swappiness=1"]);
        assert_eq!(settings_of(&["[time]\nservers = []", "[time]\nservers = [\"b.example\"]"]).time.servers, []);
    }

    #[test]
    fn registries_are_merged_by_host_and_interfaces_by_name() {
        let found = settings_of(&[
            "[[registry]]\nhost = \"r.example\"\ntoken = \"t\"\n[[network.interface]]\nmac = \"52-54-00-AB-CD-EF\"\nmtu = 9000",
            "[[registry]]\nhost = \"q.example\"\n[[registry]]\nhost = \"r.example\"\nmirrors = [{ host = \"m.example\" }]",
            "[[network.interface]]\nmac = \"52:54:00:ab:cd:ef\"\nmtu = 1400\ndhcp = \"ipv4\"",
        ]);
        let hosts: Vec<&str> = found.registries.iter().map(|registry| registry.host.as_str()).collect();
        assert_eq!(hosts, ["r.example", "q.example"]);
        assert_eq!(found.registries[0].mirrors.len(), 1);
        assert!(matches!(found.registries[0].access.credentials, Some(Credentials::Token(_))));
        let [interface] = found.network.interfaces.as_slice() else { panic!("{found:?}") };
        assert_eq!((interface.mtu, interface.dhcp), (Some(9000), crate::model::Dhcp::Ipv4));
    }

    #[test]
    fn credentials_are_those_of_one_source() {
        let with = |keys: &str| format!("[[registry]]\nhost = \"r.example\"\n{keys}");
        let password = with("username = \"me\"\npassword = \"p\"\nplain_http = true");
        let found = merged(&[&with("token = \"t\""), &password]);
        assert_eq!(found.problems, []);
        let access = &found.settings.registries[0].access;
        assert!(matches!(&access.credentials, Some(Credentials::Token(_))) && access.plain_http, "{access:?}");
        let found = merged(&[&with("username = \"you\""), &password]);
        assert_eq!(found.settings.registries[0].access.credentials, None);
        assert_eq!((found.problems.len(), found.problems[0].file.as_str()), (1, "Node"));
    }

    #[test]
    fn a_cluster_gets_place_and_credentials_from_one_source_each() {
        let with = |keys: &str| format!("[[cluster]]\nname = \"a\"\n{keys}");
        let place = with("servers = [\"https://a.example\"]\nca_hash = \"sha256:HASH\"\nrole = \"report-only\"");
        let place = place.replace("HASH", &"ab".repeat(32));
        let found = settings_of(&[&with("token = \"mine\"\nservers = [\"https://b.example\"]"), &place]);
        let [cluster] = found.clusters.as_slice() else { panic!("{found:?}") };
        assert_eq!((cluster.servers[0].as_str(), &cluster.authority), ("https://b.example", &None));
        assert_eq!(cluster.role, crate::model::ClusterRole::ReportOnly);
        assert!(cluster.credential.is_some());
        let found = settings_of(&[&with("token = \"mine\""), &place]).clusters;
        assert!(found[0].authority.is_some() && found[0].credential.is_some());
    }

    #[test]
    fn what_does_not_fit_gives_way_to_what_counts_less() {
        let Outcome { settings, problems, origins, .. } =
            merged(&["hostname = \"no_de\"\n[log]\nlevel = \"loud\"", "hostname = \"node\"\n[log]\nlevel = \"warn\""]);
        assert_eq!(settings.hostname.unwrap().as_str(), "node");
        assert_eq!(settings.log.level, crate::model::LogLevel::Warn);
        let reported: Vec<&str> = problems.iter().map(|problem| problem.file.as_str()).collect();
        assert_eq!(reported, ["Node", "Node"]);
        assert_eq!(&*origins["hostname"].source, "Credential");
        assert_eq!(origins["log.level"].place.unwrap().line, 3);
    }

    #[test]
    fn in_update_a_slip_never_leaves_a_node_doing_more() {
        let below = "[update]\nauto = true\nreboot = true\nwindow = [\"daily 00:00-24:00 UTC\"]\nsignatures = \"none\"";
        let update =
            settings_of(&["[update]\nauto = \"no\"\nreboot = \"no\"\nwindow = \"x\"\nsignatures = 1", below]).update;
        assert_eq!((update.auto, update.reboot, update.windows), (false, false, Some(vec![])));
        assert_eq!(update.signatures, crate::model::Signatures::Required);
        assert!(settings_of(&["[update]\nreboot = false", below]).update.auto);
    }

    #[test]
    fn problems_are_reported_source_by_source() {
        let sources = [Source::new("b", Rank::Image, b"y = 1\nx = 1\n"), Source::new("a", Rank::Node, b"z = 1")];
        let reported: Vec<String> =
            settings(&sources).1.iter().map(|problem| format!("{}{:?}", problem.file, problem.key)).collect();
        assert_eq!(reported, ["aSome(\"z\")", "bSome(\"y\")", "bSome(\"x\")"]);
    }
}
