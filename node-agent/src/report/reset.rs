//! A reset that somebody orders: /init carries it out at the next boot, before anything uses /var (`initramfs/src/reset.rs`).

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::socket::Reply;
use crate::{
    clients::{host::Host, store},
    update::model::{Failure, FailureKind, Outcome},
};

/// The order: a word for each thing that stays, a line each.
const ORDER: &str = "/var/lib/ballast/reset";

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

/// What the status says while a reset is ordered.
pub fn pending(host: &Host) -> Option<String> {
    let kept = fs::read_to_string(host.path(ORDERED)).ok()?;
    Some(format!(
        "a reset is ordered: the next boot empties /var and keeps {kept}; ballast reset --cancel takes it back"
    ))
}

fn order(host: &Host, reset: &Reset) -> Result<Result<String, String>> {
    let file = host.path(ORDER);
    match reset {
        Reset::Cancel {} if !file.exists() => Ok(Err("no reset is ordered".to_owned())),
        Reset::Cancel {} => {
            fs::remove_file(&file).with_context(|| format!("removing {ORDER}"))?;
            let mark = host.path(ORDERED);
            if mark.exists() {
                fs::remove_file(&mark).with_context(|| format!("removing {ORDERED}"))?;
            }
            Ok(Ok("the next boot changes nothing".to_owned()))
        }
        Reset::Order { .. } if host.path(IN_MEMORY).exists() => {
            Ok(Err("/var is in memory: there is nothing to reset, and no place for an order; see ballast status"
                .to_owned()))
        }
        Reset::Order { keep } => {
            let words: Vec<&str> = keep.iter().map(|keep| keep.name()).collect();
            store::write(&file, words.iter().map(|word| format!("{word}\n")).collect::<String>().as_bytes())?;
            let kept = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
            fs::write(host.path(ORDERED), &kept).with_context(|| format!("writing {ORDERED}"))?;
            Ok(Ok(format!(
                "the next boot empties /var and keeps {kept}: ballast reboot; ballast reset --cancel takes the order back"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn an_order_is_written_and_taken_back() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/run/ballast")).unwrap();
        assert_eq!(pending(&host), None);
        let ordered = order(&host, &Reset::Order { keep: vec![Keep::Identity, Keep::Images] }).unwrap().unwrap();
        assert!(ordered.starts_with("the next boot empties /var and keeps identity, images: "), "{ordered}");
        assert_eq!(fs::read_to_string(host.path(ORDER)).unwrap(), "identity\nimages\n");
        assert!(pending(&host).unwrap().contains("keeps identity, images; "), "{:?}", pending(&host));
        assert!(order(&host, &Reset::Cancel {}).unwrap().is_ok());
        assert_eq!(pending(&host), None);
        assert_eq!(order(&host, &Reset::Cancel {}).unwrap().unwrap_err(), "no reset is ordered");
        fs::write(host.path(IN_MEMORY), "").unwrap();
        let refused = order(&host, &Reset::Order { keep: Vec::new() }).unwrap().unwrap_err();
        assert!(refused.starts_with("/var is in memory"), "{refused}");
    }
}
