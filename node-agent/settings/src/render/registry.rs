//! What containerd and the upgrade path have in common about registries.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::model::{Access, Credentials};

/// The registry whose server has another name than its images.
pub(super) const DOCKER: &str = "docker.io";
pub(super) const DOCKER_SERVER: &str = "registry-1.docker.io";

/// `USER:PASSWORD` in base64, as HTTP and auth.json have it.
pub(super) fn basic(access: &Access) -> Option<String> {
    match &access.credentials {
        Some(Credentials::Password { username, password }) => {
            Some(STANDARD.encode(format!("{username}:{}", password.reveal())))
        }
        Some(Credentials::Token(_)) | None => None,
    }
}

/// An identity token.
pub(super) fn token(access: &Access) -> Option<&str> {
    match &access.credentials {
        Some(Credentials::Token(token)) => Some(token.reveal()),
        Some(Credentials::Password { .. }) | None => None,
    }
}
