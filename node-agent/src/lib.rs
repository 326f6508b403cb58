//! Ballast's node agent and command line.
//!
//! ```text
//!  pod files ──> desired ──> plan (pure) ──> act ──> host
//!                               ▲                      │
//!                            observed <── observe <────┘        report: READY line, systemd, socket, metrics
//! ```
//!
//! One loop, left to right ([`agent`]), then it waits for the next event. The domains ([`runtime`], [`pods`], [`update`],
//! [`health`], [`storage`], [`cluster`], [`kubelet`], [`power`]) have equal rooms (`model`, `observe`, `plan`, `act`, as far as they need them) and none
//! knows another; all may know [`settings`], which say what the operator wants. `model` and `plan` are pure: no I/O, no
//! clock, no async. Outside systems are spoken to in [`clients`], which know no domain. Only [`report`] publishes.
//! `tests/arrows.rs` holds all of this.

pub mod agent;
pub mod cli;
pub mod clients;
pub mod cluster;
pub mod health;
pub mod kubelet;
pub mod pods;
pub mod power;
pub mod report;
pub mod runtime;
pub mod settings;
pub mod storage;
pub mod update;
