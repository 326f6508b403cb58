//! A container runtime that remembers what it is asked to run, and runs nothing.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use prost::Message;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    grpc::{self, Answer, Service},
    tasks::{self, Tasks},
    transfer::{self, Arriving},
    wire,
};

pub(crate) const CREATED: i32 = 0;
pub(crate) const RUNNING: i32 = 1;
pub(crate) const EXITED: i32 = 2;

/// An image that the runtime itself needs.
pub(crate) const PINNED: &str = "quay.io/pinned:1";

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sandboxes: Vec<wire::Sandbox>,
    pub(crate) containers: Vec<Container>,
    /// What each sandbox was asked to ask for names, in the order of their making.
    pub(crate) dns: Vec<Option<wire::Dns>>,
    /// References of the images that are there.
    pub(crate) images: Vec<String>,
    /// Archives that are coming in.
    pub(crate) arriving: Arriving,
    /// Commands in containers.
    pub(crate) tasks: Tasks,
    /// What was called, with the main argument, but for questions.
    pub(crate) calls: Vec<String>,
    /// References that cannot be pulled.
    pub(crate) missing: Vec<String>,
    /// Whether it takes no archives.
    pub(crate) refuses_archives: bool,
    /// So often a sandbox cannot be stopped.
    pub(crate) failing_stops: u32,
    pub(crate) is_ready: bool,
    pub(crate) is_silent: bool,
    /// Why containers cannot be started, in the runtime's words.
    pub(crate) start_error: Option<String>,
    /// Whether containers end with this status as soon as they start.
    pub(crate) exit_at_once: Option<i32>,
    /// With which status each next run of a container, by its name, ends as soon as it starts; those after them run on.
    pub(crate) exits: HashMap<String, VecDeque<i32>>,
    /// With which status a command in a container ends, by its words; others end well.
    pub(crate) commands: HashMap<String, i32>,
    /// Which containers were started, in order.
    pub(crate) starts: Vec<String>,
    /// Which containers were stopped, and within how many seconds.
    pub(crate) stops: Vec<String>,
    listeners: Vec<mpsc::Sender<Vec<u8>>>,
    count: u32,
}

pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) sandbox_id: String,
    pub(crate) config: wire::ContainerConfig,
    pub(crate) state: i32,
    pub(crate) exit_code: i32,
    pub(crate) message: String,
    pub(crate) started_at: i64,
    pub(crate) finished_at: i64,
}

/// The runtime; it keeps what it runs while its server is stopped, as shims do.
#[derive(Default)]
pub(crate) struct Runtime {
    state: Mutex<State>,
}

impl Runtime {
    pub(crate) fn new() -> Arc<Self> {
        let runtime = Arc::new(Self::default());
        runtime.state().is_ready = true;
        runtime
    }

    pub(crate) fn serve(self: &Arc<Self>, path: &Path) -> JoinHandle<()> {
        grpc::serve(path, Arc::clone(self))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The calls so far that start with `prefix`.
    pub(crate) fn calls(&self, prefix: &str) -> Vec<String> {
        self.state().calls.iter().filter(|call| call.starts_with(prefix)).cloned().collect()
    }

    /// Ends the running container `name` with `exit_code`.
    pub(crate) fn end(&self, name: &str, exit_code: i32) {
        let mut state = self.state();
        for container in &mut state.containers {
            if container.name() == name && container.state == RUNNING {
                container.end(exit_code);
            }
        }
        state.report();
    }

    /// Everything stops, as in a reboot.
    pub(crate) fn reboot(&self) {
        let mut state = self.state();
        state.sandboxes.iter_mut().for_each(|sandbox| sandbox.state = 1);
        state.containers.iter_mut().filter(|one| one.state == RUNNING).for_each(|one| one.end(255));
        state.listeners.clear();
    }
}

impl Container {
    pub(crate) fn name(&self) -> &str {
        self.config.metadata.as_ref().map_or("", |metadata| &metadata.name)
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.config.metadata.as_ref().map_or(0, |metadata| metadata.attempt)
    }

    fn end(&mut self, exit_code: i32) {
        self.state = EXITED;
        self.exit_code = exit_code;
        self.finished_at = now();
    }
}

/// What is of the node itself has the one configuration of the archives that it came in.
fn id_of(image: &str) -> String {
    if image.starts_with("localhost/") { transfer::CONFIG.to_owned() } else { format!("id of {image}") }
}

/// Under which name containerd keeps an image: beside a digest it forgets the tag.
fn stored(image: &str) -> String {
    let Some((name, digest)) = image.split_once('@') else { return image.to_owned() };
    let slash = name.rfind('/').unwrap_or(0);
    let end = name[slash..].find(':').map_or(name.len(), |colon| slash + colon);
    format!("{}@{digest}", &name[..end])
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_nanos()).unwrap()
}

