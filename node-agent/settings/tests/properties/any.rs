//! Settings at random. Secrets have `s3cret` in them, so that one that gets out is seen.

use std::time::Duration;

use ballast_settings::{
    model::{
        Access, Api, ApiListen, ApiRole, Authority, Bond, BondMode, Cluster, ClusterRole, Credential, Credentials,
        Debug, DebugShell, Dhcp, HashPolicy, Health, Identity, Images, Interface, InterfaceMatch, Kernel, Kubelet,
        LacpRate, Listen, Log, LogLevel, Manifest, Metrics, Mirror, Network, OciRuntime, Pods, Proxy, Registry,
        Reserved, Route, Runtime, Settings, Signatures, Time, Update, Vlan,
    },
    values::{Certificates, Destination, PrivateKey, RegistryHost, Size, Text},
    window::Window,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// A value from a text that is one.
fn text<T: Text + std::fmt::Debug>(texts: &'static str) -> impl Strategy<Value = T> {
    texts.prop_map(|text| T::parse(&text).unwrap_or_else(|error| panic!("{text:?} {error}")))
}

const NAME: &str = "[a-z][a-z0-9]{0,8}";
const DNS: &str = "[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,8}){1,2}";
const ADDRESS: &str = "192\\.0\\.2\\.[1-9]|2001:db8::[1-9a-f]{1,4}";
const PREFIX: &str = "192\\.0\\.2\\.[1-9]/(8|24|32)|2001:db8::[1-9a-f]/(32|64)";
const SECRET: &str = "s3cret[ -~ü]{0,12}";
const REGISTRY: &str = "[a-z]{1,8}\\.example(:[1-9][0-9]{0,3})?|docker\\.io|localhost|\\*|\\[2001:db8::1\\]:5000";
/// With a path before the repository, or before the API.
const MIRROR: &str = "[a-z]{1,8}\\.example(:[1-9][0-9]{0,3})?(/[a-z]{1,4}){0,2}|docker\\.io|https://[a-z]{1,5}\\.example/[A-Za-z]{1,4}/v2(/[a-z]{1,4})?";

/// Each once, by what `key` makes of it.
fn once<T, K: PartialEq>(all: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in all {
        if !kept.iter().any(|known| key(known) == key(&one)) {
            kept.push(one);
        }
    }
    kept
}

fn certificates() -> impl Strategy<Value = Certificates> {
    let one = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let other = "-----BEGIN CERTIFICATE-----\nMAMCAQI=\n-----END CERTIFICATE-----\n";
    let texts = vec![one.to_owned(), other.to_owned(), format!("{one}{other}")];
    select(texts).prop_map(|pem| Certificates::parse(&pem).unwrap_or_else(|error| panic!("{error}")))
}

fn access() -> impl Strategy<Value = Access> {
    let password = (text("[a-z$@ ]{0,5}[a-z]"), text(SECRET))
        .prop_map(|(username, password)| Credentials::Password { username, password });
    let credentials = option::of(prop_oneof![password, text(SECRET).prop_map(Credentials::Token)]);
    (credentials, option::of(certificates()), any::<bool>()).prop_map(|(credentials, ca, plain_http)| Access {
        credentials,
        ca,
        plain_http,
    })
}

fn registry() -> impl Strategy<Value = Registry> {
    let mirror = (text(MIRROR), access()).prop_map(|(place, access)| Mirror { place, access });
    (text::<RegistryHost>(REGISTRY), vec(mirror, 0..3), access()).prop_map(|(host, mirrors, access)| Registry {
        // How all registries are reached differs.
        access: if host.is_all() { Access::default() } else { access },
        host,
        mirrors: once(mirrors, |mirror| mirror.place.to_string()),
    })
}

/// Mirrors at one host and port have the same credentials, or none.
fn with_one_account(mut all: Vec<Registry>) -> Vec<Registry> {
    let mut known: Vec<(String, Credentials)> = Vec::new();
    for mirror in all.iter_mut().flat_map(|registry| &mut registry.mirrors) {
        let Some(credentials) = mirror.access.credentials.take() else { continue };
        let host = mirror.place.host().to_owned();
        let first = known.iter().find(|(other, _)| *other == host).map(|(_, first)| first.clone());
        let credentials = first.unwrap_or(credentials);
        known.push((host, credentials.clone()));
        mirror.access.credentials = Some(credentials);
    }
    all
}

fn route() -> impl Strategy<Value = Route> {
    let to = prop_oneof![
        Just((Destination::Default, "192.0.2.1")),
        Just((Destination::Default, "2001:db8::1")),
        text("10\\.[0-9]\\.0\\.0/16").prop_map(|to| (to, "192.0.2.1")),
        text("2001:db8:[1-9]::/48").prop_map(|to| (to, "2001:db8::1")),
    ];
    (to, any::<bool>(), option::of(any::<u32>())).prop_map(|((to, via), is_direct, metric)| {
        let via = via.parse().ok().filter(|_| !is_direct || to == Destination::Default);
        Route { to, via, metric }
    })
}

fn interface() -> impl Strategy<Value = Interface> {
    let which = prop_oneof![
        text("[a-z]{1,6}[0-9*]?").prop_map(InterfaceMatch::Name),
        text("52:54:00:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}").prop_map(InterfaceMatch::Mac),
    ];
    let dhcp = select(vec![Dhcp::No, Dhcp::Both, Dhcp::Ipv4, Dhcp::Ipv6]);
    let dhcp = (dhcp, any::<bool>(), option::of(any::<u32>()));
    let names = (vec(text(ADDRESS), 0..2), vec(text(DNS), 0..2));
    let rest = (option::of(text(ADDRESS)), option::of(68_u32..65536), any::<bool>());
    (which, dhcp, vec(text(PREFIX), 0..3), vec(route(), 0..3), names, rest).prop_map(
        |(which, (dhcp, route, metric), addresses, routes, (dns, domains), (gateway, mtu, required))| Interface {
            which,
            dhcp,
            dhcp_default_route: route,
            dhcp_metric: metric,
            // networkd takes one address with two prefixes for one that is there twice.
            addresses: once(addresses, |address| address.to_string().split('/').next().map(str::to_owned)),
            gateway,
            routes: once(routes, |route| format!("{route:?}")),
            dns,
            domains,
            mtu,
            required,
        },
    )
}

/// Bonds and VLANs: some on each other, some on interfaces that other entries mean.
fn links() -> impl Strategy<Value = (Vec<Bond>, Vec<Vlan>)> {
    let which = || {
        prop_oneof![
            text("[a-z]{1,6}[0-9*]?").prop_map(InterfaceMatch::Name),
            text("52:54:00:[0-9a-f]{2}:00:00").prop_map(InterfaceMatch::Mac),
        ]
    };
    let modes = (
        select(BondMode::ALL.to_vec()),
        option::of(select(HashPolicy::ALL.to_vec())),
        option::of(select(LacpRate::ALL.to_vec())),
    );
    let bond = (text("bond[0-9]"), vec(which(), 1..4), modes).prop_map(
        |(name, interfaces, (mode, hash_policy, lacp_rate))| Bond { name, interfaces, mode, hash_policy, lacp_rate },
    );
    let single = which().prop_filter("one interface", |which| !which.to_string().contains('*'));
    let on = prop_oneof![single, text("bond[0-9]").prop_map(InterfaceMatch::Name)];
    let vlan = (text("[a-z]{1,5}\\.[0-9]{1,3}|storage"), 1_u32..=4094, on).prop_map(|(name, id, interface)| Vlan {
        name,
        id,
        interface,
    });
    (vec(bond, 0..3), vec(vlan, 0..3)).prop_map(|(bonds, vlans)| {
        let mut known: Vec<InterfaceMatch> = Vec::new();
        let mut bonds = once(bonds, |bond| bond.name.to_string());
        for bond in &mut bonds {
            bond.interfaces.retain(|one| {
                let is_new = !known.contains(one);
                known.push(one.clone());
                is_new
            });
        }
        bonds.retain(|bond| !bond.interfaces.is_empty());
        (bonds, once(vlans, |vlan| vlan.name.to_string()))
    })
}

fn network() -> impl Strategy<Value = Network> {
    let url = || option::of(text("http://(me:s3cret%40@)?proxy\\.example(:[1-9][0-9]{0,3})?"));
    let proxy = (url(), url(), vec(text("\\*|\\.example|10\\.0\\.0\\.0/8|localhost"), 0..3))
        .prop_map(|(http, https, no_proxy)| Proxy { http, https, no_proxy });
    let lists = (vec(text(ADDRESS), 0..3), vec(text("~?[a-z]{1,5}\\.example"), 0..2), vec(certificates(), 0..3));
    let pod_subnet = option::of(text("10\\.[0-9]{1,2}\\.0\\.0/(16|24|28)"));
    (vec(interface(), 0..3), links(), lists, proxy, pod_subnet).prop_map(
        |(interfaces, (bonds, vlans), (dns, domains, certificates), proxy, pod_subnet)| Network {
            interfaces: once(interfaces, |interface| format!("{:?}", interface.which)),
            bonds,
            vlans,
            dns,
            domains,
            proxy,
            certificates,
            pod_subnet,
        },
    )
}

fn kernel() -> impl Strategy<Value = Kernel> {
    let free = (text("net\\.core\\.[a-z_]{1,9}[a-z]"), text("[0-9]{1,9}( [0-9]{1,5})?"));
    // Some are only within limits.
    let limited = (text("kernel\\.threads-max|fs\\.nr_open|user\\.max_[a-z]{1,9}"), text("[1-9][0-9]{7}"));
    (
        vec(text("nosmt|mitigations=(auto|off)|console=tty[A-Z][0-9]"), 0..3),
        prop::collection::vec(prop_oneof![free, limited], 0..3).prop_map(|all| all.into_iter().collect()),
    )
        .prop_map(|(arguments, sysctl)| Kernel { arguments, sysctl })
}

fn runtime() -> impl Strategy<Value = Runtime> {
    let sizes = (64_u64 << 10..10 << 30).prop_map(Size::from_bytes);
    (sizes, 2_u32..=100, select(vec![OciRuntime::Runc, OciRuntime::Crun]), option::of(16_u32..=4_194_304)).prop_map(
        |(log_max_size, log_max_files, default, pids_limit)| Runtime {
            log_max_size,
            log_max_files,
            default,
            pids_limit,
        },
    )
}

fn images() -> impl Strategy<Value = Images> {
    (1_u32..=95, 0_u64..=720 * 3600).prop_flat_map(|(high, age)| {
        (0..high).prop_map(move |low| Images {
            gc_high_percent: high,
            gc_low_percent: low,
            gc_minimum_age: Duration::from_secs(age),
        })
    })
}

fn update() -> impl Strategy<Value = Update> {
    let window = select(vec!["Mon-Fri 02:00-04:00 Europe/Berlin", "daily 23:00-01:00 UTC"])
        .prop_map(|text| Window::parse(text).unwrap_or_else(|error| panic!("{error}")));
    let image = option::of("[a-z]{1,5}\\.example/os(:[a-z]{1,5})?");
    let signatures = select(vec![Signatures::Required, Signatures::Unchecked]);
    let keys = vec(text("-----BEGIN PUBLIC KEY-----\nMAMCAQ[A-Z]=\n-----END PUBLIC KEY-----"), 0..3);
    let identity = select(vec![Identity::Repository, Identity::Tag]);
    let strictness = (1..=16u32, identity, option::of(1..=3650u32));
    (image, any::<bool>(), option::of(vec(window, 0..3)), any::<bool>(), signatures, keys, strictness).prop_map(
        |(image, auto, windows, reboot, signatures, keys, (keys_threshold, identity, signature_max_days))| Update {
            image,
            auto,
            windows,
            reboot,
            signatures,
            keys,
            keys_threshold,
            identity,
            signature_max_days,
        },
    )
}

fn private_key() -> impl Strategy<Value = PrivateKey> {
    // "s3cret" in base64 is not seen as such: the words around it are.
    Just("-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n")
        .prop_map(|pem| PrivateKey::parse(pem).unwrap_or_else(|error| panic!("{error}")))
}

fn credential() -> impl Strategy<Value = Credential> {
    let kubeconfig = "clusters: \\[\\{cluster: \\{server: \"https://a\\.example\"\\}\\}\\]\nusers: \\[\\{user: \\{token: s3cret[a-z]{0,4}\\}\\}\\]\n?";
    prop_oneof![
        text("s3cret[a-z0-9.~+/-]{0,9}=?").prop_map(Credential::Token),
        text(kubeconfig).prop_map(Credential::Kubeconfig),
        (certificates(), private_key()).prop_map(|(certificate, key)| Credential::Certificate { certificate, key }),
    ]
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let labels = prop::collection::btree_map(text("([a-z]{1,5}\\.example/)?[a-z]{1,5}"), text("[a-z0-9]{0,5}"), 0..3);
    let taints = vec(text("[a-z]{1,5}(=[a-z]{1,3})?:(NoSchedule|PreferNoSchedule|NoExecute)"), 0..3);
    let servers = vec(text("https://[a-z]{1,5}\\.example(:6443)?(/[a-z]{1,4})?"), 1..3);
    let authority = option::of(prop_oneof![
        certificates().prop_map(Authority::Certificates),
        text("sha256:[0-9a-f]{64}").prop_map(Authority::Hash),
    ]);
    let names = (text(NAME), option::of(text(NAME)), option::of(text(DNS)), select(ClusterRole::ALL.to_vec()));
    (names, servers, authority, option::of(credential()), labels, taints).prop_map(
        |((name, pool, node_name, role), servers, authority, credential, node_labels, node_taints)| Cluster {
            name,
            servers,
            authority,
            credential,
            role,
            pool,
            node_name,
            node_labels,
            node_taints,
        },
    )
}

/// Of one cluster the node runs the pods.
fn with_one_kubelet(mut clusters: Vec<Cluster>) -> Vec<Cluster> {
    let others = clusters.iter_mut().filter(|cluster| cluster.role == ClusterRole::Kubelet).skip(1);
    others.for_each(|cluster| cluster.role = ClusterRole::Node);
    clusters
}

fn kubelet() -> impl Strategy<Value = Kubelet> {
    let amount = || option::of(text("[1-9][0-9]{0,3}(m|k|Mi|Gi)?"));
    let reserved = (amount(), amount(), amount()).prop_map(|(cpu, memory, storage)| Reserved { cpu, memory, storage });
    let places = (
        option::of("r\\.example/kubelet:1\\.[1-9][0-9]"),
        vec(text(ADDRESS), 0..3),
        text(DNS),
        option::of(text(ADDRESS)),
    );
    let config = option::of(text("maxPods: [1-9][0-9]{0,2}\n?")).prop_map(Option::unwrap_or_default);
    (places, reserved, config).prop_map(|((image, cluster_dns, cluster_domain, node_ip), reserved, config)| Kubelet {
        image,
        cluster_dns: once(cluster_dns, Clone::clone),
        cluster_domain,
        node_ip,
        reserved,
        config,
    })
}

fn metrics() -> impl Strategy<Value = Metrics> {
    let addresses = select(vec!["192.0.2.1:9100", "[::]:1", "[2001:db8::1]:65535"]);
    let address = addresses.prop_map(|text| Text::parse(text).unwrap_or_else(|error| panic!("{error}")));
    let listen = (address, certificates(), private_key()).prop_map(|(address, certificate, key)| Listen {
        address,
        certificate,
        key,
    });
    option::of(listen).prop_map(|listen| Metrics { listen })
}

fn api() -> impl Strategy<Value = Api> {
    let addresses = select(vec!["192.0.2.1:9600", "[::]:1"]);
    let address = addresses.prop_map(|text| Text::parse(text).unwrap_or_else(|error| panic!("{error}")));
    let roles = vec(select(ApiRole::ALL.to_vec()), 0..3);
    let listen = (address, certificates(), vec(text("[0-9a-f]{1,40}"), 0..3), roles).prop_map(
        |(address, client_ca, revoked_serials, revoked_roles)| ApiListen {
            address,
            client_ca,
            revoked_serials,
            revoked_roles,
        },
    );
    option::of(listen).prop_map(|listen| Api { listen })
}

fn debug() -> impl Strategy<Value = Debug> {
    let images = option::of(select(vec!["r.example/toolbox:1".to_owned(), "r.example:5000/a/toolbox".to_owned()]));
    (select(DebugShell::ALL.to_vec()), images).prop_map(|(shell, image)| Debug { shell, image })
}

fn log() -> impl Strategy<Value = Log> {
    let sizes = (8_u64 << 20..64 << 30).prop_map(Size::from_bytes);
    (select(LogLevel::ALL.to_vec()), option::of(sizes))
        .prop_map(|(level, journal_max_size)| Log { level, journal_max_size })
}

/// All settings, each table at random.
pub(crate) fn any_settings() -> impl Strategy<Value = Settings> {
    let zones = select(vec!["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"]);
    let zone = zones.prop_map(|zone| Text::parse(zone).unwrap_or_else(|error| panic!("{error}")));
    let time = (vec(text(DNS), 0..3), option::of(zone)).prop_map(|(servers, zone)| Time { servers, zone });
    let manifest =
        (text(NAME), "[ -~\\nü]{0,40}[a-z\\n]{0,2}[a-z]").prop_map(|(name, content)| Manifest { name, content });
    let pods = (any::<bool>(), vec(manifest, 0..3)).prop_map(|(metadata_service, manifests)| Pods {
        metadata_service,
        manifests: once(manifests, |manifest| manifest.name.to_string()),
    });
    let health = (any::<bool>(), 30_u64..=3600)
        .prop_map(|(network, secs)| Health { network, deadline: Duration::from_secs(secs) });
    let registries =
        vec(registry(), 0..3).prop_map(|all| with_one_account(once(all, |registry| registry.host.to_string())));
    let first = (option::of(text(NAME)), network(), time, kernel(), registries, runtime(), images());
    let clusters = vec(cluster(), 0..3).prop_map(|all| with_one_kubelet(once(all, |cluster| cluster.name.to_string())));
    let second = (pods, update(), health, clusters, (kubelet(), metrics(), api()), (debug(), log()));
    (first, second).prop_map(
        |(
            (hostname, network, time, kernel, registries, runtime, images),
            (pods, update, health, clusters, (kubelet, metrics, api), (debug, log)),
        )| {
            Settings {
                hostname,
                network,
                time,
                kernel,
                registries,
                runtime,
                images,
                pods,
                update,
                health,
                clusters,
                kubelet,
                metrics,
                api,
                debug,
                log,
            }
        },
    )
}
