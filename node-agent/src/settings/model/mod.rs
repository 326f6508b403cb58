//! The settings themselves, as the crate has them, and what is known of where they are from.

mod command;
mod provisioning;
mod shown;
mod source;
mod trial;
mod written;

pub use ballast_settings::model::*;

pub(in crate::settings) use self::source::rank_name;
pub use self::{
    command::{Change, Command, Edit, Event, Failure, FailureKind, Outcome, Planned, Required},
    provisioning::{Probe, ProvisioningRecord, VolumeId},
    shown::{Shown, SourceShown, Sources, TrialShown, Warning, Whence},
    source::{Document, FILE, Read, SOURCES, SourceKind},
    trial::Trial,
    written::{PendingActions, Written, WrittenFile},
};
