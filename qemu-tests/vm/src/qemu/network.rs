//! The networks that a machine can be plugged into, and QEMU's words for them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::arguments::words;

/// Whether the machine has a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// No interface at all: the default, since a node must come up without (N13).
    #[default]
    None,
    /// A virtio interface behind QEMU's user-mode network.
    User,
    /// The same, where DHCP also gives the machine its name.
    Named(&'static str),
    /// The same, where port 10250 of this address of the host's loopback leads to the machine's kubelet.
    Kubelet(Ipv4Addr),
    /// The same, where port 9600 of this address of the host's loopback leads to the machine's API.
    Api(Ipv4Addr),
    /// The same, in another network, which has a service on the link.
    Service(OnLink),
    /// A virtio interface and a cable to that of another machine.
    Cable(Cable),
    /// Two interfaces: that of [`Network::User`], and behind it that of [`Network::Cable`].
    UserAndCable(Cable),
}

/// A service on the link: at its port 80, each connection is a command's stdin and stdout.
///
/// QEMU's user network forwards only addresses within itself (`guestfwd`). So it is the /8 that the service's address is in:
/// 169.254.169.254 is in 169.0.0.0/8, in which the node gets 169.0.2.15, an address as others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnLink {
    /// Where it is
    pub address: Ipv4Addr,
    /// The command, without commas
    pub command: String,
}

/// One end of a cable between two machines: frames go as datagrams from one socket to the other. A machine whose other end is not
/// there yet sends to nobody, so neither has to be started first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cable {
    /// The interface's address on the link
    pub mac: &'static str,
    /// The socket of this end, made by QEMU; at most 107 bytes
    pub here: PathBuf,
    /// That of the other
    pub there: PathBuf,
}

impl Cable {
    /// Both ends of a cable whose sockets lie in `folder`.
    pub fn between(folder: &Path) -> [Self; 2] {
        let [one, other] = ["one", "other"].map(|end| folder.join(end));
        [
            Self { mac: "52:54:00:00:00:01", here: one.clone(), there: other.clone() },
            Self { mac: "52:54:00:00:00:02", here: other, there: one },
        ]
    }
}

impl Network {
    /// QEMU's arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        match self {
            Self::None => words("-nic none"),
            Self::User => words("-nic user,model=virtio-net-pci"),
            Self::Named(name) => words(&format!("-nic user,model=virtio-net-pci,hostname={name}")),
            Self::Kubelet(address) => forwarded(*address, 10250),
            Self::Api(address) => forwarded(*address, 9600),
            Self::Service(OnLink { address, command }) => {
                let net = address.octets()[0];
                let forward = format!("guestfwd=tcp:{address}:80-cmd:{command}");
                vec!["-nic".into(), format!("user,model=virtio-net-pci,net={net}.0.0.0/8,{forward}")]
            }
            Self::Cable(Cable { mac, here, there }) => {
                let (here, there) = (here.display(), there.display());
                let ends = format!("local.type=unix,local.path={here},remote.type=unix,remote.path={there}");
                let mut arguments = vec!["-netdev".into(), format!("dgram,id=cable,{ends}")];
                arguments.extend(words(&format!("-device virtio-net-pci,netdev=cable,mac={mac}")));
                arguments
            }
            Self::UserAndCable(cable) => [Self::User, Self::Cable(cable.clone())].map(|one| one.arguments()).concat(),
        }
    }
}

/// A user network in which `port` of `address` leads to the same port of the machine.
fn forwarded(address: Ipv4Addr, port: u16) -> Vec<String> {
    vec!["-nic".into(), format!("user,model=virtio-net-pci,hostfwd=tcp:{address}:{port}-:{port}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_in_the_network_that_forwards_to_it() {
        let service = OnLink { address: Ipv4Addr::new(169, 254, 169, 254), command: "bash /b 7".into() };
        let want = "user,model=virtio-net-pci,net=169.0.0.0/8,guestfwd=tcp:169.254.169.254:80-cmd:bash /b 7";
        assert_eq!(Network::Service(service).arguments(), ["-nic", want]);
    }

    #[test]
    fn a_kubelet_is_reached_from_the_host() {
        let want = "user,model=virtio-net-pci,hostfwd=tcp:127.0.1.2:10250-:10250";
        assert_eq!(Network::Kubelet(Ipv4Addr::new(127, 0, 1, 2)).arguments(), ["-nic", want]);
        let want = "user,model=virtio-net-pci,hostfwd=tcp:127.0.1.2:9600-:9600";
        assert_eq!(Network::Api(Ipv4Addr::new(127, 0, 1, 2)).arguments(), ["-nic", want]);
    }

    #[test]
    fn a_cable_has_two_ends() {
        let [one, other] = Cable::between(Path::new("/s"));
        assert_eq!((&one.here, &one.there), (&other.there, &other.here));
        let arguments = Network::Cable(one).arguments().join(" ");
        assert!(arguments.contains("local.path=/s/one,remote.type=unix,remote.path=/s/other"), "{arguments}");
        assert!(arguments.contains("-device virtio-net-pci,netdev=cable,mac=52:54:00:00:00:01"), "{arguments}");
        assert_eq!(Network::None.arguments(), ["-nic", "none"]);
        assert_eq!(Network::Named("a").arguments(), ["-nic", "user,model=virtio-net-pci,hostname=a"]);
    }
}
