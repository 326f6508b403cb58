//! What the administrator says in files: mirrors, credentials, where they lie. The policy has a folder of its own.
//!
//! An entry that cannot be used costs only itself: it is a [`Problem`], and images that need it say so. All else holds.

mod credentials;
pub(crate) mod files;
mod problem;
mod registries;

pub use self::{
    credentials::{Credentials, Keyring},
    problem::Problem,
    registries::{Location, Registries},
};
pub use crate::{content::reference::Named, policy::model::Policy};
