//! `ballast metrics`: what a Prometheus would read of this node.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    ask::{print, unexpected},
    node::Node,
};
use crate::{
    clients::host::Host,
    report::{
        metrics::SOCKET,
        socket::{Reply, Request},
    },
};

/// The agent answers at once, from memory.
const DEADLINE: Duration = Duration::from_secs(5);

/// Prints the node's metrics in Prometheus' text format
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 they are printed; 1 the agent could not be asked; 2 wrong usage.")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, node: &Node) -> Result<ExitCode> {
    match node {
        Node::Here(host) => {
            let answer = ask(host).with_context(|| format!("asking the agent at {SOCKET}"))?;
            print(body(&answer)?)?;
        }
        Node::There(_) => {
            let reply = node.open("metrics", &Request::Metrics {})?.next()?;
            let Reply::Text(text) = reply else { bail!(unexpected(&reply)) };
            print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// HTTP/1.0: the answer ends when the connection does.
fn ask(host: &Host) -> Result<String> {
    let mut stream = UnixStream::connect(host.path(SOCKET)).map_err(|error| {
        let kind = error.kind();
        if kind == ErrorKind::PermissionDenied {
            anyhow!("only root may read them there; try sudo ballast metrics")
        } else if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            anyhow!("nobody serves them; the agent does so once the node was READY, see ballast status")
        } else {
            anyhow!(error)
        }
    })?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn body(answer: &str) -> Result<&str> {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("the agent's answer is not whole: {answer:?}")
    };
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("the agent answered with {status:?}: {body}");
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_printed() {
        assert_eq!(body("HTTP/1.0 200 OK\r\nx: y\r\n\r\na 1\n").unwrap(), "a 1\n");
        for (answer, expected) in [("", "is not whole"), ("HTTP/1.0 404 Not Found\r\n\r\nno", "404 Not Found")] {
            let error = body(answer).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
