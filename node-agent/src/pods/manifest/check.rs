//! From the written form to the valid one: names, references between the parts, amounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ballast_types::ImageReference;
use serde_saphyr::Spanned;

use super::{ManifestError, expand::expand, line, names, quantity, source};
use crate::pods::model::{
    Capabilities, Container, DEFAULT_NAMESPACE, HostPathKind, Key, MemoryDir, Mount, PullPolicy, Resources,
    RestartPolicy, Spec, Volume,
};

/// What Kubernetes gives a pod that does not say.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

type Result<T> = std::result::Result<T, ManifestError>;

pub(super) fn spec(manifest: source::Manifest) -> Result<Spec> {
    let source::Manifest { api_version, kind, metadata, spec } = manifest;
    require(&api_version, "apiVersion", api_version.value == "v1", "expected v1")?;
    require(&kind, "kind", kind.value == "Pod", "expected Pod")?;
    name(&metadata.name, "metadata.name", names::is_subdomain)?;
    let namespace = match metadata.namespace {
        Some(namespace) => name(&namespace, "metadata.namespace", names::is_label).map(|()| namespace.value)?,
        None => DEFAULT_NAMESPACE.to_owned(),
    };
    require(&spec.containers, "spec.containers", !spec.containers.value.is_empty(), "expected at least one container")?;
    let mut volumes = BTreeMap::new();
    for (index, written) in spec.volumes.into_iter().enumerate() {
        let key = format!("spec.volumes[{index}]");
        name(&written.name, &format!("{key}.name"), names::is_label)?;
        let new = !volumes.contains_key(&written.name.value);
        require(&written.name, &format!("{key}.name"), new, "this name is given to two volumes")?;
        let (name, volume) = volume(&key, written)?;
        volumes.insert(name, volume);
    }
    let mut containers: Vec<Container> = Vec::new();
    for (index, written) in spec.containers.value.into_iter().enumerate() {
        let key = format!("spec.containers[{index}]");
        let new = containers.iter().all(|other| other.name != written.name.value);
        require(&written.name, &format!("{key}.name"), new, "this name is given to two containers")?;
        containers.push(container(&key, written, &volumes)?);
    }
    Ok(Spec {
        key: Key { namespace, name: metadata.name.value },
        labels: metadata.labels,
        annotations: metadata.annotations,
        host_network: spec.host_network,
        restart_policy: spec.restart_policy.map_or(RestartPolicy::Always, RestartPolicy::from),
        grace: spec.termination_grace_period_seconds.map_or(DEFAULT_GRACE, Duration::from_secs),
        volumes,
        containers,
    })
}

