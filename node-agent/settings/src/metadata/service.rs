//! The services: where they are, and what they are asked for.

use super::http::Request;
use crate::{Kind, values::Secret};

/// How long a token holds, in seconds: longer than all questions take, tries included.
const TOKEN_SECS: &str = "300";

/// A cloud's metadata service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon EC2, IMDSv2 (docs.aws.amazon.com, "Use the Instance Metadata Service").
    Ec2,
    /// Alibaba Cloud ECS (alibabacloud.com/help, "Instance metadata").
    Alibaba,
    /// OpenStack Nova (docs.openstack.org/nova, "Metadata service").
    OpenStack,
    /// Google Compute Engine (docs.cloud.google.com, "About VM metadata").
    Gce,
    /// Hetzner Cloud (docs.hetzner.cloud, "Server Metadata").
    Hetzner,
    /// DigitalOcean (docs.digitalocean.com, "Droplet Metadata").
    DigitalOcean,
    /// Microsoft Azure (learn.microsoft.com, "Azure Instance Metadata Service").
    Azure,
    /// Oracle Cloud Infrastructure, version 2 (docs.oracle.com, "Getting Instance Metadata").
    Oracle,
    /// Vultr (vultr.com/metadata).
    Vultr,
    /// Scaleway (scaleway.com/en/developers/api/instance/user-data).
    Scaleway,
    /// Exoscale (community.exoscale.com, "Cloud-init and user data"; cloud-init, DataSourceExoscale).
    Exoscale,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// In base64.
    Base64,
    /// In base64, if the operator has put it so: where a service takes only text, that is how a compressed one gets through.
    MaybeBase64,
}

/// One request: how problems name its answer, where it is, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
}

impl Item {
    const fn plain(name: &'static str, path: &'static str, kind: Kind) -> Self {
        Self { name, path, kind, encoding: Encoding::Plain }
    }

