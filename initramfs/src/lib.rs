//! What stands between the kernel and systemd: find the root by identity, verify it, mount it, move in.
//!
//! ```text
//! cmdline, efi ─> Request ─┐
//! drivers ──────> devices ──┴─> root ─> deployment ─> composefs ─> ahead ─> etc, var ─> ostree ─> switch root ─> systemd
//!    (modules, uevent)   (partition, gpt)        (fsverity)  (check, ext4, identity)   (booted, gvariant)
//! ```
//!
//! Parsers and choices are pure and table-tested beside their code (`cmdline`, `modules`, `glob`, `uevent`, `partition`, `gpt`, `ext4`,
//! `deployment`, `gvariant`, `booted`, `report`); the other files make the system calls that those decided.

pub mod ahead;
pub mod booted;
pub mod check;
pub mod clock;
pub mod cmdline;
pub mod composefs;
pub mod deployment;
pub mod drivers;
pub mod efi;
pub mod ext4;
pub mod failure;
pub mod filling;
pub mod glob;
pub mod gpt;
pub mod gvariant;
pub mod identity;
pub mod loopback;
pub mod modules;
pub mod mounts;
pub mod ostree;
pub mod partition;
pub mod report;
pub mod reset;
pub mod root;
pub mod sealing;
pub mod switch;
pub mod uevent;
pub mod var;
