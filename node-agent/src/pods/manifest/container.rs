//! spec.containers\[\].

use std::collections::BTreeMap;

use ballast_types::ImageReference;

use super::{
    downward::ByContainer,
    env::{self, Metadata},
    expand::words,
    lifecycle::{Inside, lifecycle},
    mounts::mounts,
    names,
    objects::Objects,
    pod::NAME,
    ports::ports,
    probes::probes,
    reader::Fields,
    resources,
    security::{self, OfPod},
    volume::is_absolute,
};
use crate::pods::model::{Container, PullPolicy, Termination, Volume};

const POLICIES: [(&str, PullPolicy); 3] =
    [("Always", PullPolicy::Always), ("IfNotPresent", PullPolicy::IfNotPresent), ("Never", PullPolicy::Never)];

/// Nobody resizes anything here.
const WITHOUT_EFFECT: [&str; 1] = ["resizePolicy"];

/// Whether the end of a log stands in for a termination message.
const TERMINATION_MESSAGE_POLICIES: [(&str, bool); 2] = [("File", false), ("FallbackToLogsOnError", true)];

/// An init container that runs on is called so; there is no other policy for one.
const SIDECAR: [(&str, bool); 1] = [("Always", true)];

/// What a container has to know of its pod.
pub(super) struct Context<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) objects: &'a Objects,
    pub(super) resources: &'a ByContainer,
    pub(super) volumes: &'a BTreeMap<String, Volume>,
    pub(super) host_network: bool,
    pub(super) security: &'a OfPod,
}

/// The container; None if it has no name or image. `is_init` is for those in initContainers.
pub(super) fn container(mut fields: Fields<'_>, context: &Context<'_>, is_init: bool) -> Option<Container> {
    let name = fields.need("name");
    if let Some(name) = name {
        fields.require(names::is_label(name.text), name, "name", NAME);
    }
    let written = fields.need("image");
    let image = written.as_ref().and_then(|written| match ImageReference::parse(written.text) {
        Ok(image) => Some(image),
        Err(why) => {
            fields.refuse_at(written.line, "image", &why.to_string());
            None
        }
    });
    let is_latest = image.as_ref().is_some_and(ImageReference::is_latest);
    let default_pull = if is_latest { PullPolicy::Always } else { PullPolicy::IfNotPresent };
    let pull = fields.word("imagePullPolicy", &POLICIES).unwrap_or(default_pull);
    let Context { metadata, objects, resources, .. } = *context;
    let sources = env::Sources { metadata, objects, resources, container: name.map_or("", |name| name.text) };
    let env = env::env(&mut fields, &sources);
    let budget = objects.budget();
    let (command, args) = (words(&mut fields, "command", &env, budget), words(&mut fields, "args", &env, budget));
    let working_dir = fields.text("workingDir").map_or("", |said| said.text).to_owned();
    let ports = ports(&mut fields, context);
    let inside = Inside { env: &env, ports: &ports, budget };
    let is_sidecar = is_init && fields.word("restartPolicy", &SIDECAR).unwrap_or_default();
    if is_init && !is_sidecar {
        for key in
            ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"].into_iter().filter(|key| fields.has(key))
        {
            fields.refuse_at(
                fields.line_of(key),
                key,
                "is possible in an init container with restartPolicy: Always only",
            );
        }
    }
    let probes = probes(&mut fields, &inside);
    let lifecycle = fields.fields("lifecycle").map(|hooks| lifecycle(hooks, &inside)).unwrap_or_default();
    let termination = termination(&mut fields);
    let security = security::security(&mut fields, context.security);
    let mounts = mounts(&mut fields, context, security.is_privileged, &env);
    let resources = fields.fields("resources").map(resources::resources).unwrap_or_default();
    let stdin = fields.flag("stdin").unwrap_or_default();
    let stdin_once = fields.flag("stdinOnce").unwrap_or_default();
    let tty = fields.flag("tty").unwrap_or_default();
    fields.without_effect(&WITHOUT_EFFECT);
    fields.finish();
    Some(Container {
        name: name?.text.to_owned(),
        written: full_reference(written?.text),
        image: image?,
        pull,
        command,
        args,
        env,
        working_dir,
        mounts,
        privileged: security.is_privileged,
        run_as_user: security.identity.user,
        run_as_group: security.identity.group,
        is_non_root: security.identity.is_non_root == Some(true) && security.identity.user.is_none(),
        read_only_root: security.has_read_only_root,
        no_new_privileges: !security.may_gain_privileges,
        capabilities: security.capabilities,
        is_proc_unmasked: security.is_proc_unmasked,
        seccomp: security.identity.seccomp,
        stdin,
        stdin_once,
        tty,
        // On the host's network it listens there itself.
        host_ports: ports.iter().filter(|port| port.host.is_some() && !context.host_network).cloned().collect(),
        ports,
        resources,
        is_sidecar,
        probes,
        lifecycle,
        termination,
    })
}

fn termination(fields: &mut Fields<'_>) -> Termination {
    // Earlier releases looked at neither: what is wrong with them keeps no pod from running.
    let said = fields.text("terminationMessagePath").filter(|path| !path.text.is_empty());
    let path = said.filter(|path| is_absolute(path.text));
    if said.is_some() && path.is_none() {
        let message = format!("expected an absolute path without `..`; {} is taken", Termination::default().path);
        fields.note("terminationMessagePath", &message);
    }
    let path = path.map_or_else(|| Termination::default().path, |path| path.text.to_owned());
    let policy = fields.text("terminationMessagePolicy");
    let known = policy.and_then(|said| TERMINATION_MESSAGE_POLICIES.iter().find(|(word, _)| *word == said.text));
    if policy.is_some() && known.is_none() {
        fields.note("terminationMessagePolicy", "expected one of File, FallbackToLogsOnError; File is taken");
    }
    Termination { path, falls_back_to_logs: known.is_some_and(|(_, falls_back)| *falls_back) }
}

/// `busybox` → `docker.io/library/busybox:latest`. It never changes: each release must derive the same uid from a manifest, or its
/// emptyDirs are lost at an upgrade. Nothing else may go by it; images are an [`ImageReference`]'s to complete.
fn full_reference(image: &str) -> String {
    let (domain, rest) = match image.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
        _ => ("docker.io", image),
    };
    let library = if domain == "docker.io" && !rest.contains('/') { "library/" } else { "" };
    let has_tag = rest.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let tag = if rest.contains('@') || has_tag { "" } else { ":latest" };
    format!("{domain}/{library}{rest}{tag}")
}