    const fn encoded(name: &'static str, path: &'static str, encoding: Encoding) -> Self {
        Self { name, path, kind: Kind::Settings, encoding }
    }
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Ec2,
        Self::Alibaba,
        Self::OpenStack,
        Self::Gce,
        Self::Hetzner,
        Self::DigitalOcean,
        Self::Azure,
        Self::Oracle,
        Self::Vultr,
        Self::Scaleway,
        Self::Exoscale,
    ];

    /// Its host, always over plain HTTP: it is on the link.
    pub const fn host(self) -> &'static str {
        match self {
            Self::Alibaba => "100.100.100.200",
            Self::Scaleway => "169.254.42.42",
            // GCE's name, metadata.google.internal, would need a name server first.
            Self::Ec2
            | Self::OpenStack
            | Self::Gce
            | Self::Hetzner
            | Self::DigitalOcean
            | Self::Azure
            | Self::Oracle
            | Self::Vultr
            | Self::Exoscale => "169.254.169.254",
        }
    }

    /// Whether it answers only to a port below 1024. (Scaleway: "user data is only allowed to queries originating from a port below
    /// 1024".)
    pub(super) fn wants_privileged_port(self) -> bool {
        self == Self::Scaleway
    }

    /// What it is asked, in this order: what the operator wrote counts more than the name that the platform gave.
    pub(super) const fn questions(self) -> &'static [Item] {
        match self {
            Self::Ec2 => {
                const {
                    &[
                        Item::plain("EC2 user-data", "/latest/user-data", Kind::Settings),
                        Item::plain("EC2 local-hostname", "/latest/meta-data/local-hostname", Kind::Hostname),
                    ]
                }
            }
            Self::Alibaba => {
                const {
                    &[
                        Item::plain("Alibaba Cloud user-data", "/latest/user-data", Kind::Settings),
                        Item::plain("Alibaba Cloud hostname", "/latest/meta-data/hostname", Kind::Hostname),
                    ]
                }
            }
            Self::OpenStack => {
                const {
                    &[
                        Item::plain("OpenStack user_data", "/openstack/latest/user_data", Kind::Settings),
                        Item::plain(
                            "OpenStack vendor_data.json",
                            "/openstack/latest/vendor_data.json",
                            Kind::VendorData,
                        ),
                        Item::plain(
                            "OpenStack network_data.json",
                            "/openstack/latest/network_data.json",
                            Kind::NetworkData,
                        ),
                        Item::plain("OpenStack meta_data.json", "/openstack/latest/meta_data.json", Kind::MetaData),
                    ]
                }
            }
            Self::Gce => {
                const {
                    &[
                        Item::plain(
                            "GCE user-data",
                            "/computeMetadata/v1/instance/attributes/user-data",
                            Kind::Settings,
                        ),
                        Item::plain("GCE hostname", "/computeMetadata/v1/instance/hostname", Kind::Hostname),
                    ]
                }
            }
            Self::Hetzner => {
                const {
                    &[
                        Item::encoded("Hetzner userdata", "/hetzner/v1/userdata", Encoding::MaybeBase64),
                        // YAML with the hostname, and a network-config without which there is no IPv6.
                        Item::plain("Hetzner metadata", "/hetzner/v1/metadata", Kind::MetaData),
                    ]
                }
            }
            Self::DigitalOcean => {
                const {
                    &[
                        Item::plain("DigitalOcean user-data", "/metadata/v1/user-data", Kind::Settings),
                        Item::plain("DigitalOcean hostname", "/metadata/v1/hostname", Kind::Hostname),
                    ]
                }
            }
            Self::Azure => {
                const {
                    &[
                        Item::encoded(
                            "Azure userData",
                            "/metadata/instance/compute/userData?api-version=2021-01-01&format=text",
                            Encoding::Base64,
                        ),
                        Item::plain(
                            "Azure computerName",
                            "/metadata/instance/compute/osProfile/computerName?api-version=2021-01-01&format=text",
                            Kind::Hostname,
                        ),
                    ]
                }
            }
            Self::Oracle => {
                const {
                    &[
                        Item::encoded(
                            "Oracle Cloud user_data",
                            "/opc/v2/instance/metadata/user_data",
                            Encoding::Base64,
                        ),
                        Item::plain("Oracle Cloud hostname", "/opc/v2/instance/hostname", Kind::Hostname),
                    ]
                }
            }
            Self::Vultr => {
                const {
                    &[
                        Item::plain("Vultr user-data", "/latest/user-data", Kind::Settings),
                        Item::plain("Vultr hostname", "/v1/hostname", Kind::Hostname),
                    ]
                }
            }
            Self::Scaleway => {
                const {
                    &[
                        Item::plain("Scaleway user_data", "/user_data/cloud-init", Kind::Settings),
                        Item::plain("Scaleway conf", "/conf?format=json", Kind::MetaData),
                    ]
                }
            }
            Self::Exoscale => {
                const {
                    &[
                        Item::plain("Exoscale user-data", "/1.0/user-data", Kind::Settings),
                        Item::plain("Exoscale local-hostname", "/1.0/meta-data/local-hostname", Kind::Hostname),
                    ]
                }
            }
        }
    }

    /// What has to be asked first, for a token that goes with every request.
    pub(super) fn token_request(self) -> Option<Request> {
        let header = match self {
            Self::Ec2 => "X-aws-ec2-metadata-token-ttl-seconds",
            Self::Alibaba => "X-aliyun-ecs-metadata-token-ttl-seconds",
            Self::OpenStack
            | Self::Gce
            | Self::Hetzner
            | Self::DigitalOcean
            | Self::Azure
            | Self::Oracle
            | Self::Vultr
            | Self::Scaleway
            | Self::Exoscale => return None,
        };
        let headers = vec![(header, Secret::of(TOKEN_SECS))];
        let (host, path) = (self.host(), "/latest/api/token");
        Some(Request { method: "PUT", host, path, headers, from_privileged_port: self.wants_privileged_port() })
    }

    /// What goes with every request.
    pub(super) fn headers(self, token: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        let token = token.cloned();
        match self {
            Self::Ec2 => token.map(|token| ("X-aws-ec2-metadata-token", token)).into_iter().collect(),
            Self::Alibaba => token.map(|token| ("X-aliyun-ecs-metadata-token", token)).into_iter().collect(),
            Self::Gce => vec![("Metadata-Flavor", Secret::of("Google"))],
            Self::Azure => vec![("Metadata", Secret::of("true"))],
            Self::Oracle => vec![("Authorization", Secret::of("Bearer Oracle"))],
            Self::OpenStack | Self::Hetzner | Self::DigitalOcean | Self::Vultr | Self::Scaleway | Self::Exoscale => {
                Vec::new()
            }
        }
    }
}
