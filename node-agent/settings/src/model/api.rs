//! `[api]`: who may reach the node from elsewhere.

use std::net::SocketAddr;

use crate::values::{CertificateSerial, Certificates};

/// `[api]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Api {
    /// Where the API listens, and for whom. None is nowhere.
    pub listen: Option<ApiListen>,
}

/// Where the API listens, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiListen {
    /// `listen`
    pub address: SocketAddr,
    /// `client_ca`: the authorities that clients' certificates have to come from.
    pub client_ca: Certificates,
    /// `revoked_serials`: certificates that are refused.
    pub revoked_serials: Vec<CertificateSerial>,
    /// `revoked_roles`: roles that nobody has any more.
    pub revoked_roles: Vec<ApiRole>,
}

/// What a client may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiRole {
    /// `"reader"`: look at the node.
    Reader,
    /// `"operator"`: upgrade, change settings, reboot.
    Operator,
    /// `"admin"`: everything.
    Admin,
}

impl ApiRole {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Operator, Self::Admin];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The organisation in a certificate that says it.
    pub const fn organisation(self) -> &'static str {
        match self {
            Self::Reader => "ballast:reader",
            Self::Operator => "ballast:operator",
            Self::Admin => "ballast:admin",
        }
    }
}
