//! Looks at the manifest files, and at what the runtime has of ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Result;
use ballast_types::ImageReference;

use super::{
    act::Jobs,
    cached::{Cached, EndedContainer},
    cut_short,
    disk::model::Marks,
    files,
    manifest::{self, Read},
    model::{Archive, Instance, Key, MANIFEST_FOLDERS, Observed, Resolver, Sandbox, State},
    preloaded, sandbox,
};
use crate::clients::{
    cri::{self, ContainerState, ContainerStatus, Cri},
    host::Host,
    identity,
    resolved::{self, ResolvConf},
};

/// How long after a start the network is waited for, before pods start without name servers: a lease takes a few seconds.
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(15);

/// The folders whose changes matter to the pods: the operator's manifests. The image's own do not change, and those of the settings
/// by the agent itself.
pub fn folders(host: &Host) -> Vec<PathBuf> {
    let [_own, operator, _settings] = MANIFEST_FOLDERS;
    vec![host.path(operator)]
}

/// All manifests, in the order of their precedence: the image's own first, each folder by file name.
pub fn manifests(host: &Host) -> Vec<Read> {
    MANIFEST_FOLDERS.iter().flat_map(|folder| manifests_in(host, folder)).collect()
}

fn manifests_in(host: &Host, folder: &str) -> Vec<Read> {
    let names: std::io::Result<Vec<String>> = fs::read_dir(host.path(folder))
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect());
    let mut names = match names {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![Read::unreadable(folder, error.to_string())],
    };
    names.retain(|name| is_manifest(name));
    names.sort();
    let read = |name: String| {
        let source = format!("{folder}/{name}");
        manifest::load(&host.path(&source), &source)
    };
    names.into_iter().map(read).collect()
}

/// Editors' and package managers' leftovers are no manifests.
fn is_manifest(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    !name.starts_with('.') && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Looks at the runtime. Keeps what cannot change while the agent runs.
#[derive(Debug, Default)]
pub struct Observer {
    archives: Option<BTreeMap<ImageReference, Archive>>,
    cached: Cached,
    /// Containers that were ended because the node goes down, once they were read.
    cut_short: Option<BTreeSet<String>>,
    /// The first look.
    since: Option<Instant>,
}

impl Observer {
    /// What the runtime has of ours, with what the `jobs` report.
    ///
    /// # Errors
    /// If the runtime does not answer.
    pub async fn observe(&mut self, host: &Host, cri: &Cri, jobs: &mut Jobs, marks: Marks) -> Result<Observed> {
        jobs.collect();
        let boot = identity::boot_id(host)?;
        let managed = || BTreeMap::from([(sandbox::MANAGED.0.to_owned(), sandbox::MANAGED.1.to_owned())]);
        let mut sandboxes: Vec<Sandbox> = cri.sandboxes(managed()).await?.into_iter().map(sandbox_of).collect();
        self.cached.addresses(cri, &mut sandboxes).await;
        let cut_short = match self.cut_short.take() {
            Some(read) => read,
            None => host.read("reading which containers were cut short", |host| Ok(cut_short::read(host))).await?,
        };
        let cut_short = self.cut_short.insert(cut_short);
        let mut used = BTreeSet::new();
        let mut ended = Vec::new();
        for container in cri.containers(managed()).await? {
            used.insert(container.image.clone());
            ended.extend(EndedContainer::of(&container));
            if let Some(sandbox) = sandboxes.iter_mut().find(|sandbox| sandbox.id == container.sandbox_id) {
                let is_cut_short = cut_short.contains(&container.id);
                sandbox.containers.push(instance(container, &boot, is_cut_short));
            }
        }
        self.cached.termination_messages(host, ended, &mut sandboxes).await?;
        let mut images = BTreeMap::new();
        let listed = cri.images().await?;
        for image in &listed {
            // What has no name that a manifest could give it is of no interest here.
            let named = image.references.iter().filter_map(|reference| ImageReference::parse(reference).ok());
            images.extend(named.map(|reference| (reference, image.id.clone())));
        }
        Ok(Observed {
            sandboxes,
            images,
            archives: self.archives(host).await?.clone(),
            busy: jobs.busy(),
            files: host.read("looking for files of pods", |host| Ok(files::owners(host))).await?,
            resolver: self.resolver(host),
            failures: jobs.failures().clone(),
            verdicts: jobs.verdicts(),
            disk: jobs.disk().observe(listed, &used, marks, SystemTime::now()).await,
        })
    }

    fn resolver(&mut self, host: &Host) -> Option<Resolver> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let found = resolver(host);
        (!found.servers.is_empty() || since.elapsed() >= RESOLVER_TIMEOUT).then_some(found)
    }

    /// Writes down which containers run now that the node goes down.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub async fn cut_short(&mut self, host: &Host, observed: &Observed) -> Result<()> {
        let known = self.cut_short.get_or_insert_default();
        let all = cut_short::with_running(known, &observed.sandboxes);
        if all != *known {
            let ids = all.clone();
            host.change("writing down which containers are cut short", move |host| cut_short::write(host, &ids))
                .await?;
            self.cut_short = Some(all);
        }
        Ok(())
    }

    async fn archives(&mut self, host: &Host) -> Result<&BTreeMap<ImageReference, Archive>> {
        let found = match self.archives.take() {
            Some(found) => found,
            None => {
                let read = |host: &Host| Ok(preloaded::archives(host));
                let (found, damaged) = match host.read("reading the archives of images", read).await? {
                    Ok(read) => read,
                    Err(error) => (BTreeMap::new(), vec![error]),
                };
                for error in damaged {
                    log::error!("{error:#}; the images in it are not at hand");
                }
                found
            }
        };
        Ok(self.archives.insert(found))
    }
}

