//! `[[registry]]`: where images and releases come from.

use crate::values::{Certificates, MirrorPlace, RegistryHost, Secret, Username};

/// `[[registry]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// `host`: as it stands in the names of images.
    pub host: RegistryHost,
    /// `mirrors`: asked before the registry itself, in this order.
    pub mirrors: Vec<Mirror>,
    /// How it is reached.
    pub access: Access,
}

/// One of `mirrors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// `host`: with a path, if the registry's repositories lie in one there.
    pub place: MirrorPlace,
    /// How it is reached. It never gets the registry's credentials.
    pub access: Access,
}

/// How a registry or mirror is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// `username` and `password`, or `token`.
    pub credentials: Option<Credentials>,
    /// `ca`: authorities that are believed there, beside those of `network.certificates`.
    pub ca: Option<Certificates>,
    /// `plain_http`: whether it is reached without TLS. Default false.
    pub plain_http: bool,
}

/// Who the node is at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `username` and `password`
    Password {
        /// `username`
        username: Username,
        /// `password`
        password: Secret,
    },
    /// `token`: an identity token (OAuth2), as `docker login` keeps it.
    Token(Secret),
}
