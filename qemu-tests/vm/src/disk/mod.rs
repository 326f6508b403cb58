//! Disks of the machines, and looking into them from the host without mounting anything.

pub mod entries;
pub mod esp;
pub mod gpt;
pub mod image;
pub mod root;

pub use image::{Bus, Disk};