/// Whom the node asks for names now.
pub(super) fn resolver(host: &Host) -> Resolver {
    let conf = resolved::load_resolv_conf(host).unwrap_or_else(|error| {
        log::error!("{error:#}");
        ResolvConf::default()
    });
    let ResolvConf { servers, searches, options } = conf;
    Resolver { servers, searches, options }
}

fn sandbox_of(found: cri::Sandbox) -> Sandbox {
    let annotation = |key: &str| found.annotations.get(key).cloned().unwrap_or_default();
    Sandbox {
        source: annotation(sandbox::SOURCE),
        text: annotation(sandbox::MANIFEST),
        grace: sandbox::grace(&found.annotations),
        since: sandbox::since(&found.annotations).unwrap_or(found.created_at),
        address: String::new(),
        key: Key { namespace: found.namespace, name: found.name },
        id: found.id,
        uid: found.uid,
        attempt: found.attempt,
        ready: found.ready,
        containers: Vec::new(),
    }
}

fn instance(found: ContainerStatus, boot: &str, is_cut_short: bool) -> Instance {
    let crashes = sandbox::crashes(&found.annotations, boot);
    let state = match found.state {
        ContainerState::Created => State::Created,
        ContainerState::Running => State::Running,
        // Lost from sight is ended; when, nobody knows, so it starts again at once.
        ContainerState::Exited | ContainerState::Unknown => State::Exited {
            started_at: found.started_at,
            finished_at: found.finished_at.unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(1)),
            exit_code: match found.state == ContainerState::Unknown || is_cut_short {
                true => UNKNOWN_EXIT,
                false => found.exit_code,
            },
            reason: found.reason,
            message: one_line(&found.message, MAX_MESSAGE),
        },
    };
    Instance { id: found.id, name: found.name, attempt: found.attempt, crashes, started_at: found.started_at, state }
}

/// A longer sentence fills a screen, and each pass carries it along.
const MAX_MESSAGE: usize = 1024;

/// What a runtime reports may be many lines of a program's error output.
pub(super) fn one_line(message: &str, most: usize) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "");
    let end = line.char_indices().map(|(at, _)| at).find(|at| *at >= most);
    end.map_or(line.clone(), |end| format!("{}…", &line[..end]))
}

/// What containerd itself gives a container whose end it did not see.
const UNKNOWN_EXIT: i32 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yaml_and_json_files_are_manifests() {
        for (name, expected) in
            [("a.yaml", true), ("a.yml", true), ("a.json", true), (".a.yaml", false), ("a.yaml~", false), ("a", false)]
        {
            assert_eq!(is_manifest(name), expected, "{name}");
        }
    }

    #[test]
    fn a_message_is_one_line_of_limited_length() {
        assert_eq!(one_line("exec:\n  \"/nope\":\x1b no such file\n", MAX_MESSAGE), "exec: \"/nope\": no such file");
        let long = one_line(&"ä".repeat(4000), MAX_MESSAGE);
        assert!(long.len() <= MAX_MESSAGE + 4 && long.ends_with("ä…"), "{}", long.len());
    }

    #[test]
    fn an_unreadable_folder_is_reported_and_a_missing_one_is_empty() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        assert!(manifests(&host).is_empty());
        fs::create_dir_all(tree.path().join("var/lib/ballast")).unwrap();
        fs::write(tree.path().join("var/lib/ballast/pods"), "not a folder").unwrap();
        let found = manifests(&host);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].source, "/var/lib/ballast/pods");
        assert_eq!(found[0].problems.len(), 1);
    }
}
