//! The upgrade, from top to bottom. Each step may be run again after a crash at any point; before the boot entry appears
//! the old release boots, whatever happens, and after it the new one does.

use std::{cmp::Ordering, time::Duration};

use super::{boot, collect, work::Work};
use crate::{
    clients::{
        host::Host,
        space,
        worker::{Deployed, Fetched, Inspected, Registry},
    },
    update::{
        model::{Failure, FailureKind, Layer, Observed, Offer, Offered, Outcome, Phase, Upgrade},
        plan::{
            admit::{Admission, admit},
            compare_versions, floor,
            policy::is_folder,
            space::{Room, fits},
        },
    },
};

/// This processor, as OCI images name it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// Deploying takes seconds, on a slow emulated disk a minute.
const DEPLOY_DEADLINE: Duration = Duration::from_secs(600);

/// Takes the node to the release that `upgrade` asks for.
pub(super) async fn upgrade(work: &Work, upgrade: &Upgrade) -> Result<Outcome, Failure> {
    work.phase(Phase::Resolve);
    let observed = work.observe().await?;
    let image = image(work, upgrade, &observed)?;
    work.report(|progress| progress.image = Some(image.clone()));
    let registry = work.registry(&image, &observed.revoked).await?;
    let offer = resolve(work, &image, &registry).await?;
    // A node that does not ask again by itself would show it for ever.
    if work.settings.update.auto && upgrade.image.is_none() {
        let max_days = work.settings.update.signature_max_days;
        let offered = offer.signed_until.map(|until| Offered::new(&offer.version, until, max_days));
        if offered != observed.memory.offered {
            work.remember(|memory| memory.offered = offered).await;
        }
    }
    let about = |message: String, changed: bool| Outcome {
        message,
        changed,
        digest: Some(offer.digest.clone()),
        version: Some(offer.version.clone()),
        fetch_bytes: Some(offer.missing_bytes()),
        ..Outcome::default()
    };
    let name = format!("{} ({})", offer.version, offer.digest.short());
    let admission = admit(&offer, &observed, &work.settings.os_id, ARCHITECTURE, upgrade)?;
    if matches!(admission, Admission::Runs | Admission::IsNext) && !upgrade.check {
        collect::leftovers(work).await;
    }
    match admission {
        Admission::Runs => return Ok(about(format!("release {name} runs already; nothing to do"), false)),
        Admission::IsNext if upgrade.reboot => {
            work.phase(Phase::Reboot);
            return Ok(Outcome {
                reboots: true,
                ..about(format!("release {name} is prepared; rebooting into it"), false)
            });
        }
        Admission::IsNext => return Ok(about(format!("release {name} is prepared already; reboot to run it"), false)),
        Admission::IsLeft => return Ok(about(format!("release {name} was rolled back from; nothing to do"), false)),
        Admission::Take => {}
    }
    let megabytes = |bytes: u64| format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
    if upgrade.check {
        let message = format!("release {name} can be had, {} to fetch", megabytes(offer.missing_bytes()));
        return Ok(about(message, true));
    }

    work.phase(Phase::Preflight);
    collect::entries_and_kernels(work, &work.observe().await?).await?;
    fits(&offer, work.host.read("asking how much room is left", room).await?)?;

    work.phase(Phase::Fetch);
    // With its tag, which the origin file keeps for the next time; what is fetched is what the digest names.
    let by_digest = format!("{}@{}", image.split('@').next().unwrap_or(&image), offer.digest);
    let fetched: Fetched = work
        .worker(&["fetch", &by_digest], Some(&registry), work.settings.total)
        .await
        .map_err(|failure| failure.while_doing(&format!("fetching {by_digest}")))?;
    if upgrade.fetch_only {
        let digest = offer.digest.clone();
        work.memory.change(|memory| memory.fetched = Some(digest)).await?;
        let message =
            format!("release {name} is fetched ({}); ballast upgrade prepares it", megabytes(fetched.fetched_bytes));
        return Ok(Outcome { fetch_bytes: Some(fetched.fetched_bytes), ..about(message, true) });
    }

    work.phase(Phase::Deploy);
    let deployed: Deployed = work.worker(&["deploy", offer.digest.as_str()], None, DEPLOY_DEADLINE).await?;

    work.phase(Phase::Kernel);
    let new = boot::kernel(work, &deployed, &offer.version).await?;
    work.phase(Phase::Commit);
    boot::commit(work, new).await?;
    let lowers_floor = compare_versions(&offer.version, floor(&observed)) == Ordering::Less;
    let version = offer.version.clone();
    work.remember(move |memory| {
        memory.fetched = None;
        memory.left = None;
        // An older one that was asked for is where the floor is now, if it proves itself.
        if lowers_floor {
            memory.floor = Some(version);
        }
    })
    .await;

    collect::at_the_end(work).await;
    if upgrade.reboot {
        work.phase(Phase::Reboot);
    }
    let then = if upgrade.reboot { "rebooting into it" } else { "reboot to run it" };
    let message = format!("release {name} is prepared ({} fetched); {then}", megabytes(fetched.fetched_bytes));
    Ok(Outcome { reboots: upgrade.reboot, fetch_bytes: Some(fetched.fetched_bytes), ..about(message, true) })
}

/// The image that is asked for, else the settings', else the one that the running release came as.
fn image(work: &Work, upgrade: &Upgrade, observed: &Observed) -> Result<String, Failure> {
    let came_as = observed.booted_origin().map(|origin| origin.image.clone()).filter(|image| !is_folder(image));
    let named = upgrade.image.clone().or_else(|| work.settings.update.image.clone()).or(came_as);
    named.filter(|image| !image.trim().is_empty()).ok_or_else(|| Failure {
        kind: FailureKind::Failed,
        message: "no image is named: ballast upgrade REGISTRY/NAME:TAG, or update.image in the settings".to_owned(),
    })
}

/// What the registry has under `image`, its signature checked.
async fn resolve(work: &Work, image: &str, registry: &Registry) -> Result<Offer, Failure> {
    let doing = format!("resolving {image}");
    let found: Inspected = work
        .worker(&["inspect", image], Some(registry), work.settings.total)
        .await
        .map_err(|failure| failure.while_doing(&doing))?;
    let layers = found.layers.iter().map(|layer| Layer { bytes: layer.size, is_present: layer.present });
    Ok(Offer {
        digest: found.digest,
        version: found.release.version,
        os_id: found.release.os_id,
        architecture: found.release.architecture,
        layers: layers.collect(),
        installed_bytes: found.release.installed_bytes,
        objects: found.release.objects,
        boot_bytes: found.release.boot_bytes,
        signed_until: found.signed_until,
    })
}

fn room(host: &Host) -> anyhow::Result<Room> {
    let root = space::free(host, "/sysroot")?;
    let esp = space::free(host, crate::clients::esp::MOUNT_POINT)?;
    Ok(Room { root_bytes: root.bytes, root_inodes: root.inodes, esp_bytes: esp.bytes })
}
