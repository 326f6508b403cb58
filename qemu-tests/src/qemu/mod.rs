//! QEMU itself: which one, how fast, its arguments, its process, its control socket.

pub mod accel;
pub mod binary;
pub mod firmware;
pub mod machine;
pub mod network;
pub mod process;
pub mod qmp;
