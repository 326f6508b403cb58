//! kubectl, as one identity, with a home of its own: it would keep what servers sent in ours.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::programs::Programs;
use crate::deadline::Deadline;

/// Between two looks at an object; each costs a tenth of a second of CPU.
const AGAIN: Duration = Duration::from_secs(1);

/// What is forwarded answers within this, through two servers on a busy host.
const ANSWER: Duration = Duration::from_secs(60);

/// What kubectl says of a connection that failed is there after this.
const SAYS_WHY: Duration = Duration::from_secs(3);

/// Commands to one cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    programs: Programs,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// Asks what `child` forwards for `path`, once it says where it listens.
fn forwarded(child: &mut Child, path: &str) -> Result<String> {
    let mut said = String::new();
    // Open to the end: kubectl writes to it once more, and a closed pipe would end it.
    let mut stdout = BufReader::new(child.stdout.take().context("its output")?);
    stdout.read_line(&mut said)?;
    let address = said.strip_prefix("Forwarding from ").and_then(|rest| rest.split_whitespace().next());
    let mut stream = TcpStream::connect(address.with_context(|| format!("it says {said:?}"))?)?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => answer.extend_from_slice(&piece[..bytes]),
            // So kubectl ends what the other side has ended.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && !answer.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    String::from_utf8(answer).context("reading the answer")
}

/// How a command ended.
struct Ended {
    good: bool,
    stdout: String,
    stderr: String,
}

impl Kubectl {
    /// As whoever the file `kubeconfig` says; what it keeps lies beside that.
    pub(super) fn new(programs: &Programs, kubeconfig: PathBuf) -> Self {
        let home = kubeconfig.with_extension("home");
        Self { programs: programs.clone(), kubeconfig, home }
    }

    /// Runs `kubectl ARGUMENTS`, which must succeed; gives what it prints.
    ///
    /// # Errors
    /// When it fails, with its warning.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.reading("", arguments)
    }

    /// The same with something on its stdin.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn reading(&self, input: &str, arguments: &[&str]) -> Result<String> {
        let ended = self.ended(input, arguments)?;
        if !ended.good {
            bail!("kubectl {} failed: {}", arguments.join(" "), ended.stderr.trim());
        }
        Ok(ended.stdout.trim_end().to_owned())
    }

    /// Runs what must be refused; gives the warning.
    ///
    /// # Errors
    /// When it succeeds, or cannot be run.
    pub fn refused(&self, arguments: &[&str]) -> Result<String> {
        let ended = self.ended("", arguments)?;
        if ended.good {
            bail!("kubectl {} was not refused: {}", arguments.join(" "), ended.stdout.trim());
        }
        Ok(ended.stderr)
    }

    /// Makes the objects of `yaml` so.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn apply(&self, yaml: &str) -> Result<()> {
        self.reading(yaml, &["apply", "--validate=false", "-f", "-"]).map(drop)
    }

    /// Objects as JSON: `kubectl get ARGUMENTS`.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[&["get", "--output=json"], arguments].concat())?;
        serde_json::from_str(&text).with_context(|| format!("reading {} as JSON", arguments.join(" ")))
    }

    /// The same of an object that may not be there.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn find(&self, arguments: &[&str]) -> Result<Option<Value>> {
        let text = self.run(&[&["get", "--output=json", "--ignore-not-found"], arguments].concat())?;
        let read =
            |text| serde_json::from_str(text).with_context(|| format!("reading {} as JSON", arguments.join(" ")));
        if text.is_empty() { Ok(None) } else { read(&text).map(Some) }
    }

    /// Asks for an object until it is there and `wanted`; gives it.
    ///
    /// # Errors
    /// When it is not in time; with what it was last.
    pub fn when(
        &self,
        what: &str,
        deadline: Deadline,
        arguments: &[&str],
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        loop {
            // A server that is just being started again may not answer this time.
            let found = self.find(arguments);
            if let Some(found) = found.as_ref().ok().and_then(Option::as_ref).filter(|found| wanted(found)) {
                return Ok(found.clone());
            }
            if deadline.is_over() {
                let last = found?.map_or_else(|| "nothing".into(), |found| without_noise(&found).to_string());
                bail!("{what}: not within {deadline}; {} is {last}", arguments.join(" "));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Changes fields of an object: a JSON merge patch (RFC 7386).
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn patch(&self, object: &[&str], change: &Value) -> Result<()> {
        let change = change.to_string();
        self.run(&[&["patch", "--type=merge", "--patch", &change], object].concat()).map(drop)
    }

    /// What `path` answers on `port` of `what`, as `deployment/web`, over `kubectl port-forward`.
    ///
    /// # Errors
    /// When it cannot be forwarded, or nothing answers.
    pub fn forwarded(&self, what: &str, port: u16, path: &str) -> Result<String> {
        let doing = || format!("forwarding port {port} of {what}");
        let ports = format!(":{port}");
        // It ends by itself if the pod does not run, and with us in any case.
        let mut child = self.command(&["port-forward", what, &ports]).spawn().with_context(doing)?;
        let answered = self::forwarded(&mut child, path).with_context(doing);
        if answered.is_err() {
            // What it says of it comes after the connection is closed.
            std::thread::sleep(SAYS_WHY);
        }
        child.kill().with_context(doing)?;
        let output = child.wait_with_output().with_context(doing)?;
        answered.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Whether the API server says that it is ready.
    pub(super) fn server_is_ready(&self) -> bool {
        self.run(&["get", "--raw=/readyz", "--request-timeout=5s"]).is_ok()
    }

    fn ended(&self, input: &str, arguments: &[&str]) -> Result<Ended> {
        let what = || format!("running kubectl {}", arguments.join(" "));
        let mut child = self.command(arguments).spawn().with_context(what)?;
        let mut stdin = child.stdin.take().with_context(what)?;
        // Both at once: it prints a line for each object while it reads the next.
        let output = std::thread::scope(|scope| {
            // One that fails before it reads says why in its output.
            scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        });
        let output = output.with_context(what)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { good: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.programs.kubectl();
        // No proxy of this host leads to its loopback.
        command.env_clear().env("HOME", &self.home).env("PATH", "/usr/bin:/bin");
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        if !arguments.iter().any(|argument| argument.starts_with("--request-timeout")) {
            command.arg("--request-timeout=30s");
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Who set which field takes more room than the fields.
fn without_noise(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}
