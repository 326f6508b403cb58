//! What is rendered is what networkd, resolved, timesyncd, journald, sysctl and containerd read, from their first start on.

use anyhow::{Context, Result, ensure};
use qemu_vm::guest::Guest;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::qemu::machine::Network;
use qemu_vm::registry::Authority;
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::settings::apply;

use super::{eventually, hostname, secrets_are_kept, user_data};

const SECRET: &str = "s3cret-that-is-rendered";

/// A pod that writes some 40 kB a second, with the node's own shell. (`$(` would be Kubernetes' to expand.)
const TALKER: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  hostNetwork: true
  containers:
    - name: talker
      image: "localhost/ballast/canary:1"
      imagePullPolicy: Never
      command:
        - /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
        - /usr/bin/sh
        - -c
        - |
          while :; do
            for a in 0 1 2 3 4 5 6 7 8 9; do for b in 0 1 2 3 4 5 6 7 8 9; do for c in 0 1 2 3 4; do
              echo line $a$b$c of a pod that talks
            done; done; done
            /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 /usr/bin/sleep 1
          done
      volumeMounts: [{name: usr, mountPath: /usr, readOnly: true}]
  volumes: [{name: usr, hostPath: {path: /usr}}]
"#;

/// Every key that has a file, with what a node in QEMU's user network can have.
fn everything(certificate: &str) -> String {
    format!(
        r#"version = 1
hostname = "rendered.lab.example"

[network]
dns = ["10.0.2.3"]
domains = ["lab.example"]
certificates = ["""
{certificate}"""]

[network.proxy]
https = "http://me:{SECRET}@10.0.2.2:3128"
no_proxy = ["localhost", "10.0.0.0/8"]

[[network.interface]]
mac = "00:00:5e:00:53:99"
addresses = ["192.0.2.99/24"]
required = false

[[network.interface]]
name = "e*"
dhcp = true
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
routes = [{{ to = "198.51.100.0/24", via = "192.0.2.254", metric = 77 }}]
domains = ["port.example"]
mtu = 1400

[time]
servers = ["192.0.2.123"]
zone = "Europe/Berlin"

[kernel.sysctl]
"net.core.somaxconn" = 1234
"net.ipv4.tcp_rmem" = "4096 87380 6291456"

[[registry]]
host = "registry.example:5000"
username = "me"
password = "{SECRET}"
ca = """
{certificate}"""

[[registry.mirrors]]
host = "mirror.example/hub"
username = "mirror"
password = "{SECRET}"

[[registry]]
host = "other.example"
token = "{SECRET}"

[[pods.manifest]]
name = "hello"
content = """
apiVersion: v1
kind: Pod
metadata: {{name: hello}}
spec:
  hostNetwork: true
  containers:
    - {{name: hello, image: "localhost/ballast/canary:1", imagePullPolicy: Never,
       volumeMounts: [{{name: reported, mountPath: /run/canary}}]}}
  volumes: [{{name: reported, hostPath: {{path: /run/hello, type: DirectoryOrCreate}}}}]
"""

[[pods.manifest]]
name = "talker"
content = """{TALKER}"""

[runtime]
pids_limit = 64
log_max_size = "64KiB"
log_max_files = 2

[log]
level = "debug"
journal_max_size = "64MiB"
"#
    )
}