fn volume(key: &str, volume: source::Volume) -> Result<(String, Volume)> {
    let name = volume.name;
    let valid = match (volume.host_path, volume.empty_dir) {
        (Some(host), None) => {
            absolute(&host.path, &format!("{key}.hostPath.path"))?;
            Volume::HostPath { path: host.path.value, kind: HostPathKind::from(host.r#type) }
        }
        (None, Some(empty)) => empty_dir(key, empty)?,
        (None, None) | (Some(_), Some(_)) => {
            return Err(error(&name, key, "expected one of hostPath, emptyDir"));
        }
    };
    Ok((name.value, valid))
}

fn empty_dir(key: &str, empty: source::EmptyDir) -> Result<Volume> {
    let key = format!("{key}.emptyDir.sizeLimit");
    let limit = empty.size_limit.map(|limit| amount(&limit, &key, quantity::bytes)).transpose()?;
    Ok(match empty.medium {
        source::Medium::Disk => Volume::EmptyDir { memory: None, limit_bytes: limit },
        source::Medium::Memory => Volume::EmptyDir { memory: Some(MemoryDir { size_bytes: limit }), limit_bytes: None },
    })
}

fn container(key: &str, written: source::Container, volumes: &BTreeMap<String, Volume>) -> Result<Container> {
    name(&written.name, &format!("{key}.name"), names::is_label)?;
    let image = ImageReference::parse(&written.image.value)
        .map_err(|why| error(&written.image, &format!("{key}.image"), &why.to_string()))?;
    let mut env: Vec<(String, String)> = Vec::new();
    for (index, variable) in written.env.into_iter().enumerate() {
        let valid = !variable.name.value.is_empty() && !variable.name.value.contains('=');
        require(&variable.name, &format!("{key}.env[{index}].name"), valid, "expected a name without =")?;
        let value = expand(&variable.value, &env);
        env.push((variable.name.value, value));
    }
    let mut paths = BTreeSet::new();
    let mut mounts = Vec::new();
    for (index, mount) in written.volume_mounts.into_iter().enumerate() {
        let key = format!("{key}.volumeMounts[{index}]");
        let known = volumes.contains_key(&mount.name.value);
        require(&mount.name, &format!("{key}.name"), known, "expected one of the names in spec.volumes")?;
        let path = &mount.mount_path;
        absolute(path, &format!("{key}.mountPath"))?;
        require(path, &format!("{key}.mountPath"), paths.insert(path.value.clone()), "this path is mounted twice")?;
        mounts.push(Mount { volume: mount.name.value, path: mount.mount_path.value, read_only: mount.read_only });
    }
    let default_pull = if image.is_latest() { PullPolicy::Always } else { PullPolicy::IfNotPresent };
    let security = written.security_context;
    Ok(Container {
        pull: written.image_pull_policy.map_or(default_pull, PullPolicy::from),
        command: written.command.iter().map(|word| expand(word, &env)).collect(),
        args: written.args.iter().map(|word| expand(word, &env)).collect(),
        resources: resources(key, written.resources)?,
        image,
        name: written.name.value,
        working_dir: written.working_dir,
        privileged: security.privileged,
        run_as_user: security.run_as_user.map(i64::from),
        read_only_root: security.read_only_root_filesystem,
        capabilities: Capabilities {
            add: capabilities(&format!("{key}.securityContext.capabilities.add"), security.capabilities.add)?,
            drop: capabilities(&format!("{key}.securityContext.capabilities.drop"), security.capabilities.drop)?,
        },
        env,
        mounts,
    })
}

fn capabilities(key: &str, written: Vec<Spanned<String>>) -> Result<Vec<String>> {
    let checked = written.into_iter().enumerate().map(|(index, name)| {
        let is_name =
            name.value.split('_').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()));
        let is_bare = !name.value.starts_with("CAP_");
        require(
            &name,
            &format!("{key}[{index}]"),
            is_name && is_bare,
            "expected a capability such as NET_RAW, or ALL",
        )?;
        Ok(name.value)
    });
    checked.collect()
}

fn resources(key: &str, written: source::Resources) -> Result<Resources> {
    let read = |place: &str, amount_of: Option<Spanned<String>>, parse: fn(&str) -> Option<u64>| {
        amount_of.map(|text| amount(&text, &format!("{key}.resources.{place}"), parse)).transpose()
    };
    Ok(Resources {
        cpu_limit_milli: read("limits.cpu", written.limits.cpu, quantity::milli_cpu)?,
        cpu_request_milli: read("requests.cpu", written.requests.cpu, quantity::milli_cpu)?,
        memory_limit_bytes: read("limits.memory", written.limits.memory, quantity::bytes)?,
        memory_request_bytes: read("requests.memory", written.requests.memory, quantity::bytes)?,
        disk_limit_bytes: read("limits.ephemeral-storage", written.limits.disk, quantity::bytes)?,
        disk_request_bytes: read("requests.ephemeral-storage", written.requests.disk, quantity::bytes)?,
    })
}

fn amount(text: &Spanned<String>, key: &str, parse: fn(&str) -> Option<u64>) -> Result<u64> {
    parse(&text.value).ok_or_else(|| error(text, key, "expected an amount such as 500m or 64Mi"))
}

fn absolute(path: &Spanned<String>, key: &str) -> Result<()> {
    let valid = path.value.starts_with('/') && path.value.split('/').all(|part| part != "..");
    require(path, key, valid, "expected an absolute path without `..`")
}

fn name(written: &Spanned<String>, key: &str, valid: fn(&str) -> bool) -> Result<()> {
    require(written, key, valid(&written.value), "expected small letters, digits and hyphens (RFC 1123)")
}

fn require<T>(written: &Spanned<T>, key: &str, valid: bool, message: &str) -> Result<()> {
    if valid { Ok(()) } else { Err(error(written, key, message)) }
}

fn error<T>(written: &Spanned<T>, key: &str, message: &str) -> ManifestError {
    ManifestError { line: line(Some(written.referenced)), key: key.to_owned(), message: message.to_owned() }
}
