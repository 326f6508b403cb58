//! The network, as `ip` and `ss` see it (ip-address(8), ip-route(8), ss(8)).

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::clients::{exec, host::Host, resolved};

const IP: &str = "/usr/bin/ip";
const SS: &str = "/usr/bin/ss";
const DEADLINE: Duration = Duration::from_secs(10);

/// How many connections the firewall knows, and may know.
const CONNTRACK: [&str; 2] = ["/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max"];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// Where packets go.
    pub routes: Vec<Route>,
    /// Who is asked for names.
    pub name_servers: Vec<String>,
    /// In which domains short names are looked for.
    pub search: Vec<String>,
    /// Who listens.
    pub listening: Vec<Listening>,
    /// How many connections the firewall knows; None if it knows none.
    pub conntrack: Option<Conntrack>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// An interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `UP`, `DOWN`, …
    pub state: String,
    /// Its hardware's address.
    pub hardware: String,
    /// The longest packet in bytes.
    pub mtu: u32,
    /// With the length of the prefix.
    pub addresses: Vec<String>,
}

/// A route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `default`, or a prefix.
    pub to: String,
    /// The next router; None for who is reached directly.
    pub via: Option<String>,
    /// Over which interface.
    pub interface: String,
    /// The lower, the better.
    pub metric: Option<u32>,
}

/// Somebody who waits for packets or connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Address and port.
    pub address: String,
    /// Name and number of the processes.
    pub processes: Vec<String>,
}

/// The firewall's table of connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conntrack {
    /// How many it has.
    pub count: u64,
    /// How many it takes.
    pub max: u64,
}

#[derive(Deserialize)]
struct IpInterface {
    ifname: String,
    #[serde(default)]
    operstate: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    mtu: u32,
    #[serde(default)]
    addr_info: Vec<IpAddress>,
}

#[derive(Deserialize)]
struct IpAddress {
    local: String,
    prefixlen: u8,
}

#[derive(Deserialize)]
struct IpRoute {
    dst: String,
    gateway: Option<String>,
    #[serde(default)]
    dev: String,
    metric: Option<u32>,
}

pub(super) async fn inspect(host: &Host) -> Result<Network> {
    let mut found = Network::default();
    let run = async |program: &str, arguments: &[&str]| {
        exec::run(&host.path(program).display().to_string(), arguments, DEADLINE).await
    };
    let mut problems = Vec::new();
    match run(IP, &["-json", "address"]).await.and_then(|text| parse_interfaces(&text)) {
        Ok(interfaces) => found.interfaces = interfaces,
        Err(error) => problems.push(format!("{error:#}")),
    }
    for family in ["-4", "-6"] {
        match run(IP, &["-json", family, "route"]).await.and_then(|text| parse_routes(&text)) {
            Ok(mut routes) => found.routes.append(&mut routes),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    match run(SS, &["-H", "--listening", "--numeric", "--processes", "--tcp", "--udp"]).await {
        Ok(text) => found.listening = text.lines().filter_map(parse_listening).collect(),
        Err(error) => problems.push(format!("{error:#}")),
    }
    let files = host.read("reading who is asked for names", |host| {
        let [count, max] = CONNTRACK.map(|path| fs::read_to_string(host.path(path)).ok()?.trim().parse().ok());
        Ok((resolved::load_resolv_conf(host), count.zip(max).map(|(count, max)| Conntrack { count, max })))
    });
    match files.await {
        Ok((Ok(conf), conntrack)) => {
            (found.name_servers, found.search, found.conntrack) = (conf.servers, conf.searches, conntrack);
        }
        Ok((Err(error), conntrack)) => {
            found.conntrack = conntrack;
            problems.push(format!("{error:#}"));
        }
        Err(error) => problems.push(format!("{error:#}")),
    }
    Ok(Network { problems, ..found })
}

fn parse_interfaces(text: &str) -> Result<Vec<Interface>> {
    let all: Vec<IpInterface> = serde_json::from_str(text).context("reading what ip says of addresses")?;
    let interface = |one: IpInterface| Interface {
        name: one.ifname,
        state: one.operstate,
        hardware: one.address,
        mtu: one.mtu,
        addresses: one.addr_info.iter().map(|one| format!("{}/{}", one.local, one.prefixlen)).collect(),
    };
    Ok(all.into_iter().map(interface).collect())
}

fn parse_routes(text: &str) -> Result<Vec<Route>> {
    // Without a route it says nothing at all.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<IpRoute> = serde_json::from_str(text).context("reading what ip says of routes")?;
    let route = |one: IpRoute| Route { to: one.dst, via: one.gateway, interface: one.dev, metric: one.metric };
    Ok(all.into_iter().map(route).collect())
}

/// `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))`
fn parse_listening(line: &str) -> Option<Listening> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let users = fields.get(6..).unwrap_or_default().join(" ");
    let processes = users.split("((").nth(1).unwrap_or_default().split("),(").filter_map(|user| {
        let name = user.split('"').nth(1)?;
        let pid = user.split("pid=").nth(1)?.split(',').next()?;
        Some(format!("{name} {pid}"))
    });
    let mut processes: Vec<String> = processes.collect();
    processes.dedup();
    Some(Listening { protocol: (*fields.first()?).to_owned(), address: (*fields.get(4)?).to_owned(), processes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ip_and_ss_say_is_read() {
        let text = r#"[{"ifindex":2,"ifname":"ens3","flags":["UP"],"mtu":1500,"operstate":"UP","link_type":"ether","address":"52:54:00:12:34:56",
            "addr_info":[{"family":"inet","local":"10.0.2.15","prefixlen":24,"scope":"global"}]},{"ifname":"x"}]"#;
        let interfaces = parse_interfaces(text).unwrap();
        assert_eq!((interfaces[0].addresses.as_slice(), interfaces[0].mtu), (&["10.0.2.15/24".to_owned()][..], 1500));
        assert_eq!(interfaces[1], Interface { name: "x".to_owned(), ..Interface::default() });
        let routes =
            parse_routes(r#"[{"dst":"default","gateway":"10.0.2.2","dev":"ens3","metric":1024,"flags":[]}]"#).unwrap();
        let expected =
            Route { to: "default".into(), via: Some("10.0.2.2".into()), interface: "ens3".into(), metric: Some(1024) };
        assert_eq!((routes, parse_routes("").unwrap()), (vec![expected], Vec::new()));
        let line = r#"tcp   LISTEN 0      4096   127.0.0.1:33027      0.0.0.0:*    users:(("containerd",pid=210,fd=12),("containerd",pid=210,fd=13),("b c",pid=9,fd=1))"#;
        let listening = parse_listening(line).unwrap();
        assert_eq!((listening.protocol.as_str(), listening.address.as_str()), ("tcp", "127.0.0.1:33027"));
        assert_eq!(listening.processes, ["containerd 210", "b c 9"]);
        assert_eq!(parse_listening("udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*").unwrap().processes, [""; 0]);
        assert!(parse_listening("").is_none() && parse_interfaces("?").is_err());
    }
}
