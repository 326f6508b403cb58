//! All keys, in the order in which they are explained.

use super::{Key, Shape};

const fn key(name: &'static str, shape: Shape, what: &'static str) -> Key {
    Key { name, shape, what }
}

/// The keys of a document.
pub const KEYS: &[Key] = &[
    key("version", Shape::Number(1, 1), "The version of these keys: 1, also if it is not said."),
    key("hostname", Shape::Text, "The machine's name. Not said: what DHCP says, or ballast."),
    key("network", Shape::Table(NETWORK), "How the node reaches others, and whom it believes."),
    key("time", Shape::Table(TIME), "Clock and time zone."),
    key("kernel", Shape::Table(KERNEL), "What of the kernel an operator may change."),
    key("registry", Shape::Keyed(&["host"], REGISTRY), "Where images and releases come from, by host."),
    key("runtime", Shape::Table(RUNTIME), "What the container runtime does for every pod."),
    key("images", Shape::Table(IMAGES), "When images that nothing uses are removed."),
    key("pods", Shape::Table(PODS), "What runs here beside the manifests that lie in folders."),
    key("update", Shape::Table(UPDATE), "Which releases this node takes, and when by itself."),
    key("health", Shape::Table(HEALTH), "When a release on trial is good."),
    key("cluster", Shape::Keyed(&["name"], CLUSTER), "To which Kubernetes clusters the node belongs, at most eight."),
    key("metrics", Shape::Table(METRICS), "Who else than root may read the node's metrics."),
    key("api", Shape::Table(API), "Who may operate the node from elsewhere. Not said: nobody."),
    key("log", Shape::Table(LOG), "How much is logged."),
];

const NETWORK: &[Key] = &[
    key(
        "interface",
        Shape::Keyed(&["name", "mac"], INTERFACE),
        "Interfaces; the first that matches holds. None: DHCP on every Ethernet port.",
    ),
    key("bond", Shape::Keyed(&["name"], BOND), "Several interfaces as one."),
    key("vlan", Shape::Keyed(&["name"], VLAN), "Tagged networks on another interface."),
    key("dns", Shape::Texts, "Addresses of name servers beside those of the interfaces."),
    key("domains", Shape::Texts, "Where short names are looked for; with ~ in front routed only."),
    key("proxy", Shape::Table(PROXY), "For pulls and upgrades."),
    key("certificates", Shape::Texts, "Authorities in PEM that are believed beside the image's."),
    key(
        "pod_subnet",
        Shape::Text,
        "Where pods get their addresses, an IPv4 network /8 to /28. Not said: 10.88.0.0/16.",
    ),
];

const BOND: &[Key] = &[
    key("name", Shape::Text, "What it is called, as bond0."),
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
        "How it uses them. Not said: active-backup.",
    ),
    key(
        "hash_policy",
        Shape::Choice(&["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4"]),
        "By what packets are spread. Not said: layer2.",
    ),
    key(
        "lacp_rate",
        Shape::Choice(&["slow", "fast"]),
        "How often LACP's partners say that they are there. Not said: slow.",
    ),
];

const VLAN: &[Key] = &[
    key("name", Shape::Text, "What it is called, as eth0.100 or storage."),
    key("id", Shape::Number(1, 4094), "Its tag. Not said: what stands behind the last point of the name."),
    key(
        "interface",
        Shape::Text,
        "On which one it is, by name or hardware address. Not said: what stands before the last point of the name.",
    ),
];

const INTERFACE: &[Key] = &[
    key("name", Shape::Text, "Which one, by name; * ? [ ] make it a pattern. Either this or mac."),
    key("mac", Shape::Text, "Which one, by hardware address."),
    key(
        "dhcp",
        Shape::SwitchOrChoice(&["ipv4", "ipv6"]),
        "Which addresses it asks for. Not said: true without addresses, false with them.",
    ),
    key("dhcp_default_route", Shape::Switch, "Whether DHCP gives it a default route. Not said: true."),
    key("dhcp_metric", Shape::Number(0, u32::MAX), "The metric of the routes that DHCP gives it. Not said: 1024."),
    key("addresses", Shape::Texts, "Addresses with their prefix, as 192.0.2.10/24."),
    key(
        "gateway",
        Shape::Text,
        "The way to everywhere else, also outside its networks; that of the other family is a route.",
    ),
    key("routes", Shape::List(ROUTE), "Further routes."),
    key("dns", Shape::Texts, "Addresses of name servers that are reached through it."),
    key("domains", Shape::Texts, "Where short names are looked for, at those servers."),
    key("mtu", Shape::Number(68, 65535), "Bytes of the largest packet. Not said: what the port or DHCP says."),
    key("required", Shape::Switch, "Whether the node counts as online only with it. Not said: true."),
];

const ROUTE: &[Key] = &[
    key("to", Shape::Text, "A network, or default."),
    key("via", Shape::Text, "The gateway's address. Not said: directly on the link."),
    key("metric", Shape::Number(0, u32::MAX), "The lowest of several wins."),
];

const PROXY: &[Key] = &[
    key("http", Shape::ProxyUrl, "For what is fetched over plain HTTP: http://[USER:PASSWORD@]HOST[:PORT]."),
    key("https", Shape::ProxyUrl, "For what is fetched over TLS."),
    key("no_proxy", Shape::Texts, "What is reached without it: hosts, .domains, addresses, networks."),
];

const TIME: &[Key] = &[
    key("servers", Shape::Texts, "NTP servers. Not said: what DHCP says, or the image's."),
    key("zone", Shape::Text, "A time zone of the IANA database, as Europe/Berlin. Not said: UTC."),
];

