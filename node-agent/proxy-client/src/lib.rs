//! The image proxy as who starts it sees it: its command line, and what it reports beside its protocol, which has only words for failures.

mod report;
mod start;

pub use self::{
    report::{Reception, Report, Reports},
    start::{CREDENTIALS, Options, PROGRAM, check},
};
