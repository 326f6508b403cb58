//! The scenarios: one program, so that two machines are always busy. `make image` first; see ../../README.md.

mod hardware;
mod install;
mod integrity;
mod kernel;
mod node;
mod pods;
mod preloaded;
mod rollback;
mod services;