impl State {
    fn report(&mut self) {
        self.listeners.retain(|listener| listener.try_send(Vec::new()).is_ok());
    }

    fn new_id(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}{}", self.count)
    }

    fn act(&mut self, method: &str, message: &[u8]) -> Option<Answer> {
        let id = wire::Id::decode(message).unwrap_or_default();
        let done = || Some(Answer::Message(Vec::new()));
        self.calls.push(format!("{method} {}", id.id));
        match method {
            "RunPodSandbox" => {
                let config = wire::RunSandbox::decode(message).unwrap().config.unwrap();
                let sandbox = wire::Sandbox {
                    id: self.new_id("s"),
                    metadata: config.metadata,
                    state: 0,
                    created_at: now(),
                    labels: config.labels,
                    annotations: config.annotations,
                };
                let id = wire::Id { id: sandbox.id.clone(), timeout: 0 };
                self.sandboxes.push(sandbox);
                self.dns.push(config.dns);
                Some(Answer::Message(id.encode_to_vec()))
            }
            "StopPodSandbox" if self.failing_stops > 0 => {
                self.failing_stops -= 1;
                Some(Answer::Refusal("failed to kill container: ttrpc: closed".to_owned()))
            }
            "StopPodSandbox" => {
                self.sandboxes.iter_mut().filter(|one| one.id == id.id).for_each(|one| one.state = 1);
                let inside = self.containers.iter_mut().filter(|one| one.sandbox_id == id.id && one.state == RUNNING);
                inside.for_each(|one| one.end(137));
                done()
            }
            "RemovePodSandbox" => {
                self.sandboxes.retain(|one| one.id != id.id);
                self.containers.retain(|one| one.sandbox_id != id.id);
                done()
            }
            "CreateContainer" => {
                let request = wire::CreateContainer::decode(message).unwrap();
                let config = request.config.unwrap();
                let image = config.image.clone().unwrap_or_default().image;
                if !self.images.contains(&stored(&image)) {
                    return Some(Answer::Refusal(format!("no such image: {image}")));
                }
                let id = self.new_id("c");
                self.containers.push(Container {
                    id: id.clone(),
                    sandbox_id: request.sandbox_id,
                    config,
                    state: CREATED,
                    exit_code: 0,
                    message: String::new(),
                    started_at: 0,
                    finished_at: 0,
                });
                Some(Answer::Message(wire::Id { id, timeout: 0 }.encode_to_vec()))
            }
            "StartContainer" if self.start_error.is_some() => {
                let message = self.start_error.clone().unwrap_or_default();
                for container in self.containers.iter_mut().filter(|one| one.id == id.id) {
                    container.end(128);
                    container.message.clone_from(&message);
                }
                self.report();
                Some(Answer::Refusal(message))
            }
            "StartContainer" => {
                let exit_at_once = self.exit_at_once;
                for container in self.containers.iter_mut().filter(|one| one.id == id.id) {
                    container.state = RUNNING;
                    container.started_at = now();
                    self.starts.push(container.name().to_owned());
                    let next = self.exits.get_mut(container.name()).and_then(VecDeque::pop_front);
                    if let Some(exit_code) = next.or(exit_at_once) {
                        container.end(exit_code);
                    }
                }
                self.report();
                done()
            }
            "StopContainer" => {
                if let Some(call) = self.calls.last_mut() {
                    *call = format!("StopContainer {} within {} s", id.id, id.timeout);
                }
                for container in self.containers.iter_mut().filter(|one| one.id == id.id) {
                    self.stops.push(format!("{} {}", container.name(), id.timeout));
                    container.end(143);
                }
                done()
            }
            "ExecSync" => {
                let request = wire::ExecSyncRequest::decode(message).unwrap();
                let command = request.cmd.join(" ");
                let Some(container) =
                    self.containers.iter().find(|one| one.id == request.container_id && one.state == RUNNING)
                else {
                    return Some(Answer::Refusal("container is not running".to_owned()));
                };
                if let Some(call) = self.calls.last_mut() {
                    *call = format!("ExecSync {} {command}", container.name());
                }
                let exit_code = self.commands.get(&command).copied().unwrap_or(0);
                let stdout = format!("{command} says {exit_code}\n").into_bytes();
                Some(Answer::Message(wire::ExecSyncResponse { stdout, exit_code }.encode_to_vec()))
            }
            "ReopenContainerLog" => done(),
            "RemoveContainer" => {
                self.containers.retain(|one| one.id != id.id);
                done()
            }
            "RemoveImage" => {
                let image = wire::PullImage::decode(message).unwrap().image.unwrap().image;
                if let Some(call) = self.calls.last_mut() {
                    *call = format!("RemoveImage {image}");
                }
                self.images.retain(|one| id_of(one) != image);
                done()
            }
            "PullImage" => {
                let image = wire::PullImage::decode(message).unwrap().image.unwrap().image;
                if let Some(call) = self.calls.last_mut() {
                    *call = format!("PullImage {image}");
                }
                if self.missing.contains(&image) {
                    return Some(Answer::Refusal(format!("{image}: not found")));
                }
                self.images.push(stored(&image));
                done()
            }
            _ => None,
        }
    }

    fn report_of(&mut self, method: &str, message: &[u8]) -> Option<Answer> {
        let message = match method {
            "Version" => {
                wire::VersionResponse { runtime_name: "fake".into(), runtime_version: "1.0".into() }.encode_to_vec()
            }
            "Status" => {
                let ready =
                    wire::Condition { r#type: "RuntimeReady".into(), status: self.is_ready, reason: "Starting".into() };
                let network = wire::Condition { r#type: "NetworkReady".into(), ..wire::Condition::default() };
                let status = Some(wire::Conditions { conditions: vec![network, ready] });
                wire::StatusResponse { status }.encode_to_vec()
            }
            "ListPodSandbox" => {
                let request = wire::ListPodSandboxRequest::decode(message).unwrap();
                let wanted = request.filter.unwrap_or_default().label_selector;
                let is_wanted =
                    |one: &&wire::Sandbox| wanted.iter().all(|(key, value)| one.labels.get(key) == Some(value));
                wire::Sandboxes { items: self.sandboxes.iter().filter(is_wanted).cloned().collect() }.encode_to_vec()
            }
            // Where tests have servers of their own.
            "PodSandboxStatus" => {
                let network = Some(wire::PodSandboxNetworkStatus { ip: "127.0.0.1".to_owned() });
                wire::PodSandboxStatusResponse { status: Some(wire::PodSandboxStatus { network }) }.encode_to_vec()
            }
            "ListContainers" => {
                let request = wire::ListContainersRequest::decode(message).unwrap();
                let wanted = request.filter.unwrap_or_default().label_selector;
                let is_wanted =
                    |one: &&Container| wanted.iter().all(|(key, value)| one.config.labels.get(key) == Some(value));
                let row = |one: &Container| wire::Container {
                    id: one.id.clone(),
                    sandbox_id: one.sandbox_id.clone(),
                    metadata: one.config.metadata.clone(),
                    state: one.state,
                    labels: one.config.labels.clone(),
                    image_ref: id_of(&stored(&one.config.image.clone().unwrap_or_default().image)),
                };
                wire::Containers { containers: self.containers.iter().filter(is_wanted).map(row).collect() }
                    .encode_to_vec()
            }
            // Nobody writes into a root file system here.
            "ListContainerStats" => Vec::new(),
            "ContainerStatus" => {
                let id = wire::Id::decode(message).unwrap().id;
                let Some(container) = self.containers.iter().find(|one| one.id == id) else {
                    return Some(Answer::Refusal(format!("no such container: {id}")));
                };
                let status = Some(wire::ContainerStatus {
                    metadata: container.config.metadata.clone(),
                    state: container.state,
                    started_at: container.started_at,
                    finished_at: container.finished_at,
                    exit_code: container.exit_code,
                    reason: if container.message.is_empty() { String::new() } else { "StartError".to_owned() },
                    message: container.message.clone(),
                    annotations: container.config.annotations.clone(),
                });
                wire::ContainerStatusResponse { status }.encode_to_vec()
            }
            "ListImages" => {
                let image = |tag: &String| wire::Image {
                    id: id_of(tag),
                    tags: vec![tag.clone()],
                    size: 1000,
                    pinned: tag == PINNED,
                };
                wire::Images { images: self.images.iter().map(image).collect() }.encode_to_vec()
            }
            "GetContainerEvents" => {
                let (send, receive) = mpsc::channel(16);
                self.listeners.push(send);
                return Some(Answer::Stream(receive));
            }
            _ => return None,
        };
        Some(Answer::Message(message))
    }
}

impl Service for Runtime {
    fn answer(self: Arc<Self>, method: &str, message: &[u8]) -> Answer {
        if method == "Transfer" {
            return transfer::import(self, message);
        }
        if let Some(answer) = tasks::answer(&self, method, message) {
            return answer;
        }
        let mut state = self.state();
        if state.is_silent {
            return Answer::Silence;
        }
        let reported = state.report_of(method, message);
        reported.or_else(|| state.act(method, message)).unwrap_or_else(|| Answer::Refusal(format!("unknown: {method}")))
    }
    fn converse(self: Arc<Self>, messages: mpsc::Receiver<Vec<u8>>) -> Answer {
        transfer::receive(self, messages)
    }
}
