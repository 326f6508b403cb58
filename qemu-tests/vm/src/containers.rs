//! The running containers as runc says them from its own records and the kernel's: neither the agent nor containerd is asked.

use anyhow::Result;

use crate::guest::Guest;

/// A running container, or a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    /// Its id
    pub id: String,
    /// Its first process
    pub pid: u32,
}

/// The running containers and sandboxes of the CRI, by id.
///
/// # Errors
/// If runc cannot be asked.
pub fn running(guest: &mut Guest) -> Result<Vec<Container>> {
    Ok(read(&guest.ask("runc --root /run/containerd/runc/k8s.io list")?))
}

/// Reads `ID PID STATUS BUNDLE CREATED OWNER` and the lines below it.
fn read(list: &str) -> Vec<Container> {
    let container = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [id, pid, "running", ..] = fields[..] else { return None };
        Some(Container { id: id.to_owned(), pid: pid.parse().ok()? })
    };
    let mut containers: Vec<Container> = list.lines().skip(1).filter_map(container).collect();
    containers.sort();
    containers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_counts() {
        let list = "ID   PID  STATUS   BUNDLE  CREATED  OWNER\n\
                    cd   13   running  /run/c  2026-11-21T00:00:00Z  root\n\
                    ab   12   running  /run/b  2026-11-21T00:00:00Z  root\n\
                    ef   0    stopped  /run/e  2026-11-21T00:00:00Z  root\n";
        let container = |id: &str, pid| Container { id: id.to_owned(), pid };
        assert_eq!(read(list), [container("ab", 12), container("cd", 13)]);
        assert!(read("ID PID STATUS\n").is_empty());
    }
}
