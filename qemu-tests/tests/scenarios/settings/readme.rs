//! The README's section on settings is what an operator types: its user-data boots a node, its commands work there.

use anyhow::{Context, Result, ensure};
use qemu_vm::lab::Options;
use qemu_vm::qemu::machine::Network;
use qemu_vm::scenario::Scenario;

use super::{eventually, hostname, reported, user_data};

const README: &str = include_str!("../../../../README.md");

/// The code of the section, each block with its language.
fn blocks() -> Result<Vec<(&'static str, &'static str)>> {
    let (_, section) = README.split_once("\n## Settings\n").context("the README has no section on settings")?;
    let section = section.split("\n## ").next().unwrap_or(section);
    // What is between the first and the second mark is code, and so on.
    let code = section.split("```").skip(1).step_by(2);
    Ok(code.filter_map(|block| block.split_once('\n')).collect())
}

#[test]
fn f_what_the_readme_says_of_settings_works() {
    Scenario::run("f_readme", |scenario| {
        let blocks = blocks()?;
        let document = blocks.iter().find(|(language, _)| *language == "toml").context("it has no user-data")?.1;
        let credentials = vec![user_data(document)?];
        let options = Options { smp: 1, network: Network::User, credentials, ..Options::default() };
        let mut node = reported(scenario, &options, "credential")?;
        let status = node.status()?;
        ensure!(status.settings.problems.is_empty(), "the user-data is wrong: {:?}", status.settings.problems);
        ensure!(hostname(&mut node.guest)? == "node-1", "the name is {}", hostname(&mut node.guest)?);
        eventually(&mut node.guest, "the static address", "ip -4 address", |text| text.contains("192.0.2.10/24"))?;
        eventually(&mut node.guest, "the gateway", "ip -4 route", |text| text.contains("default via 192.0.2.1"))?;
        let hosts = node.guest.ask("cat /etc/containerd/certs.d/docker.io/hosts.toml")?;
        ensure!(hosts.contains("https://mirror.example:5000"), "containerd does not know the mirror: {hosts}");
        let mode = node.guest.ask("stat --format=%a /etc/containerd/conf.d/20-ballast.toml")?;
        ensure!(mode == "600", "the mirror's password is in a file of mode {mode}");

        // Those that boot a node have its command behind them; the tool's own tests parse what is in front.
        let in_node = |line: &'static str| match line.split_once(" -p qemu-tests -- exec ") {
            Some((_, words)) => words.split_once(" -- ").map(|(_, command)| command),
            None => Some(line).filter(|line| line.starts_with("ballast settings ")),
        };
        let lines: Vec<&str> = blocks.iter().flat_map(|(_, text)| text.lines()).filter_map(in_node).collect();
        ensure!(lines.first() == Some(&"ballast settings show --origins"), "the first boot's command is {lines:?}");
        for verb in ["show", "set", "unset", "confirm"] {
            let shown = lines.iter().any(|line| line.starts_with(&format!("ballast settings {verb}")));
            ensure!(shown, "the README does not show {verb}: {lines:?}");
        }
        for line in lines {
            node.guest.shell_within(line, std::time::Duration::from_secs(120))?.success(line)?;
        }
        eventually(&mut node.guest, "what was tried and confirmed", "ip link", |text| text.contains("mtu 1400"))?;
        let status = node.status()?;
        ensure!(status.settings.trial.is_none() && status.node.hostname == "node-1", "it left {status:?}");
        node.power_off()
    });
}
