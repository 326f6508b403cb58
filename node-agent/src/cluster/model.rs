//! What travels between the machine and its memberships: the crate's own types.

pub use ballast_cluster::model::{
    ApiFacts, Authority, Boot, Capacity, Config, Credentials, DEFAULT_POOL, Facts, Failed, FailedRelease, Hosted,
    Operation, Order, Os, Prepared, Readings, Release, Report, Role, Secret, State,
};

/// An order, and the cluster that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The cluster's name.
    pub cluster: String,
    /// What it asks for.
    pub order: Order,
}

/// What became of the orders of one membership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// The last that was carried out.
    pub prepared: Option<Prepared>,
    /// The last that failed.
    pub failure: Option<Failed>,
}

/// What to do about a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// End it.
    End {
        /// The cluster's name.
        name: String,
    },
    /// Begin it.
    Begin {
        /// What the settings say of it.
        config: Box<Config>,
    },
}
