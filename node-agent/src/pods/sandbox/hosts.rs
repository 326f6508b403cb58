//! What a pod calls itself, and its /etc/hosts. (kubernetes.io/docs/concepts/services-networking/dns-pod-service,
//! kubernetes: pkg/kubelet/kubelet_pods.go)

use crate::pods::model::Spec;

/// Of a full name: what kubeadm gives clusters that say nothing.
const DOMAIN: &str = "svc.cluster.local";

/// Linux' limit for a host name. A name is cut one letter before, as the kubelet does it.
const LONGEST: usize = 63;

/// Where it is seen inside.
pub(in crate::pods) const PATH: &str = "/etc/hosts";

const HEAD: &str = "# The node's agent writes this file, as a kubelet does.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost \
                    ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";

/// The host name of a pod with a network of its own.
pub(super) fn sandbox_name(spec: &Spec) -> String {
    let full = full_name(spec).filter(|name| spec.has_full_name && name.len() <= LONGEST + 1);
    full.unwrap_or_else(|| name(spec))
}

fn name(spec: &Spec) -> String {
    let name = spec.hostname.as_deref().unwrap_or(&spec.key.name);
    name.get(..LONGEST).unwrap_or(name).trim_end_matches(['-', '.']).to_owned()
}

fn full_name(spec: &Spec) -> Option<String> {
    let subdomain = spec.subdomain.as_ref()?;
    Some(format!("{}.{subdomain}.{}.{DOMAIN}", name(spec), spec.key.namespace))
}

/// Whether the pod has another file than the runtime gives it, which is the node's.
pub(in crate::pods) fn is_own(spec: &Spec) -> bool {
    !spec.host_network || !spec.host_aliases.is_empty()
}

/// The file; `node` is the node's, for a pod that shares its network.
pub(in crate::pods) fn text(spec: &Spec, address: &str, node: &str) -> String {
    let mut text = if spec.host_network { node.to_owned() } else { HEAD.to_owned() };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !spec.host_network && !address.is_empty() {
        let full = full_name(spec).map(|name| format!("{name}\t")).unwrap_or_default();
        text.push_str(&format!("{address}\t{full}{}\n", name(spec)));
    }
    if !spec.host_aliases.is_empty() {
        text.push_str("\n# spec.hostAliases\n");
    }
    for alias in &spec.host_aliases {
        text.push_str(&format!("{}\t{}\n", alias.address, alias.names.join("\t")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::manifest;

    fn spec(name: &str, fields: &str) -> Spec {
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{{fields} containers: [{{name: c, image: x}}]}}}}"
        );
        manifest::parse("a.yaml", &text).unwrap().spec
    }

    #[test]
    fn a_long_pod_name_makes_a_valid_host_name() {
        assert_eq!(sandbox_name(&spec("web", "")), "web");
        assert_eq!(sandbox_name(&spec("web", "hostname: a, subdomain: b,")), "a");
        let full = "hostname: a, subdomain: b, setHostnameAsFQDN: true,";
        assert_eq!(sandbox_name(&spec("web", full)), "a.b.default.svc.cluster.local");
        let long = format!("{}.{}", "a".repeat(62), "b".repeat(9));
        assert_eq!(sandbox_name(&spec(&long, "")), "a".repeat(62));
    }

    #[test]
    fn a_pod_knows_itself_and_its_aliases() {
        let own =
            text(&spec("web", "subdomain: b, hostAliases: [{ip: 192.0.2.1, hostnames: [x, y]}],"), "10.88.0.5", "");
        assert!(own.starts_with("# The node's agent") && own.contains("\n127.0.0.1\tlocalhost\n"), "{own}");
        let end = "\n10.88.0.5\tweb.b.default.svc.cluster.local\tweb\n\n# spec.hostAliases\n192.0.2.1\tx\ty\n";
        assert!(own.ends_with(end), "{own}");
        let shared = spec("web", "hostNetwork: true, hostAliases: [{ip: 192.0.2.1, hostnames: [x]}],");
        assert_eq!(text(&shared, "", "192.0.2.9 node"), "192.0.2.9 node\n\n# spec.hostAliases\n192.0.2.1\tx\n");
        assert!(is_own(&shared) && is_own(&spec("web", "")) && !is_own(&spec("web", "hostNetwork: true,")));
    }
}
