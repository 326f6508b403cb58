//! Whether this node can speak to others, and under which addresses: the kernel's own answer, without a packet.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use anyhow::{Context, Result, bail};
use nix::{
    ifaddrs::{InterfaceAddress, getifaddrs},
    net::if_::InterfaceFlags,
};

use super::host::Host;

/// Addresses that only a default route leads to: they are for documentation (RFC 5737, RFC 3849). Connecting a UDP socket sends
/// nothing; it looks for a route and picks the address to send from.
const FAR: [(IpAddr, IpAddr); 2] = [
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
];

/// Discard: nothing is sent to it either way.
const PORT: u16 = 9;

/// The address with which this node speaks to the world; there is one if it has a default route and an address.
///
/// # Errors
/// If there is no route, or no address to use it with, be it of version 4 or 6.
pub fn source_address() -> Result<IpAddr> {
    let mut reasons = Vec::new();
    for (any, far) in FAR {
        match source(any, far) {
            Ok(address) => return Ok(address),
            Err(reason) => reasons.push(reason),
        }
    }
    reasons.dedup();
    bail!("no default route with an address ({})", reasons.join("; "))
}

/// The address with which `near` is spoken to, over whatever route leads there: a link-local address reaches who is on the link.
///
/// # Errors
/// If no route leads there, or there is no address to use it with.
pub fn source_address_for(near: IpAddr) -> Result<IpAddr> {
    let any = if near.is_ipv4() { FAR[0].0 } else { FAR[1].0 };
    let source = route(any, near).with_context(|| format!("no route with an address leads to {near}"))?;
    anyhow::ensure!(near.is_loopback() || !source.is_loopback(), "no address but {source} is there to speak to {near}");
    Ok(source)
}

/// The address with which `far` is spoken to, else why there is none.
fn source(any: IpAddr, far: IpAddr) -> Result<IpAddr, String> {
    match route(any, far) {
        Ok(source) if is_usable(source) => Ok(source),
        Ok(source) => Err(format!("{source} reaches no other network")),
        Err(error) => Err(error.to_string()),
    }
}

fn route(any: IpAddr, far: IpAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(SocketAddr::new(far, PORT))?;
    Ok(socket.local_addr()?.ip())
}

/// The addresses under which others reach this node: those of the default routes first, then those of the other interfaces that are
/// up and have a device. Bridges and pairs that only pods use have none.
///
/// # Errors
/// If the kernel does not report its interfaces.
pub fn addresses(host: &Host) -> Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = FAR.into_iter().filter_map(|(any, far)| source(any, far).ok()).collect();
    for interface in getifaddrs().context("asking the kernel for its interfaces")? {
        let has_device = || host.path(format!("/sys/class/net/{}/device", interface.interface_name)).exists();
        let Some(address) = address(&interface).filter(|address| is_usable(*address)) else { continue };
        if interface.flags.contains(InterfaceFlags::IFF_UP) && !addresses.contains(&address) && has_device() {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn address(interface: &InterfaceAddress) -> Option<IpAddr> {
    let address = interface.address.as_ref()?;
    let ipv4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !(address.is_unspecified() || address.is_loopback() || address.is_link_local()),
        IpAddr::V6(address) => !(address.is_unspecified() || address.is_loopback() || address.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only route that is there on each machine that builds is that to itself: it is none to the world.
    #[test]
    fn a_route_to_a_service_need_not_be_one_to_the_world() {
        let near = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(source_address_for(near).unwrap(), near);
        assert!(source(FAR[0].0, near).unwrap_err().ends_with("reaches no other network"));
        // No packet goes there without a broadcast socket.
        let reported = source_address_for(IpAddr::V4(Ipv4Addr::BROADCAST)).unwrap_err().to_string();
        assert_eq!(reported, "no route with an address leads to 255.255.255.255");
    }

    #[test]
    fn an_address_that_reaches_nobody_is_none() {
        for (address, expected) in [
            ("10.0.2.15", true),
            ("2001:db8::5", true),
            ("fd00::1", true),
            ("0.0.0.0", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("::", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_usable(address.parse().unwrap()), expected, "{address}");
        }
    }
}
