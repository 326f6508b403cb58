//! A reset that somebody orders: /init carries it out at the next boot, before anything uses /var (`initramfs/src/reset.rs`).

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::socket::Reply;
use crate::{
    clients::{host::Host, store},
    update::model::{Failure, FailureKind, Outcome},
};

/// The order: a word for each thing that stays, a line each, and [`END`].
const ORDER: &str = "/var/lib/ballast/reset";

/// The last line of an order: /init carries out none that lost a part.
const END: &str = "end";

/// Is there while /var is in memory.
const IN_MEMORY: &str = "/run/ballast/var-in-memory";

/// Says in memory that there is an order: the status is not to wait for the disk.
const ORDERED: &str = "/run/ballast/reset-ordered";

/// What stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// What the operator set on the node, and what its first boot found.
    Settings,
    /// The machine-id, the API's key, and the node's credentials in its clusters.
    Identity,
    /// What containerd has.
    Images,
    /// Manifests, volumes and logs of the node's own pods.
    Pods,
}

impl Keep {
    /// All.
    pub const ALL: [Self; 4] = [Self::Settings, Self::Identity, Self::Images, Self::Pods];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Identity => "identity",
            Self::Images => "images",
            Self::Pods => "pods",
        }
    }
}

/// An order, or its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reset {
    /// At the next boot all goes but this.
    Order {
        /// What stays.
        keep: Vec<Keep>,
    },
    /// An order holds no more.
    Cancel {},
}

/// Writes the order, or removes it.
pub(super) async fn reset(host: &Host, reset: Reset) -> Reply {
    let done = host.change("ordering a reset", move |host| order(host, &reset)).await;
    match done {
        Ok(Ok(message)) => Reply::Done(Outcome { message, changed: true, ..Outcome::default() }),
        Ok(Err(message)) => Reply::Failed(Failure { kind: FailureKind::Refused, message }),
        Err(error) => Reply::Failed(Failure { kind: FailureKind::Failed, message: format!("{error:#}") }),
    }
}

/// Sees to it that the status says so if an order is there that /init did not carry out.
pub async fn remember(host: Host) {
    if let Err(error) = host.read("looking for a reset that is ordered", mark).await {
        log::warn!("{error:#}");
    }
}

fn mark(host: &Host) -> Result<()> {
    let order = store::read(&host.path(ORDER))?;
    if let Some(order) = order.filter(|_| !host.path(ORDERED).exists()) {
        let order = String::from_utf8_lossy(&order);
        let words: Vec<&str> = order.lines().filter(|word| *word != END).collect();
        fs::write(host.path(ORDERED), list(&words)).with_context(|| format!("writing {ORDERED}"))?;
    }
    Ok(())
}

fn list(words: &[&str]) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// What the status says while a reset is ordered.
pub fn pending(host: &Host) -> Option<String> {
    let kept = fs::read_to_string(host.path(ORDERED)).ok()?;
    Some(format!(
        "a reset is ordered: the next boot empties /var and keeps {kept}; ballast reset --cancel takes it back"
    ))
}

fn order(host: &Host, reset: &Reset) -> Result<Result<String, String>> {
    let (file, mark) = (host.path(ORDER), host.path(ORDERED));
    match reset {
        Reset::Cancel {} => {
            let is_ordered = file.exists();
            // Before the mark: one that a power cut brings back would empty /var, and nobody would know.
            store::remove(&file)?;
            unmark(&mark)?;
            let done = "the next boot changes nothing".to_owned();
            Ok(if is_ordered { Ok(done) } else { Err("no reset is ordered".to_owned()) })
        }
        Reset::Order { .. } if host.path(IN_MEMORY).exists() => {
            Ok(Err("/var is in memory: there is nothing to reset, and no place for an order; see ballast status"
                .to_owned()))
        }
        Reset::Order { keep } => {
            let words: Vec<&str> = keep.iter().map(|keep| keep.name()).collect();
            let kept = list(&words);
            let text: String = words.iter().chain([&END]).map(|word| format!("{word}\n")).collect();
            fs::write(&mark, &kept).with_context(|| format!("writing {ORDERED}"))?;
            if let Err(error) = store::write(&file, text.as_bytes()) {
                // An order of before is there still.
                if !file.exists() {
                    unmark(&mark)?;
                }
                return Err(error);
            }
            Ok(Ok(format!(
                "the next boot empties /var and keeps {kept}: ballast reboot; ballast reset --cancel takes the order back"
            )))
        }
    }
}

