//! spec.containers\[\].ports\[\].

use super::{container::Context, reader::Fields};

/// Whether it is TCP, which is as good as any: ports only inform.
const PROTOCOLS: [(&str, ()); 3] = [("TCP", ()), ("UDP", ()), ("SCTP", ())];

const LAST_PORT: u64 = 65_535;

/// A container listens where it likes: a port only informs, but for one of the host that is to lead to it.
/// Returns those that have names.
pub(super) fn ports(fields: &mut Fields<'_>, context: &Context<'_>) -> Vec<(String, u16)> {
    let mut named = Vec::new();
    for mut port in fields.all("ports") {
        let inside = port.number("containerPort", LAST_PORT);
        let name = port.text("name");
        let number = inside.and_then(|inside| u16::try_from(inside).ok());
        named.extend(name.zip(number).map(|(name, number)| (name.text.to_owned(), number)));
        port.word("protocol", &PROTOCOLS);
        port.text("hostIP");
        let host = port.number("hostPort", LAST_PORT).filter(|host| *host > 0);
        if host.is_some() && !context.host_network {
            port.refuse_at(port.line(), "hostPort", "is supported only with hostNetwork: true on this node");
        } else if host.is_some() && host != inside {
            port.refuse_at(port.line(), "hostPort", "has to be containerPort with hostNetwork: true");
        }
        port.finish();
    }
    named
}
