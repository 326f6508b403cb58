//! The way into a running guest: commands over virtio-serial ports, served by a unit that comes as a credential.

mod channel;
mod output;
mod stream;
mod units;

pub use channel::Guest;
pub use output::{Output, quote};
pub use units::{AGENT, console_shell, equip};
