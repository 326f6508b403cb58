//! What the agent reports: the READY line on the console, systemd, the status socket, and metrics. Only this publishes, and it
//! never feeds back into what the agent does.

pub mod answer;
pub mod api;
pub mod boot;
pub mod bundle;
pub mod compose;
mod connections;
pub mod console;
pub mod doctor;
pub mod exec;
pub mod images;
pub mod inspect;
pub mod logs;
pub mod metrics;
pub mod notify;
pub mod ready_line;
pub mod reset;
pub mod socket;
pub mod status;
pub mod terminal;
pub mod warnings;

pub use ballast_types::releases;
