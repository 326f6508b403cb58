//! The settings themselves, as the crate has them, and what is known of where they are from.

mod account;
mod command;
mod shown;
mod source;
mod trial;

pub use ballast_settings::model::*;

pub(in crate::settings) use self::source::rank_name;
pub use self::{
    account::{Account, Look, VolumeId},
    command::{Change, Command, Edit, Event, Failure, FailureKind, Outcome, Planned, Required},
    shown::{Complaint, Shown, SourceShown, Sources, TrialShown, Whence},
    source::{Document, FILE, Giver, Read, SOURCES},
    trial::Trial,
};
