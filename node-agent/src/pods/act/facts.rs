//! What is known of a pod and its node when a container is made, and where what it sees lies.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::worker::Worker;
use crate::{
    clients::{cri::ImageUser, network, proc, resources, space},
    pods::{
        model::{Container, Facts, FileContent, Pod, Qos, Volume, has_late},
        observe, sandbox, volumes,
    },
};

impl Worker {
    /// What is known before there is a sandbox. What nobody asks for is not looked at.
    pub(super) async fn node_facts(&self, pod: &Pod) -> Result<Facts> {
        let facts = Facts { uid: pod.uid.clone(), ..Facts::default() };
        let texts = pod.spec.volumes.values().filter_map(|volume| match volume {
            Volume::Files { files } => Some(files.values()),
            Volume::HostPath { .. } | Volume::EmptyDir { .. } => None,
        });
        let is_late = texts.flatten().any(|file| matches!(&file.content, FileContent::Text(text) if has_late(text)));
        if !is_late && pod.spec.qos() != Qos::Burstable {
            return Ok(facts);
        }
        let node = self.host.read("looking at what the node has", |host| {
            let memory_bytes = resources::memory(host)?.total_bytes;
            Ok((u64::from(resources::processors()?) * 1000, memory_bytes, space::room(host, "/var")?.bytes))
        });
        let (cpu_milli, memory_bytes, disk_bytes) = node.await?;
        Ok(Facts { cpu_milli, memory_bytes, disk_bytes, ..facts })
    }

    /// What is known in the sandbox.
    pub(super) async fn facts(&self, pod: &Pod, container: &Container, sandbox_id: &str) -> Result<Facts> {
        let facts = self.node_facts(pod).await?;
        let is_asked = sandbox::has_late(container);
        if !is_asked && !sandbox::hosts::is_own(&pod.spec) {
            return Ok(facts);
        }
        // A node without a network has no address; the kubelet leaves that empty as well.
        let host_ip = network::source_address().map(|address| address.to_string()).unwrap_or_default();
        let pod_ip = match pod.spec.host_network {
            true => host_ip.clone(),
            false => self.cri.sandbox_address(sandbox_id).await.context("asking for the pod's address")?,
        };
        let node = self.host.read("reading the node's name", proc::hostname).await?;
        Ok(Facts { node, host_ip, pod_ip, ..facts })
    }

    /// Who the image's programs run as, if the manifest leaves it to the image and has to know.
    ///
    /// # Errors
    /// If that is root, or may be, and must not be.
    pub(super) async fn user(&self, container: &Container, known_as: &str) -> Result<Option<ImageUser>> {
        let is_needed = container.is_non_root || container.run_as_group.is_some();
        if container.run_as_user.is_some() || !is_needed {
            return Ok(None);
        }
        let images = self.cri.images().await.context("asking for the image")?;
        let is_it = |image: &crate::clients::cri::Image| {
            image.id == known_as || image.references.iter().any(|reference| reference == known_as)
        };
        let image = images.into_iter().find(is_it);
        let user = image.with_context(|| format!("the runtime has no image {known_as}"))?.user;
        match &user {
            ImageUser::Id(0) if container.is_non_root => bail!("runAsNonRoot: the image's programs run as root"),
            ImageUser::Name(name) if container.is_non_root => {
                bail!("runAsNonRoot: the image names its user {name}, who may be root: give a number with runAsUser")
            }
            ImageUser::Id(_) | ImageUser::Name(_) => Ok(Some(user)),
        }
    }

    /// Makes what is missing of the pod's volumes; returns where each lies.
    pub(super) async fn volumes(&self, pod: &Pod, facts: &Facts) -> Result<BTreeMap<String, String>> {
        let (pod, facts) = (pod.clone(), facts.clone());
        self.host.change("making volumes", move |host| volumes::provide(host, &pod, &facts)).await
    }

    /// Where all lies that the container sees.
    pub(super) async fn places(&self, pod: &Pod, container: &Container, facts: &Facts) -> Result<sandbox::Places> {
        let volumes = self.volumes(pod, facts).await?;
        let (pod, container, facts) = (pod.clone(), container.clone(), facts.clone());
        let make = move |host: &crate::clients::host::Host| {
            let parts = volumes::parts::provide(host, &pod.uid, &container, &volumes, &facts)?;
            let mut files = BTreeMap::new();
            if sandbox::hosts::is_own(&pod.spec) {
                files.insert(sandbox::hosts::PATH, volumes::files::provide_hosts(host, &pod, &facts)?);
            }
            if sandbox::resolv_conf::is_own(&pod.spec) {
                let resolver = observe::resolver(host);
                files.insert(sandbox::resolv_conf::PATH, volumes::files::provide_resolv_conf(host, &pod, resolver)?);
            }
            Ok(sandbox::Places { volumes, parts, files })
        };
        self.host.change("making what a container sees", make).await
    }
}
