//! Machines for black-box tests of Ballast: boots the real, unchanged image in QEMU and looks at it from outside.
//!
//! ```text
//!  Workspace (target/)   Tools (target/tools)     Accelerator (probed by use)
//!          └──────────────────┬──┴─────────────────────┘
//!                        Machine ──argv──> QEMU ──┬─ serial ──> Console   (watched, with deadlines)
//!   Disk (overlay|copy) ───┘                      ├─ QMP    ──> Qmp       (reset, quit)
//!   Credentials (SMBIOS) ──┘                      └─ virtio ──> Guest     (run commands)
//!                        Node = all of these + Evidence kept when something fails; Snapshot: booted once, restored by many
//!        the scenarios, the bench and the tool use Node; invariants hold after every healthy boot
//! ```
//! The way in is systemd credentials only: the image under test is the one that ships.

mod checksum;
pub mod cluster;
pub mod console;
pub mod containers;
pub mod cpio;
pub mod crash;
pub mod credentials;
pub mod deadline;
pub mod disk;
pub mod evidence;
pub mod fault_proxy;
pub mod fleet;
pub mod guest;
pub mod installed;
pub mod invariants;
pub mod lab;
pub mod memory;
pub mod metadata;
pub mod node;
pub mod qemu;
pub mod registry;
pub mod release;
pub mod release_server;
pub mod releases;
pub mod scenario;
pub mod settings;
pub mod snapshot;
pub mod status;
pub mod tools;
pub mod volume;
pub mod workspace;
