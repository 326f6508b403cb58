//! One file per outside system. Wire types stay private here; no client knows a domain.

pub mod archive;
mod blocking;
pub mod cgroup;
pub mod clock;
pub mod cri;
pub mod damage;
pub mod disk;
pub mod dmi;
pub mod efi;
pub mod esp;
pub mod exec;
pub mod ext4;
pub mod gpt;
pub mod host;
pub mod identity;
pub mod initramfs;
pub mod journal;
pub mod metadata;
pub mod network;
pub mod networkd;
pub mod pod_logs;
pub mod proc;
pub mod resolved;
pub mod resources;
pub mod space;
#[expect(clippy::disallowed_methods, reason = "what waits for the disk is here; it is called through Host::change")]
pub mod store;
pub mod systemd;
pub mod volume;
pub mod watch;
pub mod worker;
