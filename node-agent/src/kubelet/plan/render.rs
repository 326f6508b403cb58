//! What the kubelet reads, as files: pure. The one place that says which API server it speaks to, and how.

use ballast_settings::values::KubeletConfig;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::kubelet::model::{Authority, ENVIRONMENT, FOLDER, Files, PODS, Version, Wanted};

/// containerd.
const RUNTIME: &str = "unix:///run/containerd/containerd.sock";

/// What the kubelet keeps.
const STATE: &str = "/var/lib/kubelet";

/// Where it is asked how it is: on the loopback alone.
pub const HEALTHZ: (&str, u16) = ("127.0.0.1", 10248);

/// From this version on the runtime's endpoint stands in the configuration; before, it is a flag, which later ones do not know.
const ENDPOINT_IN_CONFIG: u32 = 27;

/// The same of taints.
const TAINTS_IN_CONFIG: u32 = 23;

/// The keys of what a kubelet shows: where they are in `kubelet.config`, the operator has seen to it.
const TLS_FILE: &str = "tlsCertFile";
const TLS_KEY_FILE: &str = "tlsPrivateKeyFile";
const SERVING: [&str; 3] = [TLS_FILE, TLS_KEY_FILE, "serverTLSBootstrap"];

/// The number behind the first point of a version: of `1.33.0` 33.
pub fn minor(version: &str) -> Option<u32> {
    let (major, rest) = version.trim_start_matches('v').split_once('.')?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    (major == "1").then_some(())?;
    digits.parse().ok()
}

/// All files, by their name in [`FOLDER`]. `serving`: the fingerprint of what it shows, if the cluster gave it something: it reads it once, so another one
/// is another start.
pub fn files(wanted: &Wanted, node: &str, version: &Version, serving: Option<&str>) -> Files {
    let mut files: Files = wanted.pods.iter().map(|(name, text)| (format!("{PODS}/{name}"), text.clone())).collect();
    if let Authority::Pem(pem) = &wanted.authority {
        files.insert("ca.pem".to_owned(), pem.clone());
    }
    // Of what cannot be read, the newest is the best guess.
    let minor = minor(&version.version).unwrap_or(u32::MAX);
    if let Some(server) = &wanted.server {
        files.insert("kubeconfig.json".to_owned(), text(&kubeconfig(wanted, server)));
    }
    let mut config = configuration(wanted, minor);
    let has_own = SERVING.iter().any(|key| config.contains_key(*key));
    let serving = serving.filter(|_| !has_own);
    if serving.is_some() {
        config.extend([TLS_FILE, TLS_KEY_FILE].map(|key| (key.to_owned(), json!(wanted.serving))));
    }
    files.insert("config.json".to_owned(), text(&Value::Object(config)));
    let flags = flags(wanted, node, minor).join(" ");
    let shown = serving.map(|serving| format!("SERVING={serving}\n")).unwrap_or_default();
    files.insert(ENVIRONMENT.to_owned(), format!("ARTIFACT={}\nARGUMENTS={flags}\n{shown}", version.digest));
    files
}

/// What of `wanted` makes a kubelet of this version another one: its configuration and flags, but for its name.
pub fn fingerprint(wanted: &Wanted, version: &Version) -> String {
    let minor = minor(&version.version).unwrap_or(u32::MAX);
    let mut text = self::text(&Value::Object(configuration(wanted, minor)));
    text.push_str(&flags(wanted, "", minor).join(" "));
    print(&text)
}

/// A fingerprint of a text.
pub fn print(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

/// JSON is YAML, which is what a kubelet reads.
fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

fn authority(wanted: &Wanted) -> Option<String> {
    match &wanted.authority {
        Authority::Image => None,
        Authority::Pem(_) => Some(format!("{FOLDER}/ca.pem")),
        Authority::File(path) => Some(path.clone()),
    }
}

fn kubeconfig(wanted: &Wanted, server: &str) -> Value {
    let mut cluster = json!({ "server": server });
    if let Some(path) = authority(wanted) {
        cluster["certificate-authority"] = json!(path);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": cluster }],
        // The agent renews what is in this file; who reads it looks again when it changed.
        "users": [{ "name": "node", "user": { "client-certificate": wanted.credentials, "client-key": wanted.credentials } }],
        "contexts": [{ "name": "node", "context": { "cluster": "cluster", "user": "node" } }],
        "current-context": "node",
    })
}