const KERNEL: &[Key] = &[
    key("arguments", Shape::Texts, "Arguments from a list of harmless ones. Needs a reboot."),
    key("sysctl", Shape::TextedOrNumbered, "Sysctls from a list of harmless ones. Holds at once."),
];

const REGISTRY: &[Key] = &[
    key("host", Shape::Text, "HOST or HOST:PORT, as in the names of images, or * for all others."),
    key("mirrors", Shape::TextsOrTables("host", MIRROR), "Asked before the registry itself, in this order."),
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

const USERNAME: Key = key("username", Shape::Text, "Who the node is there; with password.");
const PASSWORD: Key = key("password", Shape::Secret, "With username.");
const TOKEN: Key = key("token", Shape::Secret, "An identity token, in place of username and password.");
const CA: Key = key("ca", Shape::Text, "Authorities in PEM that are believed there.");
const PLAIN_HTTP: Key = key("plain_http", Shape::Switch, "Whether it is reached without TLS. Not said: false.");

const RUNTIME: &[Key] = &[
    key(
        "log_max_size",
        Shape::Text,
        "From which size on a container's log is begun anew, 64KiB to 10GiB. Not said: 10MiB.",
    ),
    key("log_max_files", Shape::Number(2, 100), "How many of them are kept. Not said: 5."),
    key("default", Shape::Choice(&["runc", "crun"]), "What runs containers. Not said: runc."),
    key(
        "pids_limit",
        Shape::Number(16, 4_194_304),
        "How many processes and threads a container may have. Not said: no limit.",
    ),
];

const PODS: &[Key] = &[
    key(
        "metadata_service",
        Shape::Switch,
        "Whether pods with a network of their own reach the cloud's metadata service. Not said: false.",
    ),
    key("manifest", Shape::Keyed(&["name"], MANIFEST), "Pods to run."),
];

const MANIFEST: &[Key] =
    &[key("name", Shape::Text, "A word of a-z, 0-9 and -."), key("content", Shape::Text, "A v1 Pod in YAML or JSON.")];

const IMAGES: &[Key] = &[
    key("gc_high_percent", Shape::Number(1, 95), "From how full /var is on they are removed. Not said: 85."),
    key("gc_low_percent", Shape::Number(0, 94), "Until how full it is they are, below gc_high_percent. Not said: 80."),
    key("gc_minimum_age", Shape::Text, "How long an image has to be here before, 0s to 720h. Not said: 2min."),
];

const UPDATE: &[Key] = &[
    key("image", Shape::Text, "Where releases are: HOST[:PORT]/PATH[:TAG], …@sha256:… or oci:FOLDER[:TAG]."),
    key("auto", Shape::Switch, "Whether the node upgrades by itself. Not said: false."),
    key("window", Shape::Texts, "When it may, as Mon-Fri 02:00-04:00 Europe/Berlin. Not said: at any time."),
    key("reboot", Shape::Switch, "Whether such an upgrade ends with a reboot. Not said: true."),
    key("signatures", Shape::Choice(&["required", "none"]), "Whether releases have to be signed. Not said: required."),
    key("keys", Shape::Texts, "Public keys in PEM that may have signed them, beside the image's."),
    key("keys_threshold", Shape::Number(1, 16), "How many of the keys must have signed a release. Not said: 1."),
    key(
        "identity",
        Shape::Choice(&["repository", "tag"]),
        "Whether it must have been signed with the tag that is asked for. Not said: repository.",
    ),
    key(
        "signature_max_days",
        Shape::Number(1, 3650),
        "How many days ago it may have been signed. Not said: as long ago as its signature allows.",
    ),
];

const HEALTH: &[Key] = &[
    key("network", Shape::Switch, "Whether a release on trial must have a network. Not said: false."),
    key("deadline", Shape::Text, "How long it has to prove itself, 30s to 1h. Not said: 5min."),
];

const CLUSTER: &[Key] = &[
    key("name", Shape::Text, "What it is called here, a word of a-z, 0-9 and -."),
    key(
        "servers",
        Shape::Texts,
        "Its API servers, https://HOST[:PORT], tried in this order. Needed without a kubeconfig.",
    ),
    key("ca", Shape::Text, "The authorities in PEM that signed its servers' certificates. Not said: the image's."),
    key("ca_hash", Shape::Text, "In place of ca: sha256:HEX of its authority's public key, as kubeadm says it."),
    key("token", Shape::Secret, "A bootstrap token, for which the node gets a certificate of its own."),
    key("kubeconfig", Shape::Secret, "In place of a token: a whole kubeconfig, without files and programs."),
    key("client_certificate", Shape::Text, "In place of a token: a certificate in PEM; with client_key."),
    key("client_key", Shape::Secret, "Its key in PEM."),
    key("role", Shape::Choice(&["node", "report-only"]), "What the node is there. Not said: node."),
    key("pool", Shape::Text, "With which nodes it shares upgrade slots. Not said: default."),
    key("node_name", Shape::Text, "What the node is called there. Not said: its hostname."),
    key("node_labels", Shape::Texted, "Labels of the Node."),
    key("node_taints", Shape::Texts, "Taints of the Node when it registers, KEY[=VALUE]:EFFECT."),
];

const METRICS: &[Key] = &[
    key("listen", Shape::Text, "ADDRESS:PORT where they are served over TLS. Not said: nowhere."),
    key("certificate", Shape::Text, "The certificate in PEM that is shown there."),
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
        "From which level on the agent logs. Not said: info.",
    ),
    key("journal_max_size", Shape::Text, "How much of /var the journal takes, 8MiB to 64GiB. Not said: 256MiB."),
];
