//! /run/ostree-booted: how libostree knows, under composefs, which deployment runs.
//!
//! Keys as in libostree 2026.4, src/libotcore/otcore.h (`OTCORE_RUN_BOOTED_KEY_*`), values as its ostree-prepare-root
//! writes them.

use crate::gvariant::{Value, dictionary};

/// What libostree has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    /// `st_dev` of the deployment's folder on ROOT, beneath all mounts.
    pub device: u64,
    /// `st_ino` of the same.
    pub inode: u64,
    /// Whether overlayfs refuses files without fs-verity.
    pub verity: bool,
    /// The folder that holds the upper layer of /etc.
    pub transient_etc: String,
}

/// The bytes of /run/ostree-booted.
pub fn render(booted: &Booted) -> Vec<u8> {
    dictionary(&[
        ("backing-root-device-inode", Value::U64Pair(booted.device, booted.inode)),
        ("root.transient", Value::Bool(false)),
        ("root.transient-ro", Value::Bool(false)),
        ("composefs", Value::Bool(true)),
        ("composefs.verity", Value::Bool(booted.verity)),
        ("sysroot-ro", Value::Bool(true)),
        ("transient-etc", Value::Str(booted.transient_etc.clone())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_bytes_as_glib() {
        let booted =
            Booted { device: 65026, inode: 77, verity: true, transient_etc: "/run/ostree/transient-etc".into() };
        let hex: String = render(&booted).iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = concat!(
            "6261636b696e672d726f6f742d6465766963652d696e6f64650000000000000002fe0000000000004d00000000000000",
            "00287474291a0000726f6f742e7472616e7369656e7400000000620f00000000726f6f742e7472616e7369656e742d72",
            "6f000000000000000000621200000000636f6d706f73656673000000000000000100620a00000000636f6d706f736566",
            "732e76657269747900000000000000000100621100000000737973726f6f742d726f0000000000000100620b00000000",
            "7472616e7369656e742d6574630000002f72756e2f6f73747265652f7472616e7369656e742d6574630000730e364c6c",
            "84a4bced"
        );
        assert_eq!(hex, expected);
    }
}