fn configuration(wanted: &Wanted, minor: u32) -> Map<String, Value> {
    let (address, port) = HEALTHZ;
    let mut authentication = json!({ "anonymous": { "enabled": false }, "webhook": { "enabled": wanted.server.is_some(), "cacheTTL": "2m0s" } });
    if let Some(path) = authority(wanted) {
        authentication["x509"] = json!({ "clientCAFile": path });
    }
    let owned = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "staticPodPath": format!("{FOLDER}/{PODS}"),
        // Its default lies below /usr.
        "volumePluginDir": format!("{STATE}/volume-plugins"),
        "authentication": authentication,
        // Without a cluster nobody is known who may ask, and nothing listens.
        "authorization": { "mode": if wanted.server.is_some() { "Webhook" } else { "AlwaysAllow" } },
        "enableServer": wanted.server.is_some(),
        "resolvConf": "/run/systemd/resolve/resolv.conf",
        // The certificate is the agent's.
        "rotateCertificates": false,
        "cgroupDriver": "cgroupfs",
        "healthzBindAddress": address,
        "healthzPort": port,
        "readOnlyPort": 0,
        "clusterDNS": wanted.cluster_dns,
        "clusterDomain": wanted.cluster_domain,
    });
    // What others may say differently. There is no iptables in the image: who routes services brings his own rules.
    let usual = json!({
        "makeIPTablesUtilChains": false,
        "containerLogMaxSize": wanted.log_max_bytes.to_string(),
        "containerLogMaxFiles": wanted.log_max_files,
    });
    let mut all = Map::new();
    all.extend(object(usual));
    if !wanted.reserved.is_empty() {
        all.insert("systemReserved".to_owned(), json!(wanted.reserved));
    }
    let others = wanted.config.iter().filter(|(key, _)| !KubeletConfig::OWNED.contains(&key.as_str()));
    all.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    all.extend(object(owned));
    if minor >= ENDPOINT_IN_CONFIG {
        all.insert("containerRuntimeEndpoint".to_owned(), json!(RUNTIME));
    }
    if minor >= TAINTS_IN_CONFIG && !wanted.taints.is_empty() {
        let taints: Vec<Value> = wanted.taints.iter().map(|taint| self::taint(taint)).collect();
        all.insert("registerWithTaints".to_owned(), Value::Array(taints));
    }
    all
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// `KEY[=VALUE]:EFFECT` as an object.
fn taint(text: &str) -> Value {
    let (name, effect) = text.rsplit_once(':').unwrap_or((text, ""));
    let (key, value) = name.split_once('=').unwrap_or((name, ""));
    json!({ "key": key, "value": value, "effect": effect })
}

/// None of them has a space in it: systemd splits the line there.
fn flags(wanted: &Wanted, node: &str, minor: u32) -> Vec<String> {
    let mut flags = vec![
        format!("--config={FOLDER}/config.json"),
        format!("--root-dir={STATE}"),
        format!("--cert-dir={STATE}/pki"),
    ];
    flags.extend(wanted.server.iter().map(|_| format!("--kubeconfig={FOLDER}/kubeconfig.json")));
    flags.extend(Some(node).filter(|node| !node.is_empty()).map(|node| format!("--hostname-override={node}")));
    flags.extend(wanted.node_ip.iter().map(|address| format!("--node-ip={address}")));
    if !wanted.labels.is_empty() {
        let labels: Vec<String> = wanted.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        flags.push(format!("--node-labels={}", labels.join(",")));
    }
    if minor < ENDPOINT_IN_CONFIG {
        flags.extend(["--container-runtime=remote".to_owned(), format!("--container-runtime-endpoint={RUNTIME}")]);
    }
    if minor < TAINTS_IN_CONFIG && !wanted.taints.is_empty() {
        flags.push(format!("--register-with-taints={}", wanted.taints.join(",")));
    }
    flags
}
