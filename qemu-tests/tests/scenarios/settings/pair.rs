//! Two nodes on a cable, without DHCP or anything else on it: with static addresses they reach each other.

use anyhow::{Context, Result, ensure};
use qemu_vm::guest::Guest;
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, sockets};
use qemu_vm::qemu::machine::{Cable, Network};
use qemu_vm::scenario::{Scenario, unit};

use super::{eventually, reported, user_data};

/// Reports who called, once somebody asks for it to be started.
const SOCKET: &str = "[Socket]\nListenStream=5000\nAccept=yes\n";
const SERVICE: &str = "\
[Service]
ExecStart=/bin/sh -c 'echo from $REMOTE_ADDR >>/run/called; echo this is $(cat /proc/sys/kernel/hostname)'
StandardInput=socket
StandardOutput=socket
";

fn options(network: Network, settings: &str) -> Result<Options> {
    let credentials = vec![user_data(settings)?, unit("called.socket", SOCKET)?, unit("called@.service", SERVICE)?];
    Ok(Options { smp: 1, memory_mib: 512, network, credentials, ..Options::default() })
}

/// Calls `address`, whatever comes of it: who is called says that it was reached.
fn call(guest: &mut Guest, address: &str) -> Result<String> {
    Ok(guest.shell(&format!("timeout 20 busctl --address={address},port=5000 list"))?.warning())
}

/// `called` hears `caller`, who calls `address` and is `known` there.
fn reaches(caller: &mut Node, called: &mut Node, address: &str, known: &str) -> Result<()> {
    let deadline = qemu_vm::deadline::Deadline::secs(90);
    loop {
        let said = call(&mut caller.guest, address)?;
        let heard = called.guest.ask("cat /run/called 2>/dev/null || :")?;
        if heard.lines().any(|line| line.strip_prefix("from ").is_some_and(|from| from.contains(known))) {
            return Ok(());
        }
        ensure!(!deadline.is_over(), "{address} was called in vain ({said}); heard was {heard:?}");
    }
}

/// The port with the address `mac` on the link has what the settings say, and the other one was given an address.
fn two_ports(node: &mut Node, mac: &str) -> Result<()> {
    let given = eventually(&mut node.guest, "the address by DHCP", "ip -4 -o address show scope global", |text| {
        text.contains("inet 10.0.2.15/")
    })?;
    let port = node.guest.ask(&format!("cd /sys/class/net; grep -l {mac} */address"))?;
    let port = port.split('/').next().unwrap_or_default();
    let named = |line: &&str| line.split_whitespace().nth(1) == Some(port);
    let (named, others): (Vec<&str>, Vec<&str>) = given.lines().partition(named);
    ensure!(matches!(named[..], [one] if one.contains("inet 192.0.2.1/24")), "{port} with {mac} has {named:?}");
    ensure!(matches!(others[..], [one] if one.contains("inet 10.0.2.15/24")), "beside {port} there are {others:?}");
    Ok(())
}

/// One has two ports and knows that of the cable by its address on the link, the other goes by a pattern of the name; both have IPv4 and IPv6.
#[test]
fn f_two_nodes_with_static_addresses_reach_each_other() {
    Scenario::run("f_pair", |scenario| {
        let folder = sockets()?;
        let [near, far] = Cable::between(folder.path());
        let first = format!(
            "hostname = \"one\"\n[[network.interface]]\nmac = \"{}\"\naddresses = [\"192.0.2.1/24\", \"2001:db8::1/64\"]\n",
            near.mac
        );
        let second = "hostname = \"other\"\n[[network.interface]]\nname = \"e*\"\naddresses = [\"192.0.2.2/24\", \"2001:db8::2/64\"]\n\
             routes = [{ to = \"198.51.100.0/24\", via = \"192.0.2.1\" }]\n";
        let mut one = reported(scenario, &options(Network::UserAndCable(near.clone()), &first)?, "credential")?;
        let mut other = reported(scenario, &options(Network::Cable(far), second)?, "credential")?;
        for (node, address) in [(&mut one, "192.0.2.1"), (&mut other, "192.0.2.2")] {
            eventually(&mut node.guest, "the static address", "ip -4 address", |text| text.contains(address))?;
            node.guest.ask("systemctl start called.socket")?;
        }
        reaches(&mut one, &mut other, "tcp:host=192.0.2.2", "192.0.2.1").context("one calls the other")?;
        reaches(&mut other, &mut one, "tcp:host=192.0.2.1", "192.0.2.2").context("the other calls one")?;
        reaches(&mut one, &mut other, "tcp:host=2001:db8::2,family=ipv6", "2001:db8::1").context("over IPv6")?;
        let route = other.guest.ask("ip -4 route show 198.51.100.0/24")?;
        ensure!(route.contains("via 192.0.2.1"), "the route is {route:?}");
        two_ports(&mut one, near.mac)?;
        let status = one.status()?;
        ensure!(status.ready && status.reasons.is_empty(), "one warns: {:?}", status.reasons);
        one.power_off()?;
        other.power_off()
    });
}
