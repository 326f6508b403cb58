//! What holds where nothing is said: each default of the settings' tables, on a node that nobody configured.

use anyhow::{Result, ensure};
use qemu_vm::guest::Guest;
use qemu_vm::node::Node;
use qemu_vm::scenario::Cases;
use qemu_vm::settings::{Said, get};

use super::{eventually, processes, sysctl};

/// The name that DHCP gives the node.
pub(crate) const DHCP_NAME: &str = "dhcp-node-7";

type Case = (&'static str, fn(&mut Node) -> Result<()>);

/// One case for each table of the settings, or two.
const CASES: [Case; 9] = [
    ("defaults: hostname", name),
    ("defaults: network", network),
    ("defaults: time", time),
    ("defaults: kernel", kernel),
    ("defaults: registry", registry),
    ("defaults: runtime", runtime),
    ("defaults: update, health", update_and_health),
    ("defaults: cluster, metrics", cluster_and_metrics),
    ("defaults: pods, log", pods_and_log),
];

/// Looks at all of them.
pub(crate) fn hold(node: &mut Node, cases: &mut Cases) {
    for (name, case) in CASES {
        cases.note(name, case(node));
    }
}

/// None of these is there.
fn are_absent(guest: &mut Guest, paths: &str) -> Result<()> {
    let found = guest.ask(&format!("ls -d {paths} 2>/dev/null || :"))?;
    ensure!(found.is_empty(), "nobody said so, and there is {found}");
    Ok(())
}

fn name(node: &mut Node) -> Result<()> {
    eventually(&mut node.guest, "DHCP's name", "cat /proc/sys/kernel/hostname", |name| name == DHCP_NAME)?;
    node.status_when("DHCP's name in the status", 60, |status| status.node.hostname == DHCP_NAME).map(drop)
}

fn network(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let route = eventually(guest, "DHCP", "ip -4 route show default", |text| text.contains("via 10.0.2.2"))?;
    ensure!(route.contains("proto dhcp") && route.contains("metric 1024"), "the default route is {route}");
    let port = guest.ask("ls /sys/class/net | grep '^e'")?;
    let link = guest.ask(&format!("ip address show dev {port}"))?;
    for part in ["mtu 1500", "inet 10.0.2.15/24"] {
        ensure!(link.contains(part), "{port} has no {part}: {link}");
    }
    let file = guest.ask(&format!("networkctl --no-pager status {port}"))?;
    ensure!(file.contains("/usr/lib/systemd/network/"), "{port} does not follow the image's file: {file}");
    ensure!(file.contains("Required For Online: yes"), "{port} is not required: {file}");
    let global = guest
        .ask("resolvectl --no-pager dns | grep '^Global:'; resolvectl --no-pager domain | grep '^Global:' || :")?;
    ensure!(global.lines().all(|line| line.trim() == "Global:"), "resolved has {global}");
    let subnet = guest.ask("cat /etc/cni/net.d/*.conflist")?;
    ensure!(subnet.contains("10.88.0.0/16"), "the network of pods is {subnet}");
    let (_, pid) = processes(guest)?.into();
    let environment = guest.ask(&format!("tr '\\0' '\\n' </proc/{pid}/environ"))?;
    ensure!(!environment.contains("PROXY"), "containerd has a proxy: {environment}");
    are_absent(guest, "/etc/ssl/certs/ballast.pem /etc/ballast/proxy.env /etc/systemd/network/*ballast*")
}

fn time(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let servers = guest.ask("timedatectl show-timesync --property=SystemNTPServers --value")?;
    ensure!(servers.is_empty(), "timesyncd asks {servers}");
    let fallback = guest.ask("timedatectl show-timesync --property=FallbackNTPServers --value")?;
    ensure!(!fallback.is_empty(), "timesyncd has nobody to ask");
    let zone = guest.ask("date +%Z")?;
    ensure!(zone == "UTC", "the zone is {zone}");
    Ok(())
}

fn kernel(node: &mut Node) -> Result<()> {
    // One of the image's, and one of the kernel's own.
    for (name, value) in
        [("net.ipv4.ip_forward", "1"), ("fs.inotify.max_user_watches", "524288"), ("vm.swappiness", "60")]
    {
        let found = sysctl(&mut node.guest, name)?;
        ensure!(found == value, "{name} is {found}, not {value}");
    }
    are_absent(&mut node.guest, "/etc/sysctl.d/90-ballast.conf /etc/ballast/cmdline")
}

fn registry(node: &mut Node) -> Result<()> {
    let files = "/etc/containerd/certs.d/* /etc/containers/registries.conf.d/ballast.conf /etc/containers/certs.d/* \
                 /run/containers/0/auth.json /etc/containerd/conf.d/20-ballast.toml";
    are_absent(&mut node.guest, files)
}

fn are(guest: &mut Guest, expected: &[(&str, &str)]) -> Result<()> {
    for (key, value) in expected {
        let found = get(guest, key)?;
        ensure!(found == *value, "{key} is {found}, not {value}");
    }
    Ok(())
}

fn runtime(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    are(guest, &[("runtime.log_max_size", "10MiB"), ("runtime.log_max_files", "5"), ("runtime.default", "runc")])?;
    let dump = guest.ask("containerd config dump | grep default_runtime_name")?;
    ensure!(dump.contains("runc") && !dump.contains("crun"), "containerd runs {dump}");
    let limits = guest.ask("find /sys/fs/cgroup/ballast-pods -mindepth 2 -name pids.max -exec cat {} + | sort -u")?;
    ensure!(limits == "max", "pods may have {limits} processes");
    Ok(())
}

fn update_and_health(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    are(
        guest,
        &[
            ("update.auto", "false"),
            ("update.reboot", "true"),
            ("update.signatures", "required"),
            ("update.keys_threshold", "1"),
            ("update.identity", "repository"),
            ("health.network", "false"),
            ("health.deadline", "5min"),
        ],
    )?;
    let text = Said::of(guest, &["show"])?.done()?;
    for key in ["image =", "window =", "keys =", "signature_max_days ="] {
        ensure!(!text.lines().any(|line| line.starts_with(key)), "{key} is said by nobody: {text}");
    }
    are_absent(guest, "/etc/ballast/keys/*")
}

fn cluster_and_metrics(node: &mut Node) -> Result<()> {
    let status = node.status()?;
    ensure!(status.clusters.is_empty(), "the node is in {:?}", status.clusters);
    let guest = &mut node.guest;
    // Listeners (state 0A, include/net/tcp_states.h) at other addresses than 127.0.0.0/8 and ::1.
    let table = guest.ask("cat /proc/net/tcp /proc/net/tcp6")?;
    let words = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let is_local = |address: &str| address.starts_with("00000000000000000000000001000000:") || address.contains("7F:");
    let outside: Vec<String> = words
        .filter(|words| words.get(3) == Some(&"0A"))
        .filter_map(|words| words.get(1).map(|address| (*address).to_owned()))
        .filter(|address| !is_local(address))
        .collect();
    ensure!(outside.is_empty(), "somebody listens at {outside:?}");
    let socket = guest.ask("stat --format='%a %U %F' /run/ballast/metrics.sock")?;
    ensure!(socket == "600 root socket", "the metrics' socket is {socket}");
    Ok(())
}

fn pods_and_log(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    are(guest, &[("log.level", "info")])?;
    are_absent(guest, "/etc/ballast/pods/* /etc/systemd/journald.conf.d/20-ballast.conf")?;
    // It says its limit when it starts; the first one of this boot may be older than the disk's growth, and then is what fits on a small /var.
    guest.ask("systemctl restart systemd-journald.service")?;
    let says = guest.ask("journalctl --boot --no-pager --output=cat --unit=systemd-journald.service")?;
    ensure!(says.contains("max 256M") || says.contains("max 256.0M"), "the journal's limit is another: {says}");
    Ok(())
}
