//! All keys, in the order in which they are explained.

use super::{Key, Shape};

const fn key(name: &'static str, shape: Shape, what: &'static str) -> Key {
    Key { name, shape, what }
}

/// The keys of a document.
pub const KEYS: &[Key] = &[
    key("version", Shape::Number(1, 1), "The version of these keys. Default: 1."),
    key("hostname", Shape::Text, "The host name. Default: DHCP's, or ballast."),
    key("network", Shape::Table(NETWORK), "Interfaces, name servers, proxies, and trusted authorities."),
    key("time", Shape::Table(TIME), "Clock and time zone."),
    key("kernel", Shape::Table(KERNEL), "Kernel arguments and sysctls."),
    key("registry", Shape::Keyed(&["host"], REGISTRY), "Where images and releases come from, by host."),
    key("runtime", Shape::Table(RUNTIME), "What the container runtime does for every pod."),
    key("images", Shape::Table(IMAGES), "When unused images are removed."),
    key("pods", Shape::Table(PODS), "Pods to run, beside the manifests in folders."),
    key("update", Shape::Table(UPDATE), "Which releases this node takes, and when it upgrades automatically."),
    key("health", Shape::Table(HEALTH), "When a release on trial is healthy."),
    key(
        "cluster",
        Shape::Keyed(&["name"], CLUSTER),
        "The Kubernetes clusters that the node belongs to, at most eight.",
    ),
    key(
        "kubelet",
        Shape::Table(KUBELET),
        "The kubelet that runs the pods of the cluster with the role kubelet; without any cluster, the node's own.",
    ),
    key("metrics", Shape::Table(METRICS), "Where the node's metrics are served over TLS."),
    key("api", Shape::Table(API), "Who may operate the node from elsewhere. Not said: nobody."),
    key("debug", Shape::Table(DEBUG), "Whether an admin may have a shell on the node."),
    key("log", Shape::Table(LOG), "Logging."),
];

const DEBUG: &[Key] = &[
    key(
        "shell",
        Shape::Choice(&["admin", "never"]),
        "Who may have a shell (ballast shell). After never, only another boot allows it again. Default: admin.",
    ),
    key("image", Shape::Text, "The toolbox that a shell runs in, HOST[:PORT]/PATH[:TAG], signed as a release is."),
];

const NETWORK: &[Key] = &[
    key(
        "interface",
        Shape::Keyed(&["name", "mac"], INTERFACE),
        "Interfaces; the first that matches applies. Default: DHCP on every Ethernet port.",
    ),
    key("bond", Shape::Keyed(&["name"], BOND), "Bonds: several interfaces as one."),
    key("vlan", Shape::Keyed(&["name"], VLAN), "VLANs: tagged networks on another interface."),
    key("dns", Shape::Texts, "Addresses of name servers beside those of the interfaces."),
    key("domains", Shape::Texts, "Search domains; one with ~ in front is only routed."),
    key("proxy", Shape::Table(PROXY), "HTTP proxies for pulls and upgrades."),
    key("certificates", Shape::Texts, "Authorities in PEM that are trusted beside the image's."),
    key("pod_subnet", Shape::Text, "The IPv4 network, /8 to /28, for addresses of pods. Default: 10.88.0.0/16."),
];

const BOND: &[Key] = &[
    key("name", Shape::Text, "Its name, such as bond0."),
    key("interfaces", Shape::Texts, "Its members, by name, pattern or hardware address."),
    key(
        "mode",
        Shape::Choice(&[
            "balance-rr",
            "active-backup",
            "balance-xor",
            "broadcast",
            "802.3ad",
            "balance-tlb",
            "balance-alb",
        ]),
        "The bonding mode. Default: active-backup.",
    ),
    key(
        "hash_policy",
        Shape::Choice(&["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4"]),
        "The transmit hash policy. Default: layer2.",
    ),
    key("lacp_rate", Shape::Choice(&["slow", "fast"]), "How often LACP messages are sent. Default: slow."),
];

const VLAN: &[Key] = &[
    key("name", Shape::Text, "Its name, such as eth0.100 or storage."),
    key("id", Shape::Number(1, 4094), "The VLAN id. Default: the part of the name after the last dot."),
    key(
        "interface",
        Shape::Text,
        "The interface below, by name or hardware address. Default: the part of the name before the last dot.",
    ),
];

