//! What the administrator says in files: mirrors, credentials, where they lie. The policy has a folder of its own.
//!
//! An entry that cannot be used costs only itself: it is a [`Problem`], and images that need it say so. All else holds.

mod client_keys;
mod credentials;
pub(crate) mod files;
mod problem;
mod registries;

pub(crate) use self::client_keys::ClientKeys;
pub use self::{
    credentials::{Credentials, Keyring},
    problem::Problem,
    registries::{Location, Registries},
};
pub use crate::{content::reference::Named, policy::model::Policy};
