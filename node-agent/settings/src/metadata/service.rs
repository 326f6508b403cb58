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
}

/// One question: how problems name its answer, where it is, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) kind: Kind,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ec2, Self::Alibaba, Self::OpenStack, Self::Gce];

    /// Its host, always over plain HTTP: it is on the link.
    pub const fn host(self) -> &'static str {
        match self {
            Self::Alibaba => "100.100.100.200",
            // GCE's name, metadata.google.internal, would need a name server first.
            Self::Ec2 | Self::OpenStack | Self::Gce => "169.254.169.254",
        }
    }

    /// What it is asked, in this order: what the operator wrote counts more than the name that the platform gave.
    pub(super) const fn questions(self) -> &'static [Question] {
        const fn question(name: &'static str, path: &'static str, kind: Kind) -> Question {
            Question { name, path, kind }
        }
        match self {
            Self::Ec2 => {
                const {
                    &[
                        question("EC2 user-data", "/latest/user-data", Kind::Settings),
                        question("EC2 local-hostname", "/latest/meta-data/local-hostname", Kind::Hostname),
                    ]
                }
            }
            Self::Alibaba => {
                const {
                    &[
                        question("Alibaba Cloud user-data", "/latest/user-data", Kind::Settings),
                        question("Alibaba Cloud hostname", "/latest/meta-data/hostname", Kind::Hostname),
                    ]
                }
            }
            Self::OpenStack => {
                const {
                    &[
                        question("OpenStack user_data", "/openstack/latest/user_data", Kind::Settings),
                        question("OpenStack meta_data.json", "/openstack/latest/meta_data.json", Kind::MetaData),
                    ]
                }
            }
            Self::Gce => {
                const {
                    &[
                        question("GCE user-data", "/computeMetadata/v1/instance/attributes/user-data", Kind::Settings),
                        question("GCE hostname", "/computeMetadata/v1/instance/hostname", Kind::Hostname),
                    ]
                }
            }
        }
    }

    /// What has to be asked first, for a token that goes with every question.
    pub(super) fn token_request(self) -> Option<Request> {
        let header = match self {
            Self::Ec2 => "X-aws-ec2-metadata-token-ttl-seconds",
            Self::Alibaba => "X-aliyun-ecs-metadata-token-ttl-seconds",
            Self::OpenStack | Self::Gce => return None,
        };
        let headers = vec![(header, Secret::of(TOKEN_SECS))];
        Some(Request { method: "PUT", host: self.host(), path: "/latest/api/token", headers })
    }

    /// What goes with every question.
    pub(super) fn headers(self, token: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        let token = token.cloned();
        match self {
            Self::Ec2 => token.map(|token| ("X-aws-ec2-metadata-token", token)).into_iter().collect(),
            Self::Alibaba => token.map(|token| ("X-aliyun-ecs-metadata-token", token)).into_iter().collect(),
            Self::OpenStack => Vec::new(),
            Self::Gce => vec![("Metadata-Flavor", Secret::of("Google"))],
        }
    }
}
