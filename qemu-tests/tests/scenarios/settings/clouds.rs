//! F04: the clouds' metadata services, each as strict as it is. EC2's is in `sources.rs`, with the other sources.

use anyhow::{Context, Result, ensure};
use qemu_vm::lab::Options;
use qemu_vm::metadata::{Cloud, Given, Service};
use qemu_vm::node::Node;
use qemu_vm::scenario::Scenario;

use super::{eventually, reported};

/// Boots a machine of `cloud` that is given `user_data` and the name `named`; the first answers are `failing`.
fn settles(
    name: &str,
    cloud: Cloud,
    user_data: Option<&str>,
    failing: (u32, u16),
    check: impl FnOnce(&mut Node) -> Result<()>,
) {
    Scenario::run(name, |scenario| {
        let given = Given { user_data: user_data.map(str::to_owned), hostname: Some("named-by-cloud".into()) };
        let service = Service::open(cloud, given, scenario.scratch())?;
        service.fails(failing.0, failing.1);
        let identity = Some(cloud.identity());
        let options = Options { smp: 1, network: service.network(), identity, ..Options::default() };
        let node = reported(scenario, &options, "metadata");
        let mut node = node.with_context(|| format!("it was asked {:?}", service.asked_since(0)))?;
        check(&mut node)?;
        let asked = service.asked_since(0);
        let refused: Vec<_> = asked.iter().filter(|one| ![200, 404, failing.1].contains(&one.status)).collect();
        ensure!(refused.is_empty(), "it asked what is not answered so: {refused:?}");
        ensure!(asked.iter().filter(|one| one.status == failing.1).count() >= failing.0 as usize, "it asked {asked:?}");
        node.power_off()
    });
}

/// Only a name is given; and the service has too much to do at first.
#[test]
fn f04_alibaba_cloud_gives_a_name_alone() {
    settles("f04_alibaba", Cloud::Alibaba, None, (2, 429), |node| {
        eventually(&mut node.guest, "the platform's name", "cat /proc/sys/kernel/hostname", |name| {
            name == "named-by-cloud"
        })?;
        let problems = node.status()?.settings.problems;
        ensure!(problems.is_empty(), "{problems:?}");
        Ok(())
    });
}

/// Two clouds more.
#[cfg(feature = "soak")]
mod soak {
    use super::*;
    use crate::settings::hostname;
    use qemu_vm::deadline::Deadline;
    use qemu_vm::node::READY;
    use qemu_vm::qemu::machine::Identity;

    /// A cloud-config, as whoever comes from another system has one: what is known of it applies, the rest is named.
    #[test]
    fn f04_openstack_gives_a_cloud_config() {
        let cloud_config = "\
    #cloud-config
    hostname: named-by-operator
    timezone: Europe/Berlin
    ntp: {servers: [192.0.2.123]}
    packages: [nginx]
    write_files:
      - path: /etc/ballast/extra.toml
        content: |
          [kernel.sysctl]
          \"net.core.somaxconn\" = 1234
    ";
        settles("f04_openstack", Cloud::OpenStack, Some(cloud_config), (0, 503), |node| {
            let guest = &mut node.guest;
            // What the operator wrote counts more than the platform's name.
            eventually(guest, "the operator's name", "cat /proc/sys/kernel/hostname", |name| {
                name == "named-by-operator"
            })?;
            eventually(guest, "the file in it", "cat /proc/sys/net/core/somaxconn", |value| value == "1234")?;
            eventually(guest, "the zone", "date +%Z", |zone| ["CET", "CEST"].contains(&zone))?;
            let servers = "timedatectl show-timesync --property=SystemNTPServers --value";
            eventually(guest, "the servers, after a restart of timesyncd", servers, |text| text == "192.0.2.123")?;
            let problems = node.status()?.settings.problems;
            let named: Vec<_> = problems.iter().filter_map(|one| one.key.as_deref()).collect();
            ensure!(named == ["packages"], "named as ignored are {problems:?}");
            ensure!(problems[0].r#where.contains(":5:"), "it is at {}", problems[0].r#where);
            Ok(())
        });
    }

    /// A name and a text of each of the others, one after the other: they differ in paths, headers and how a text is written. A firmware
    /// that names another is reported, and is no reason.
    #[test]
    fn f04_the_other_clouds_are_asked_each_in_its_way() {
        let all = [
            Cloud::Hetzner,
            Cloud::DigitalOcean,
            Cloud::Azure,
            Cloud::Oracle,
            Cloud::Vultr,
            Cloud::Scaleway,
            Cloud::Exoscale,
        ];
        for cloud in all {
            let name = format!("f04_{cloud:?}").to_lowercase();
            settles(&name, cloud, Some("#cloud-config\ntimezone: Europe/Vienna\n"), (0, 503), |node| {
                let guest = &mut node.guest;
                eventually(guest, "the platform's name", "cat /proc/sys/kernel/hostname", |name| {
                    name == "named-by-cloud"
                })?;
                eventually(guest, "the operator's zone", "date +%Z", |zone| ["CET", "CEST"].contains(&zone))?;
                let problems = node.status()?.settings.problems;
                ensure!(problems.is_empty(), "{problems:?}");
                Ok(())
            });
        }
    }

    #[test]
    fn f04_a_cloud_that_nobody_asks_is_reported_in_one_line() {
        Scenario::run("f04_unasked", |scenario| {
            let identity = Some(Identity { manufacturer: "UpCloud", product: "Server", asset_tag: None });
            let mut node = scenario.start(&Options { smp: 1, identity, ..Options::default() })?;
            node.ready(Deadline::after(READY))?;
            let status = node.status_when("the cloud is reported", 120, |status| !status.settings.notes.is_empty())?;
            let notes = &status.settings.notes;
            ensure!(notes.len() == 1 && notes[0].reason.contains("of UpCloud"), "it reports {notes:?}");
            ensure!(status.reasons.iter().all(|reason| !reason.contains("UpCloud")), "{:?}", status.reasons);
            let screen = node.guest.ask("ballast status")?;
            ensure!(screen.contains("Note      firmware: this machine is of UpCloud"), "{screen}");
            node.power_off()
        });
    }

    /// The settings that the bench counts, all of which are right.
    #[test]
    fn f04_gce_gives_a_kilobyte() {
        settles("f04_gce", Cloud::Gce, Some(include_str!("../../../bench/settings.toml")), (0, 503), |node| {
            let name = "node-17.lab.example.com";
            eventually(&mut node.guest, "the name", "cat /proc/sys/kernel/hostname", |found| found == name)?;
            let status = node.status()?;
            ensure!(status.settings.problems.is_empty(), "{:?}", status.settings.problems);
            ensure!(status.node.hostname == hostname(&mut node.guest)?, "the status reports {}", status.node.hostname);
            Ok(())
        });
    }
}
