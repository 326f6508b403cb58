//! QEMU itself: which one, how fast, its arguments, its process, its control socket, and a machine's state in a file.

pub mod accel;
mod arguments;
pub mod binary;
pub mod firmware;
pub mod machine;
pub mod migration;
pub mod network;
mod probe;
pub mod process;
pub mod qmp;
