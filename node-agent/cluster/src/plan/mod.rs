//! What to report and to do: functions of facts, settings, what was observed, and the time. Pure.

pub mod bound;
pub mod conditions;
pub mod cordon;
pub mod desired_state;
pub mod drain;
pub mod event;
pub mod label;
pub mod lease;
pub mod node;
pub mod rollout;
pub mod rotation;
pub mod slots;
pub mod status;
