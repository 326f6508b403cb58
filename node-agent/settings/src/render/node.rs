//! The machine's name, its time, its journal, the manifests of its settings, and whose releases it takes.

use super::{HEADER, Reload, Rendered};
use crate::model::{Log, Pods, Settings, Time, Update};

/// hostname(5)
pub(super) fn hostname(settings: &Settings) -> Option<Rendered> {
    let name = settings.hostname.as_ref()?;
    Some(Rendered::public("/etc/hostname", format!("{name}\n"), Reload::SetHostname))
}

/// timesyncd.conf(5), and the zone's rules themselves: an image without tzdata has nothing that a link could lead to. glibc reads
/// them (tzfile(5)), programs that run already at their next start; systemd, which wants the zone's name, says UTC.
pub(super) fn time(time: &Time) -> Vec<Rendered> {
    let mut all = Vec::new();
    if !time.servers.is_empty() {
        let servers: Vec<&str> = time.servers.iter().map(|server| server.as_str()).collect();
        let text = format!("{HEADER}[Time]\nNTP={}\n", servers.join(" "));
        let then = Reload::Restart("systemd-timesyncd.service");
        all.push(Rendered::public("/etc/systemd/timesyncd.conf.d/20-ballast.conf", text, then));
    }
    if let Some(zone) = &time.zone {
        all.push(Rendered::public("/etc/localtime", zone.rules(), Reload::Nothing));
    }
    all
}

/// journald.conf(5)
pub(super) fn journal(log: &Log) -> Option<Rendered> {
    let text = format!("{HEADER}[Journal]\nSystemMaxUse={}\n", log.journal_max_size?.bytes());
    let then = Reload::Restart("systemd-journald.service");
    Some(Rendered::public("/etc/systemd/journald.conf.d/20-ballast.conf", text, then))
}

/// One file each, as the operator's own lie in /var/lib/ballast/pods. Variables in them may be secrets.
pub(super) fn manifests(pods: &Pods) -> impl Iterator<Item = Rendered> {
    pods.manifests.iter().map(|manifest| {
        let path = format!("/etc/ballast/pods/{}.yaml", manifest.name);
        Rendered::private(path, manifest.content.as_str(), Reload::Nothing)
    })
}

/// One file each, beside those of the image in /usr/lib/ballast/keys; read before each fetch.
pub(super) fn keys(update: &Update) -> impl Iterator<Item = Rendered> {
    let numbered = update.keys.iter().enumerate();
    numbered.map(|(index, key)| {
        Rendered::public(format!("/etc/ballast/keys/{index:03}.pub"), key.as_str(), Reload::Nothing)
    })
}
