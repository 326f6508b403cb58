//! containerd's Tasks service in the fake runtime: commands run here, over named pipes, as a shim runs them. The messages are written down
//! from the .proto files once more.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use super::{cri::Runtime, grpc::Answer, wire::Any};

#[derive(Clone, PartialEq, Message)]
struct Exec {
    #[prost(string, tag = "1")]
    container: String,
    #[prost(string, tag = "2")]
    stdin: String,
    #[prost(string, tag = "3")]
    stdout: String,
    #[prost(string, tag = "4")]
    stderr: String,
    #[prost(bool, tag = "5")]
    terminal: bool,
    #[prost(message, optional, tag = "6")]
    spec: Option<Any>,
    #[prost(string, tag = "7")]
    id: String,
}

/// What all others have in common, and their numbers.
#[derive(Clone, PartialEq, Message)]
struct Asked {
    #[prost(string, tag = "1")]
    container: String,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(uint32, tag = "3")]
    first: u32,
    #[prost(uint32, tag = "4")]
    second: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(uint32, tag = "1")]
    status: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Got {
    #[prost(message, optional, tag = "1")]
    container: Option<Specified>,
}

#[derive(Clone, PartialEq, Message)]
struct Specified {
    #[prost(message, optional, tag = "5")]
    spec: Option<Any>,
}

/// A command.
#[derive(Default)]
pub(crate) struct Task {
    exec: Exec,
    pid: Option<Pid>,
    /// The input's other end, which is kept until somebody wants it closed.
    stdin: Option<File>,
    status: Option<u32>,
    waiting: Vec<mpsc::Sender<Vec<u8>>>,
}

/// By id.
pub(crate) type Tasks = HashMap<String, Task>;

/// None if it is a call of another service.
pub(crate) fn answer(runtime: &Arc<Runtime>, method: &str, message: &[u8]) -> Option<Answer> {
    let asked = Asked::decode(message).unwrap_or_default();
    let done = Answer::Message(Vec::new());
    let note = |text: String| runtime.state().calls.push(text);
    Some(match method {
        "Get" => {
            let spec =
                br#"{"process":{"args":["its","own"],"env":["PATH=/usr/bin:/bin","OF=the-container"],"cwd":"/"}}"#;
            let spec = Some(Any { type_url: "spec".to_owned(), value: spec.to_vec() });
            Answer::Message(Got { container: Some(Specified { spec }) }.encode_to_vec())
        }
        "Exec" => {
            // Other fields have the numbers of Asked.
            let exec = Exec::decode(message).unwrap();
            assert!(exec.spec.as_ref().is_some_and(|spec| spec.type_url.ends_with("runtime-spec/1/Process")));
            runtime.state().tasks.insert(exec.id.clone(), Task { exec, ..Task::default() });
            done
        }
        "Start" => start(runtime, &asked.id),
        "Wait" => {
            let mut state = runtime.state();
            let Some(task) = state.tasks.get_mut(&asked.id) else { return Some(unknown()) };
            let (send, receive) = mpsc::channel(1);
            match task.status {
                Some(status) => send.try_send(Status { status }.encode_to_vec()).unwrap(),
                None => task.waiting.push(send),
            }
            Answer::Stream(receive)
        }
        "Kill" => {
            note(format!("Kill {}", asked.first));
            match runtime.state().tasks.get(&asked.id) {
                Some(Task { pid: Some(pid), status: None, .. }) => {
                    let signal = if asked.first == 9 { Signal::KILL } else { Signal::TERM };
                    kill_process(*pid, signal).unwrap();
                    done
                }
                _ => unknown(),
            }
        }
        "ResizePty" => {
            note(format!("ResizePty {}x{}", asked.first, asked.second));
            done
        }
        "CloseIO" => {
            note("CloseIO".to_owned());
            runtime.state().tasks.get_mut(&asked.id).map(|task| task.stdin.take());
            done
        }
        "DeleteProcess" => {
            let removed = runtime.state().tasks.remove(&asked.id);
            removed.map_or_else(unknown, |task| {
                note(format!("DeleteProcess {}", task.exec.container));
                Answer::Message(Vec::new())
            })
        }
        _ => return None,
    })
}

fn unknown() -> Answer {
    Answer::Refusal("no such process".to_owned())
}

fn start(runtime: &Arc<Runtime>, id: &str) -> Answer {
    let mut state = runtime.state();
    let Some(task) = state.tasks.get_mut(id) else { return unknown() };
    let spec: serde_json::Value = serde_json::from_slice(&task.exec.spec.as_ref().unwrap().value).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let args: Vec<String> = spec["args"].as_array().unwrap().iter().map(text).collect();
    let env: Vec<String> = spec["env"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(spec["terminal"], task.exec.terminal);
    let writer = |path: &str| OpenOptions::new().write(true).open(path).unwrap();
    let mut command = Command::new(&args[0]);
    command.args(&args[1..]).env_clear().envs(env.iter().map(|one| one.split_once('=').unwrap()));
    command.stdin(Stdio::null());
    if !task.exec.stdin.is_empty() {
        // As the shim does it: it keeps a writer of its own, and the command reads from a pipe that ends with it.
        task.stdin = Some(writer(&task.exec.stdin));
        command.stdin(File::open(&task.exec.stdin).unwrap());
    }
    let stdout = writer(&task.exec.stdout);
    let stderr = if task.exec.stderr.is_empty() { stdout.try_clone().unwrap() } else { writer(&task.exec.stderr) };
    let spawned = command.stdout(stdout).stderr(stderr).spawn();
    let Ok(child) = spawned else { return Answer::Refusal(format!("exec: {:?}: not found", args[0])) };
    drop(command);
    task.pid = Some(Pid::from_child(&child));
    attend(runtime, id, child);
    Answer::Message(Vec::new())
}

/// Waits for the end of `child`, the task `id`.
fn attend(runtime: &Arc<Runtime>, id: &str, mut child: Child) {
    let (runtime, id) = (Arc::clone(runtime), id.to_owned());
    thread::spawn(move || {
        let ended = child.wait().unwrap();
        let status =
            ended.code().or(ended.signal().map(|signal| 128 + signal)).and_then(|code| u32::try_from(code).ok());
        let mut state = runtime.state();
        if let Some(task) = state.tasks.get_mut(&id) {
            task.status = status;
            let message = Status { status: status.unwrap() }.encode_to_vec();
            task.waiting.drain(..).for_each(|waiting| waiting.try_send(message.clone()).unwrap_or_default());
        }
    });
}

/// A command that runs as the task `id` of the container `c1`, and that nobody waits for.
pub(crate) fn leave(runtime: &Arc<Runtime>, id: &str, command: &[&str]) {
    let child = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).spawn().unwrap();
    let exec = Exec { container: "c1".to_owned(), id: id.to_owned(), ..Exec::default() };
    let task = Task { exec, pid: Some(Pid::from_child(&child)), ..Task::default() };
    runtime.state().tasks.insert(id.to_owned(), task);
    attend(runtime, id, child);
}

/// Whether a process runs whose command line has `word` in it.
pub(crate) fn runs(word: &str) -> bool {
    let of = |entry: std::fs::DirEntry| std::fs::read_to_string(Path::new(&entry.path()).join("cmdline")).ok();
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(of).any(|line| line.split('\0').any(|part| part == word))
}
