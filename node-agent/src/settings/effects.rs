//! Watches the effects of the settings: a setting without its effect after some time is reported.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Result;

use super::{
    model::{Problem, Read, Settings},
    plan::effects::{Link, Observed, Pending, pending},
};
use crate::clients::{clock, host::Host, networkd, resolved};

/// What does not hold, and since when.
#[derive(Debug, Default)]
pub struct Effects {
    since: BTreeMap<String, Instant>,
    problems: Vec<Problem>,
}

impl Effects {
    /// Checks which effects `read` has by `now`.
    ///
    /// # Errors
    /// If a service's files cannot be read; what was reported before stays reported.
    pub fn observe(&mut self, host: &Host, read: &Read, now: Instant) -> Result<()> {
        let pending = pending(&read.settings, &read.origins, &observed(host, &read.settings)?);
        let sentence = |pending: &Pending| pending.problem.to_string();
        let since: BTreeMap<String, Instant> = pending
            .iter()
            .map(sentence)
            .map(|sentence| (sentence.clone(), self.since.get(&sentence).copied().unwrap_or(now)))
            .collect();
        self.since = since;
        let is_over = |pending: &Pending| {
            let began = self.since.get(&sentence(pending)).copied().unwrap_or(now);
            now.saturating_duration_since(began) >= pending.timeout
        };
        self.problems = pending.iter().filter(|pending| is_over(pending)).map(|one| one.problem.clone()).collect();
        Ok(())
    }

    /// What does not hold although it had its time.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Only what the settings say something of is looked at.
fn observed(host: &Host, settings: &Settings) -> Result<Observed> {
    let network = &settings.network;
    let mut observed = Observed { is_clock_set: true, ..Observed::default() };
    if !(network.interfaces.is_empty() && network.bonds.is_empty() && network.vlans.is_empty()) {
        observed.links = networkd::links(host)?.into_iter().map(link).collect();
    }
    if !network.dns.is_empty() {
        observed.servers = Some(resolved::load_resolv_conf(host)?.servers);
    }
    if !settings.time.servers.is_empty() {
        observed.is_clock_set = clock::is_set_by_timesyncd(host);
    }
    Ok(observed)
}

fn link(link: networkd::Link) -> Link {
    let networkd::Link { name, mac, is_device, setup, operational, file } = link;
    let file = file.and_then(|file| file.rsplit('/').next().map(str::to_owned)).unwrap_or_default();
    Link { name, mac, is_device, setup, operational, file }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::settings::{model::FILE, observe::Reader};

    fn write(host: &Host, path: &str, text: &str) {
        fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
        fs::write(host.path(path), text).unwrap();
    }

    #[test]
    fn what_does_not_hold_is_reported_after_its_time_and_until_it_holds() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        write(&host, FILE, "[[network.interface]]\nname = \"eth0\"\naddresses = [\"192.0.2.10/24\"]\n");
        write(&host, "/sys/class/net/eth0/ifindex", "2\n");
        let state = |setup: &str| {
            let file = "/etc/systemd/network/10-ballast-000.network";
            let text = format!("ADMIN_STATE={setup}\nOPER_STATE=degraded\nNETWORK_FILE={file}\n");
            write(&host, "/run/systemd/netif/links/2", &text);
        };
        let read = Reader::default().read(&host);
        let (mut effects, start) = (Effects::default(), Instant::now());
        let mut after = |secs, setup| {
            state(setup);
            effects.observe(&host, &read, start + Duration::from_secs(secs)).unwrap();
            effects.problems().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(after(0, "configuring"), [""; 0]);
        assert_eq!(after(29, "configuring"), [""; 0]);
        let reported = after(30, "configuring");
        assert!(
            reported.len() == 1 && reported[0].starts_with(&format!("{FILE}:3:13: network.interface.eth0.addresses: ")),
            "{reported:?}"
        );
        assert_eq!(after(40, "configured"), [""; 0]);
        // It has its time anew.
        assert_eq!(after(50, "configuring"), [""; 0]);
    }
}
