//! A pod's /etc/resolv.conf: the node's name servers as they are now, with what its manifest says. (resolv.conf(5))

use crate::pods::model::{Resolver, Spec};

/// Where it is seen inside.
pub(in crate::pods) const PATH: &str = "/etc/resolv.conf";

const HEAD: &str = "# The node's agent writes this file, and keeps it up to date.\n";

/// Whether the pod has another file than the runtime gives it, which is the node's: with the stub resolver in it, which is out of reach
/// for a pod with a network of its own.
pub(in crate::pods) fn is_own(spec: &Spec) -> bool {
    !spec.host_network || !spec.dns.is_empty()
}

/// The file; `node` is what the node's resolver says.
pub(in crate::pods) fn text(spec: &Spec, node: Resolver) -> String {
    let Resolver { servers, searches, options } = spec.dns.with(node);
    let mut text = HEAD.to_owned();
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (keyword, words) in [("search", searches), ("options", options)] {
        if !words.is_empty() {
            text.push_str(&format!("{keyword} {}\n", words.join(" ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::manifest;

    fn spec(fields: &str) -> Spec {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{{fields} containers: [{{name: c, image: x}}]}}}}"
        );
        manifest::parse("a.yaml", &text).unwrap().spec
    }

    #[test]
    fn it_has_the_nodes_servers_and_the_pods_words() {
        let node = || Resolver {
            servers: vec!["10.0.2.3".to_owned()],
            searches: vec!["site.example".to_owned()],
            options: vec!["edns0".to_owned()],
        };
        let of = |fields: &str| text(&spec(fields), node()).split_off(HEAD.len());
        assert_eq!(of(""), "nameserver 10.0.2.3\nsearch site.example\noptions edns0\n");
        let more =
            "dnsConfig: {nameservers: [192.0.2.53], searches: [b.example], options: [{name: ndots, value: '2'}]},";
        assert_eq!(
            of(more),
            "nameserver 10.0.2.3\nnameserver 192.0.2.53\nsearch site.example b.example\noptions edns0 ndots:2\n"
        );
        assert_eq!(of("dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53]},"), "nameserver 192.0.2.53\n");
        assert_eq!(text(&spec(""), Resolver::default()), HEAD);
        let (own, host) = (spec(""), spec("hostNetwork: true,"));
        assert!(is_own(&own) && !is_own(&host) && is_own(&spec(&format!("hostNetwork: true, {more}"))));
    }
}