const INTERFACE: &[Key] = &[
    key("name", Shape::Text, "The interface, by name; * ? [ ] make it a pattern. Either this or mac."),
    key("mac", Shape::Text, "The interface, by hardware address."),
    key(
        "dhcp",
        Shape::SwitchOrChoice(&["ipv4", "ipv6"]),
        "Which addresses it gets by DHCP. Default: true without addresses, false with them.",
    ),
    key("dhcp_default_route", Shape::Switch, "Whether DHCP gives it a default route. Default: true."),
    key("dhcp_metric", Shape::Number(0, u32::MAX), "The metric of the routes that DHCP gives it. Default: 1024."),
    key("addresses", Shape::Texts, "Addresses with their prefix, such as 192.0.2.10/24."),
    key(
        "gateway",
        Shape::Text,
        "The default gateway; it may be outside of the networks. For the other address family use a route.",
    ),
    key("routes", Shape::List(ROUTE), "Further routes."),
    key("dns", Shape::Texts, "Addresses of name servers that are reached through it."),
    key("domains", Shape::Texts, "Search domains of those servers."),
    key("mtu", Shape::Number(68, 65535), "The MTU in bytes. Default: the port's, or DHCP's."),
    key("required", Shape::Switch, "Whether the node counts as online only with it. Default: true."),
];

const ROUTE: &[Key] = &[
    key("to", Shape::Text, "A network, or default."),
    key("via", Shape::Text, "The gateway's address. Default: directly on the link."),
    key("metric", Shape::Number(0, u32::MAX), "The metric; the lowest wins."),
];

const PROXY: &[Key] = &[
    key("http", Shape::ProxyUrl, "The proxy for plain HTTP: http://[USER:PASSWORD@]HOST[:PORT]."),
    key("https", Shape::ProxyUrl, "The proxy for HTTPS."),
    key("no_proxy", Shape::Texts, "What is reached without a proxy: hosts, .domains, addresses, networks."),
];

const TIME: &[Key] = &[
    key("servers", Shape::Texts, "NTP servers. Default: DHCP's, or the image's."),
    key("zone", Shape::Text, "A time zone of the IANA database, such as Europe/Berlin. Default: UTC."),
];

const KERNEL: &[Key] = &[
    key("arguments", Shape::Texts, "Kernel arguments, from a list of allowed ones. Needs a reboot."),
    key("sysctl", Shape::TextedOrNumbered, "Sysctls, from a list of allowed ones. Applies at once."),
];

const REGISTRY: &[Key] = &[
    key("host", Shape::Text, "HOST or HOST:PORT, as in the names of images; * for all others."),
    key("mirrors", Shape::TextsOrTables("host", MIRROR), "Mirrors, asked before the registry itself, in this order."),
    USERNAME,
    PASSWORD,
    TOKEN,
    CA,
    PLAIN_HTTP,
];

const MIRROR: &[Key] = &[
    key("host", Shape::Text, "HOST, HOST:PORT, HOST/PATH, or https://HOST/BASE with the API below BASE."),
    USERNAME,
    PASSWORD,
    TOKEN,
    CA,
    PLAIN_HTTP,
];

const USERNAME: Key = key("username", Shape::Text, "The user name; with password.");
const PASSWORD: Key = key("password", Shape::Secret, "The password; with username.");
const TOKEN: Key = key("token", Shape::Secret, "An identity token, in place of username and password.");
const CA: Key = key("ca", Shape::Text, "Authorities in PEM that are trusted for it.");
const PLAIN_HTTP: Key = key("plain_http", Shape::Switch, "Whether it is reached without TLS. Default: false.");

const RUNTIME: &[Key] = &[
    key("log_max_size", Shape::Text, "The size at which a container's log is rotated, 64KiB to 10GiB. Default: 10MiB."),
    key("log_max_files", Shape::Number(2, 100), "How many log files are kept. Default: 5."),
    key("default", Shape::Choice(&["runc", "crun"]), "The OCI runtime. Default: runc."),
    key(
        "pids_limit",
        Shape::Number(16, 4_194_304),
        "How many processes and threads a container may have. Default: no limit.",
    ),
];

const PODS: &[Key] = &[
    key(
        "metadata_service",
        Shape::Switch,
        "Whether pods with a network of their own reach the cloud's metadata service. Default: false.",
    ),
    key("manifest", Shape::Keyed(&["name"], MANIFEST), "Pods to run."),
];

const MANIFEST: &[Key] =
    &[key("name", Shape::Text, "A word of a-z, 0-9 and -."), key("content", Shape::Text, "A v1 Pod in YAML or JSON.")];

const IMAGES: &[Key] = &[
    key("gc_high_percent", Shape::Number(1, 95), "Images are removed when more percent of /var are used. Default: 85."),
    key(
        "gc_low_percent",
        Shape::Number(0, 94),
        "Images are removed until so many percent are used; below gc_high_percent. Default: 80.",
    ),
    key("gc_minimum_age", Shape::Text, "How old an image must be before it is removed, 0s to 720h. Default: 2min."),
];

