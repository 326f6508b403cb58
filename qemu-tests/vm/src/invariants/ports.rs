//! No listening port that is not on the list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, bail};

use crate::guest::Guest;

/// TCP_LISTEN, include/net/tcp_states.h. An unconnected UDP socket is in TCP_CLOSE.
const TCP_LISTEN: u8 = 10;
const UDP_UNCONNECTED: u8 = 7;

pub(super) fn check(guest: &mut Guest) -> Result<()> {
    let clock = user(&guest.ask("cat /etc/passwd")?, CLOCK);
    let mut open = Vec::new();
    for (table, state) in
        [("tcp", TCP_LISTEN), ("tcp6", TCP_LISTEN), ("udp", UDP_UNCONNECTED), ("udp6", UDP_UNCONNECTED)]
    {
        let text = guest.ask(&format!("cat /proc/net/{table} 2>/dev/null || :"))?;
        let sockets = listening(&text, state).with_context(|| format!("reading /proc/net/{table}"))?;
        let of_clock = |socket: &Socket| table.starts_with("udp") && clock == Some(socket.user);
        let others = sockets.into_iter().filter(|socket| !allowed(table, &socket.address) && !of_clock(socket));
        open.extend(others.map(|socket| format!("{table} {} of user {}", socket.address, socket.user)));
    }
    if !open.is_empty() {
        bail!("{} not on the list", open.join(", "));
    }
    Ok(())
}

/// Asks NTP servers from a socket that is bound and not connected, and takes answers of the one it asked only (timesyncd-manager.c).
const CLOCK: &str = "systemd-timesync";

/// A socket that takes what comes.
struct Socket {
    address: SocketAddr,
    user: u32,
}

/// The number of the user `name`.
fn user(passwd: &str, name: &str) -> Option<u32> {
    let mut users = passwd.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?)
}

/// resolved's stubs, for whoever reads /etc/resolv.conf (systemd-resolved.service(8)).
const STUBS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 53), Ipv4Addr::new(127, 0, 0, 54)];

/// The port of DHCP's client (RFC 2131), on which networkd hears of its lease; on the leased address only.
const DHCP_CLIENT: u16 = 68;

/// containerd's streaming server (exec, attach, port-forward of the CRI) takes a free TCP port of the loopback.
fn allowed(table: &str, socket: &SocketAddr) -> bool {
    let IpAddr::V4(ip) = socket.ip() else { return false };
    (table == "udp" && !ip.is_unspecified() && socket.port() == DHCP_CLIENT)
        || (table == "tcp" && ip == Ipv4Addr::LOCALHOST)
        || (STUBS.contains(&ip) && socket.port() == 53)
}

/// The sockets of /proc/net/TABLE that are in `state`.
fn listening(table: &str, state: u8) -> Result<Vec<Socket>> {
    let mut found = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, now, _, _, _, user, ..] = fields[..] else { bail!("the line {line:?}") };
        if u8::from_str_radix(now, 16).with_context(|| format!("the state in {line:?}"))? == state {
            let address = address(local).with_context(|| format!("the address in {line:?}"))?;
            let user = user.parse().with_context(|| format!("the user in {line:?}"))?;
            found.push(Socket { address, user });
        }
    }
    Ok(found)
}

/// `0100007F:1F90`: each 32 bits of the address in the byte order of x86, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let words: Option<Vec<u32>> =
        host.as_bytes().chunks(8).map(|hex| u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()).collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_le_bytes).collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1235
   2: 0100007F:9C40 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 1236
";

    #[test]
    fn only_listening_sockets_count() {
        let found: Vec<_> = listening(TCP, TCP_LISTEN).unwrap().iter().map(|socket| socket.address).collect();
        assert_eq!(found, ["127.0.0.1:40000".parse().unwrap(), "0.0.0.0:22".parse().unwrap()]);
        assert!(allowed("tcp", &found[0]) && !allowed("tcp", &found[1]));
    }

    #[test]
    fn users_have_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nsystemd-timesync:x:996:996::/:/usr/sbin/nologin\n";
        assert_eq!((user(passwd, CLOCK), user(passwd, "nobody")), (Some(996), None));
    }

    #[test]
    fn version_six_addresses_are_read() {
        let loopback = address("00000000000000000000000001000000:0050").unwrap();
        assert_eq!(loopback, "[::1]:80".parse().unwrap());
        assert_eq!(address("nonsense"), None);
    }
}
