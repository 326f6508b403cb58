//! One file per outside system. Wire types stay private here; no client knows a domain.

pub mod cri;
pub mod host;
pub mod identity;
pub mod proc;
pub mod systemd;
pub mod watch;