fn unmark(mark: &Path) -> Result<()> {
    match fs::remove_file(mark) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("removing {ORDERED}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pods::model::SECCOMP_PROFILES,
        settings::{
            model::FILE,
            observe::{BEFORE, TRIAL},
        },
    };

    /// The node's keys for releases, and what no upgrade goes back behind.
    const OTHERS: [&str; 2] = ["/var/lib/ballast/keys", "/var/lib/ballast/update.json"];

    #[test]
    fn init_knows_each_word() {
        let init = include_str!("../../../initramfs/src/reset.rs");
        for keep in Keep::ALL {
            assert!(
                init.contains(&format!("\"{}\",\n", keep.name()))
                    || init.contains(&format!("(\"{}\", &[", keep.name()))
            );
            assert_eq!(serde_json::to_string(&keep).unwrap(), format!("\"{}\"", keep.name()));
        }
        let path = ORDER.strip_prefix("/var/").unwrap();
        assert!(init.contains(&format!("const ORDER: &str = \"{path}\";")));
        assert!(init.contains(&format!("const END: &str = \"{END}\";")));
        for kept in [FILE, TRIAL, BEFORE, SECCOMP_PROFILES].into_iter().chain(OTHERS) {
            let path = kept.strip_prefix("/var/").unwrap();
            assert!(init.contains(&format!("\"{path}\"")), "{path}");
        }
    }

    #[test]
    fn an_order_is_written_and_taken_back() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/run/ballast")).unwrap();
        assert_eq!(pending(&host), None);
        let ordered = order(&host, &Reset::Order { keep: vec![Keep::Identity, Keep::Images] }).unwrap().unwrap();
        assert!(ordered.starts_with("the next boot empties /var and keeps identity, images: "), "{ordered}");
        assert_eq!(fs::read_to_string(host.path(ORDER)).unwrap(), "identity\nimages\nend\n");
        assert!(pending(&host).unwrap().contains("keeps identity, images; "), "{:?}", pending(&host));
        assert!(order(&host, &Reset::Cancel {}).unwrap().is_ok());
        assert_eq!(pending(&host), None);
        assert_eq!(order(&host, &Reset::Cancel {}).unwrap().unwrap_err(), "no reset is ordered");
        fs::write(host.path(IN_MEMORY), "").unwrap();
        let refused = order(&host, &Reset::Order { keep: Vec::new() }).unwrap().unwrap_err();
        assert!(refused.starts_with("/var is in memory"), "{refused}");
    }
    #[test]
    fn an_order_that_the_boot_left_is_reported_and_one_that_failed_is_not() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/run/ballast")).unwrap();
        mark(&host).unwrap();
        assert_eq!(pending(&host), None);
        fs::create_dir_all(host.path("/var/lib/ballast")).unwrap();
        fs::write(host.path(ORDER), "photos\nend\n").unwrap();
        mark(&host).unwrap();
        assert!(pending(&host).unwrap().contains("keeps photos; "), "{:?}", pending(&host));
        assert!(order(&host, &Reset::Cancel {}).unwrap().is_ok());
        // A mark alone goes, too.
        fs::write(host.path(ORDERED), "nothing").unwrap();
        assert!(order(&host, &Reset::Cancel {}).unwrap().is_err());
        assert_eq!(pending(&host), None);
        fs::remove_dir(host.path("/var/lib/ballast")).unwrap();
        fs::write(host.path("/var/lib/ballast"), "no folder").unwrap();
        assert!(order(&host, &Reset::Order { keep: Vec::new() }).is_err());
        assert_eq!(pending(&host), None);
    }
}
