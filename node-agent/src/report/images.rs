//! Images that somebody wants to have, or to be rid of.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::timeout};

use super::socket::{HEARTBEAT, Reply};
use crate::{
    clients::{
        cri::{self, Cri, Image},
        host::Host,
    },
    update::model::{Failure, FailureKind, Outcome},
};

/// What of the node itself has: it is imported again when a pod needs it.
const OWN: &str = "localhost/";

/// What to do with an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageCommand {
    /// Fetch it.
    Pull {
        /// Its reference.
        image: String,
    },
    /// Remove it, unless a container uses it.
    Remove {
        /// Its reference, or the beginning of its id.
        image: String,
    },
    /// Remove all that no container uses.
    Collect {},
}

/// Does `command` and reports to `client` how it ended; stops when nobody listens any more.
pub async fn run(host: Host, command: ImageCommand, client: mpsc::Sender<Reply>) {
    let work = act(&host, &command);
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            done = timeout(HEARTBEAT, &mut work) => match done {
                Ok(done) => break done,
                Err(_) => drop(client.send(Reply::Working {}).await),
            },
            () = client.closed() => return,
        }
    };
    let reply = match done {
        Ok(Ok(message)) => Reply::Done(Outcome { message, changed: true, ..Outcome::default() }),
        Ok(Err(why)) => Reply::Failed(Failure { kind: FailureKind::Refused, message: why }),
        Err(error) => Reply::Failed(Failure { kind: FailureKind::Failed, message: format!("{error:#}") }),
    };
    // Nobody may listen any more.
    let _ = client.send(reply).await;
}

/// What was done, or why it is not.
async fn act(host: &Host, command: &ImageCommand) -> Result<Result<String, String>> {
    let doing = "asking the container runtime";
    let cri = Cri::connect(&host.path(cri::SOCKET)).await.context(doing)?;
    if let ImageCommand::Pull { image } = command {
        cri.pull_image(image, None).await.with_context(|| format!("pulling {image}"))?;
        return Ok(Ok(format!("{image} is there")));
    }
    let images = cri.images().await.context(doing)?;
    let used = cri.images_in_use().await.context(doing)?;
    let chosen = match command {
        ImageCommand::Remove { image } => match find(&images, &used, image) {
            Ok(image) => vec![image],
            Err(why) => return Ok(Err(why)),
        },
        ImageCommand::Collect {} | ImageCommand::Pull { .. } => unused(&images, &used),
    };
    let mut bytes = 0;
    for image in &chosen {
        cri.remove_image(&image.id).await.with_context(|| format!("removing {}", name(image)))?;
        bytes += image.size_bytes;
    }
    Ok(Ok(match chosen.as_slice() {
        [] => "there is no image that no container uses".to_owned(),
        all => format!(
            "removed {}: {:.1} MB",
            all.iter().map(|one| name(one)).collect::<Vec<_>>().join(", "),
            bytes as f64 / 1e6
        ),
    }))
}

fn name(image: &Image) -> &str {
    image.references.first().unwrap_or(&image.id)
}

fn is_used(image: &Image, used: &BTreeSet<String>) -> bool {
    used.contains(&image.id) || image.references.iter().any(|name| used.contains(name))
}

fn unused<'a>(images: &'a [Image], used: &BTreeSet<String>) -> Vec<&'a Image> {
    let is_own = |image: &Image| image.references.iter().any(|name| name.starts_with(OWN));
    images.iter().filter(|image| !image.is_pinned && !is_used(image, used) && !is_own(image)).collect()
}

/// The image that `wanted` means, if it may go.
fn find<'a>(images: &'a [Image], used: &BTreeSet<String>, wanted: &str) -> Result<&'a Image, String> {
    let id = wanted.trim_start_matches("sha256:");
    let is_id = id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_meant = |image: &&Image| {
        let begins = image.id.trim_start_matches("sha256:").starts_with(id);
        image.references.iter().any(|name| name == wanted) || (is_id && begins)
    };
    let found: Vec<&Image> = images.iter().filter(is_meant).collect();
    match found.as_slice() {
        [] => Err(format!("there is no image {wanted}; ballast images names them")),
        [image] if image.is_pinned => Err(format!("the container runtime itself needs {wanted}")),
        [image] if is_used(image, used) => Err(format!("a container uses {wanted}; remove its pod first")),
        [image] => Ok(image),
        [_, _, ..] => Err(format!("{wanted} may be several images; write more of its id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::cri::ImageUser;

    #[test]
    fn what_is_used_stays() {
        let image = |id: &str, name: &str, is_pinned| Image {
            id: format!("sha256:{}", id.repeat(16)),
            references: vec![name.to_owned()],
            size_bytes: 1,
            is_pinned,
            user: ImageUser::Id(0),
        };
        let images = [
            image("aaaa", "docker.io/used:1", false),
            image("bbbb", "docker.io/unused:1", false),
            image("cccc", "registry.k8s.io/pause:3", true),
            image("dddd", "localhost/ballast/canary:1", false),
            image("bbbb", "docker.io/unused:2", false),
        ];
        let used = BTreeSet::from([images[0].id.clone()]);
        let names: Vec<&str> = unused(&images, &used).into_iter().map(name).collect();
        assert_eq!(names, ["docker.io/unused:1", "docker.io/unused:2"]);
        for (wanted, expected) in [
            ("docker.io/unused:1", "docker.io/unused:1"),
            ("docker.io/used:1", "a container uses docker.io/used:1; remove its pod first"),
            ("registry.k8s.io/pause:3", "the container runtime itself needs registry.k8s.io/pause:3"),
            ("ddddddddd", "localhost/ballast/canary:1"),
            ("sha256:bbbbbbbb", "sha256:bbbbbbbb may be several images; write more of its id"),
            ("nginx", "there is no image nginx; ballast images names them"),
            ("bbb", "there is no image bbb; ballast images names them"),
        ] {
            assert_eq!(find(&images, &used, wanted).map_or_else(|why| why, |image| name(image).to_owned()), expected);
        }
    }
}