type Case = (&'static str, fn(&mut Node) -> Result<()>);

const CASES: [Case; 12] = [
    ("nothing is wrong", nothing_is_wrong),
    ("networkd", networkd),
    ("resolved", resolved),
    ("time", time),
    ("journald", journald),
    ("sysctl", kernel),
    ("containerd", containerd),
    ("pods", pods),
    ("logs", logs),
    ("what does not come to hold is a reason", effects),
    ("any settings", super::readers::read_any_settings),
    ("secrets are kept", |node| secrets_are_kept(&mut node.guest, SECRET)),
];

#[test]
fn f_whatever_is_rendered_is_read_by_its_reader() {
    Scenario::run("f_rendered", |scenario| {
        let authority = Authority::make(&scenario.lab.tools, scenario.scratch(), "operator")?;
        let certificate = authority.certificate()?;
        let credentials = vec![user_data(&everything(&certificate))?];
        let options = Options { smp: 1, network: Network::User, credentials, ..Options::default() };
        let mut node = scenario.healthy(&options)?;
        let mut cases = Cases::default();
        for (name, case) in CASES {
            cases.note(name, case(&mut node));
        }
        cases.note("certificates", certificates(&mut node.guest, &certificate));
        cases.end()?;
        node.power_off()
    });
}

fn nothing_is_wrong(node: &mut Node) -> Result<()> {
    let problems = node.status()?.settings.problems;
    // The time server is not there, which is reported after a while.
    let is_known = |key: &Option<String>| key.as_deref() == Some("time.servers");
    ensure!(problems.iter().all(|one| is_known(&one.key)), "what is right is complained about: {problems:?}");
    ensure!(hostname(&mut node.guest)? == "rendered.lab.example", "the name is {}", hostname(&mut node.guest)?);
    // From the first start on: nothing had to be started again for it.
    for unit in ["systemd-networkd", "systemd-resolved", "systemd-timesyncd", "systemd-journald", "containerd"] {
        let (journal, unit) = ("journalctl --boot --no-pager --output=cat _PID=1", format!("{unit}.service"));
        let starts = node.guest.ask(&format!("{journal} UNIT={unit} | grep -c '^Started ' || :"))?;
        ensure!(starts.parse::<u32>()? <= 1, "{unit} was started {starts} times");
    }
    Ok(())
}

/// Nobody whose words of warning are these has anything to say.
pub(super) fn no_warnings(guest: &mut Guest, unit: &str) -> Result<()> {
    let journal = guest.ask(&format!("journalctl --boot --no-pager --output=cat --unit={unit}"))?;
    let warnings = ["Unknown key", "Unknown section", "Failed to parse", "ignoring", "Invalid ", "No such device"];
    let line = journal.lines().find(|line| warnings.iter().any(|warning| line.contains(warning)));
    ensure!(line.is_none(), "{unit} says {line:?}");
    Ok(())
}

fn networkd(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let port = guest.ask("ls /sys/class/net | grep '^e'")?;
    eventually(guest, "DHCP beside a static address", &format!("ip -4 address show dev {port}"), |text| {
        text.contains("inet 192.0.2.10/24") && text.contains("inet 10.0.2.15/24")
    })?;
    let link = guest.ask(&format!("ip -6 address show dev {port}; ip link show dev {port}; ip route"))?;
    for part in ["inet6 2001:db8::10/64", "mtu 1400", "198.51.100.0/24 via 192.0.2.254", "metric 77"] {
        ensure!(link.contains(part), "there is no {part}: {link}");
    }
    let status = guest.ask(&format!("networkctl --no-pager status {port}"))?;
    // The first that matches holds, and the image's own for every port does not.
    ensure!(status.contains("/etc/systemd/network/10-ballast-001.network"), "networkd reads another file: {status}");
    no_warnings(guest, "systemd-networkd.service")
}

/// What a service makes of the settings is reported, with the key that says it; once it holds, no more.
fn effects(node: &mut Node) -> Result<()> {
    let reported = |status: &qemu_vm::status::Status, key: &str| {
        let problem = status.settings.problems.iter().find(|one| one.key.as_deref() == Some(key));
        problem.is_some_and(|one| status.reasons.iter().any(|reason| reason.contains(&one.reason)))
    };
    // Nobody answers at 192.0.2.123, in no boot.
    node.status_when("the time server is a reason", 200, |status| reported(status, "time.servers"))?;
    let key = "network.interface.eth77.name";
    apply(&mut node.guest, "[[network.interface]]\nname = \"eth77\"\n")?;
    node.status_when("an interface that is not there is a reason", 90, |status| status.ready && reported(status, key))?;
    // A cloud's /32 with a gateway outside of it: the first entry that matches holds.
    let document = include_str!("../../../../node-agent/settings/tests/field/gateway-outside-prefix.toml");
    apply(
        &mut node.guest,
        &document.replace("hostname = \"cx22\"", "[[network.interface]]\nname = \"eth77\"\nrequired = false"),
    )?;
    let routes = "ip -4 route show default";
    eventually(&mut node.guest, "a gateway outside the prefix", routes, |text| {
        text.contains("via 10.0.2.2") && text.contains("onlink")
    })?;
    node.status_when("the interface is not waited for any more", 60, |status| {
        let of_interfaces = |key: &str| key.starts_with("network.interface");
        !status.settings.problems.iter().any(|one| one.key.as_deref().is_some_and(of_interfaces))
    })?;
    let state = node.guest.ask("networkctl --no-pager --no-legend list | grep ' ether '")?;
    ensure!(state.contains("routable") && state.contains("configured"), "networkd says {state}");
    bonds_and_vlans(node)?;
    node.guest.ask("rm /var/lib/ballast/settings.toml")?;
    eventually(&mut node.guest, "what held before holds again", "ip -4 address", |text| text.contains("192.0.2.10/24"))
        .map(drop)
}

/// A VLAN on a bond on the node's port, which it gives away.
fn bonds_and_vlans(node: &mut Node) -> Result<()> {
    let port = node.guest.ask("ls /sys/class/net | grep '^e'")?;
    let document = format!(
        "[[network.bond]]\nname = \"bond0\"\ninterfaces = \"{port}\"\nmode = \"802.3ad\"\n\
         [[network.vlan]]\nname = \"bond0.100\"\n\
         [[network.interface]]\nname = \"bond0.100\"\naddresses = \"192.0.2.77/24\"\n"
    );
    apply(&mut node.guest, &document)?;
    eventually(&mut node.guest, "the VLAN's address", "ip -4 address show dev bond0.100", |text| {
        text.contains("192.0.2.77/24")
    })?;
    let mode = node.guest.ask("cat /sys/class/net/bond0/bonding/mode /sys/class/net/bond0/bonding/slaves")?;
    ensure!(mode.contains("802.3ad") && mode.contains(&port), "the bond is {mode}");
    let id = node.guest.ask("ip -details link show dev bond0.100")?;
    ensure!(id.contains("vlan protocol 802.1Q id 100"), "the VLAN is {id}");
    no_warnings(&mut node.guest, "systemd-networkd.service")
}

fn resolved(node: &mut Node) -> Result<()> {
    let status = node.guest.ask("resolvectl --no-pager status")?;
    for part in ["10.0.2.3", "lab.example", "port.example"] {
        ensure!(status.contains(part), "resolved does not know {part}: {status}");
    }
    no_warnings(&mut node.guest, "systemd-resolved.service")
}

fn time(node: &mut Node) -> Result<()> {
    let zone = node.guest.ask("date +%Z")?;
    ensure!(["CET", "CEST"].contains(&zone.as_str()), "the zone is {zone}");
    let servers = node.guest.ask("timedatectl show-timesync --property=SystemNTPServers --value")?;
    ensure!(servers == "192.0.2.123", "timesyncd asks {servers}");
    no_warnings(&mut node.guest, "systemd-timesyncd.service")
}

fn journald(node: &mut Node) -> Result<()> {
    let says = node.guest.ask("journalctl --boot --no-pager --output=cat --unit=systemd-journald.service")?;
    ensure!(says.contains("max 64.0M") || says.contains("max 64M"), "the journal's limit is another: {says}");
    let config = node.guest.ask("systemd-analyze --no-pager cat-config systemd/journald.conf")?;
    ensure!(config.contains("SystemMaxUse=67108864"), "journald does not read it: {config}");
    no_warnings(&mut node.guest, "systemd-journald.service")
}

fn kernel(node: &mut Node) -> Result<()> {
    let rmem = eventually(&mut node.guest, "sysctls hold", "cat /proc/sys/net/ipv4/tcp_rmem", |text| {
        text.split_whitespace().eq(["4096", "87380", "6291456"])
    });
    rmem?;
    ensure!(super::sysctl(&mut node.guest, "net.core.somaxconn")? == "1234", "somaxconn is another");
    no_warnings(&mut node.guest, "systemd-sysctl.service")
}

fn containerd(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let dump = guest.ask("containerd config dump")?;
    for part in ["/etc/containerd/certs.d", "other.example", "identitytoken"] {
        ensure!(dump.contains(part), "containerd's configuration has no {part}: {dump}");
    }
    let hosts = guest.ask("cat /etc/containerd/certs.d/registry.example:5000/hosts.toml")?;
    ensure!(hosts.contains("https://mirror.example/v2/hub"), "the mirror's path is not there: {hosts}");
    let (_, pid) = super::processes(guest)?.into();
    let environment = guest.ask(&format!("tr '\\0' '\\n' </proc/{pid}/environ"))?;
    let has = |name: &str, value: &str| environment.lines().any(|line| line == format!("{name}={value}"));
    ensure!(has("HTTPS_PROXY", &format!("http://me:{SECRET}@10.0.2.2:3128")), "containerd knows no proxy");
    ensure!(has("NO_PROXY", "localhost,10.0.0.0/8"), "containerd does not know what goes without a proxy");
    let journal = guest.ask("journalctl --boot --no-pager --output=cat --unit=containerd.service")?;
    let warning = journal.lines().find(|line| {
        ["level=error", "level=fatal", "level=warning"].iter().any(|level| line.contains(level))
            && ["config", "hosts.toml", "certs.d", "unknown"].iter().any(|word| line.contains(word))
            // For credentials that are bound to a host there is nothing else yet.
            && !["`configs` is deprecated", "Registry.Configs"].iter().any(|known| line.contains(known))
    });
    ensure!(warning.is_none(), "containerd says {warning:?}");
    Ok(())
}

/// The manifest in the settings runs, with the limit that holds for every pod.
fn pods(node: &mut Node) -> Result<()> {
    node.status_when("the pod in the settings runs", 90, |status| status.runs("hello"))?;
    let limits = node.guest.ask("find /sys/fs/cgroup/ballast-pods -name pids.max -exec cat {} + | sort -u")?;
    ensure!(limits.lines().any(|limit| limit == "64"), "pods may have {limits:?} processes");
    Ok(())
}

/// A log that has grown too large is begun anew, again and again, and the pod talks on.
fn logs(node: &mut Node) -> Result<()> {
    node.status_when("the pod that talks runs", 90, |status| status.runs("talker"))?;
    let guest = &mut node.guest;
    let older = "find /var/log/pods -path '*talker*' -name '*.log.1' -printf '%i\\n'";
    let first = eventually(guest, "its log is begun anew", older, |inode| !inode.is_empty())?;
    eventually(guest, "and once more", older, |inode| !inode.is_empty() && inode != first)?;
    let files = guest.ask("find /var/log/pods -path '*talker*' -name '*.log*' -type f -printf '%s %p\\n'")?;
    ensure!(files.lines().count() <= 2, "of two logs there are {files}");
    for line in files.lines() {
        let bytes =
            line.split_once(' ').and_then(|(bytes, _)| bytes.parse::<u64>().ok()).context("find says no size")?;
        // The agent looks every ten seconds.
        ensure!(bytes < 2 << 20, "a log of 64 KiB is {line}");
    }
    let log = "cat /var/log/pods/*talker*/talker/0.log";
    eventually(guest, "it talks on", log, |text| text.contains("of a pod that talks")).map(drop)
}

fn certificates(guest: &mut Guest, certificate: &str) -> Result<()> {
    let found = guest.ask("cat /etc/ssl/certs/ballast.pem").context("Go's and rustls' programs read this folder")?;
    ensure!(found.trim() == certificate.trim(), "/etc/ssl/certs/ballast.pem is {found}");
    Ok(())
}
