//! The scenarios: one program, so that two machines are always busy. `make image` first; see docs/testing.md.

mod cluster;
mod crash;
mod fallback;
mod hardware;
mod install;
mod integrity;
mod kernel;
mod killed;
mod manifests;
mod network;
mod node;
mod pods;
mod preloaded;
mod rollback;
mod services;
mod settings;
#[cfg(feature = "soak")]
mod soak;
mod trust;
mod upgrade;
