//! spec.containers\[\].ports\[\]: a container listens where it likes. A port is a name for probes, and may lead there from the host.

use std::net::IpAddr;

use super::{container::Context, reader::Fields};
use crate::pods::model::{Port, Protocol};

const PROTOCOLS: [(&str, Protocol); 3] = [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];

const LAST_PORT: u64 = 65_535;

pub(super) fn ports(fields: &mut Fields<'_>, context: &Context<'_>) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for mut port in fields.all("ports") {
        let number = |number: u64| u16::try_from(number).ok().filter(|number| *number > 0);
        let is_whole = port.take("containerPort").is_some();
        let inside = port.number("containerPort", LAST_PORT).and_then(number);
        let name = port.text("name").map(|said| said.text.to_owned());
        let protocol = port.word("protocol", &PROTOCOLS).unwrap_or(Protocol::Tcp);
        let host_ip = port.text("hostIP").filter(|said| !said.text.is_empty());
        let host = port.number("hostPort", LAST_PORT).and_then(number);
        // What only informs keeps no pod from running: earlier releases did not look at it.
        let leads_there = host.is_some() && !context.host_network;
        let wrong = |key: &str, message: &str| match leads_there {
            true => port.refuse_at(port.line_of(key), key, message),
            false => port.note(key, message),
        };
        if !is_whole {
            wrong("", "the field `containerPort` is missing");
        }
        let is_address = host_ip.is_none_or(|said| said.text.parse::<IpAddr>().is_ok());
        if !is_address {
            wrong("hostIP", "expected an IP address");
        }
        if context.host_network && host.is_some() && host != inside {
            port.refuse_at(port.line(), "hostPort", "has to be containerPort with hostNetwork: true");
        }
        let one = inside.map(|inside| Port {
            name,
            number: inside,
            protocol,
            host,
            host_ip: host_ip.filter(|_| is_address).map(|said| said.text.to_owned()).unwrap_or_default(),
        });
        let is_same = |other: &Port| one.as_ref().is_some_and(|one| one.is_in_the_way_of(other));
        if ports.iter().any(is_same) {
            wrong("hostPort", "this port of the host is given twice");
        }
        port.finish();
        ports.extend(one);
    }
    ports
}