const UPDATE: &[Key] = &[
    key("image", Shape::Text, "Where releases are: HOST[:PORT]/PATH[:TAG], …@sha256:… or oci:FOLDER[:TAG]."),
    key("auto", Shape::Switch, "Whether the node upgrades automatically. Default: false."),
    key(
        "window",
        Shape::Texts,
        "When it may upgrade automatically, such as Mon-Fri 02:00-04:00 Europe/Berlin. Default: at any time.",
    ),
    key("reboot", Shape::Switch, "Whether an automatic upgrade ends with a reboot. Default: true."),
    key("signatures", Shape::Choice(&["required", "none"]), "Whether releases must be signed. Default: required."),
    key("keys", Shape::Texts, "Public keys in PEM that may have signed releases, beside the image's."),
    key("keys_threshold", Shape::Number(1, 16), "How many of the keys must have signed a release. Default: 1."),
    key(
        "identity",
        Shape::Choice(&["repository", "tag"]),
        "Whether a release must be signed for the repository or for the very tag. Default: repository.",
    ),
    key(
        "signature_max_days",
        Shape::Number(1, 3650),
        "How old a signature may be, in days. Default: as old as the signature allows.",
    ),
];

const HEALTH: &[Key] = &[
    key("network", Shape::Switch, "Whether a release on trial must have a network. Default: false."),
    key("deadline", Shape::Text, "How long a release on trial has to become healthy, 30s to 1h. Default: 5min."),
];

const CLUSTER: &[Key] = &[
    key("name", Shape::Text, "Its name on this node, a word of a-z, 0-9 and -."),
    key(
        "servers",
        Shape::Texts,
        "Its API servers, https://HOST[:PORT], tried in this order. Needed without a kubeconfig.",
    ),
    key("ca", Shape::Text, "The authorities in PEM that signed its servers' certificates. Default: the image's."),
    key("ca_hash", Shape::Text, "In place of ca: sha256:HEX of its authority's public key, as kubeadm prints it."),
    key("token", Shape::Secret, "A bootstrap token, for which the node gets a certificate of its own."),
    key("kubeconfig", Shape::Secret, "In place of a token: a whole kubeconfig, without files and programs."),
    key("client_certificate", Shape::Text, "In place of a token: a certificate in PEM; with client_key."),
    key("client_key", Shape::Secret, "Its key in PEM."),
    key("role", Shape::Choice(&["node", "kubelet", "report-only"]), "The node's role in the cluster. Default: node."),
    key("pool", Shape::Text, "The pool of nodes that share upgrade slots. Default: default."),
    key("node_name", Shape::Text, "The node's name in the cluster. Default: its hostname."),
    key("node_labels", Shape::Texted, "Labels of the Node."),
    key("node_taints", Shape::Texts, "Taints of the Node when it registers, KEY[=VALUE]:EFFECT."),
];

const KUBELET: &[Key] = &[
    key("image", Shape::Text, "Its artifact: HOST[:PORT]/PATH[:TAG], …@sha256:…; make kubelet-image makes one."),
    key("cluster_dns", Shape::Texts, "Addresses of the cluster's name servers. Default: those of the node."),
    key("cluster_domain", Shape::Text, "Where the cluster's services are. Default: cluster.local."),
    key("node_ip", Shape::Text, "The node's address in the cluster. Default: that of its default route."),
    key("reserved", Shape::Table(RESERVED), "What of the node pods may not have."),
    key("config", Shape::Text, "More keys of a KubeletConfiguration, in YAML; not those that the node writes itself."),
];

const RESERVED: &[Key] = &[
    key("cpu", Shape::Text, "Processors, as 100m. Default: none."),
    key("memory", Shape::Text, "Memory, as 256Mi. Default: none."),
    key("storage", Shape::Text, "Of /var, as 1Gi. Default: none."),
];

const METRICS: &[Key] = &[
    key("listen", Shape::Text, "ADDRESS:PORT where metrics are served over TLS. Default: none."),
    key("certificate", Shape::Text, "The server's certificate in PEM."),
    key("key", Shape::Secret, "Its key in PEM."),
];

const API: &[Key] = &[
    key("listen", Shape::Text, "ADDRESS:PORT where it is served over TLS. Not said: nowhere."),
    key(
        "client_ca",
        Shape::Text,
        "The authorities in PEM whose certificates let a client in, as ballast ca init makes one.",
    ),
    key("revoked_serials", Shape::Texts, "Serial numbers of certificates that are refused."),
    key("revoked_roles", Shape::Texts, "Roles that nobody has any more: reader, operator, admin."),
];

const LOG: &[Key] = &[
    key(
        "level",
        Shape::Choice(&["error", "warn", "info", "debug", "trace"]),
        "The lowest level that the agent logs. Default: info.",
    ),
    key("journal_max_size", Shape::Text, "How much of /var the journal may use, 8MiB to 64GiB. Default: 256MiB."),
];
