//! The smaller tables.

use std::ops::RangeInclusive;

use super::reader::Reader;
use crate::{
    model::{Log, LogLevel, Manifest, OciRuntime, Pods, Runtime, Time},
    values::{ManifestName, Size, Text},
};

/// Less than a page of lines is no log; more than this fills the disk before the second file is begun.
const LOG_SIZES: RangeInclusive<Size> = Size::from_bytes(64 << 10)..=Size::from_mib(10 << 10);

/// The one that is written, and at least one before it (the kubelet's rule).
const LOG_FILES: RangeInclusive<u32> = 2..=100;

/// A container and its pause process need a few; 4194304 is the kernel's own limit on 64 bits.
const PIDS: RangeInclusive<u32> = 16..=4_194_304;

/// journald wants 8 MiB for one file; beyond 64 GiB somebody mistook the unit.
const JOURNAL_SIZES: RangeInclusive<Size> = Size::from_mib(8)..=Size::from_mib(64 << 10);

pub(super) fn time(table: &mut Reader<'_>) -> Time {
    Time { servers: table.list("servers").or(Vec::new()), zone: table.get("zone").given() }
}

pub(super) fn runtime(table: &mut Reader<'_>) -> Runtime {
    let known = Runtime::default();
    Runtime {
        log_max_size: table.size("log_max_size", LOG_SIZES).or(known.log_max_size),
        log_max_files: table.number("log_max_files", LOG_FILES).or(known.log_max_files),
        default: table
            .choice("default", &[OciRuntime::Runc, OciRuntime::Crun].map(|runtime| (runtime.name(), runtime)))
            .or(known.default),
        pids_limit: table.number("pids_limit", PIDS).given(),
    }
}

pub(super) fn pods(table: &mut Reader<'_>) -> Pods {
    let manifests = table.keyed_tables(
        "manifest",
        |table| table.text("name").and_then(|name| ManifestName::parse(name).ok()).map(|name| name.to_string()),
        |table| {
            let name = table.need("name");
            let content = table.need::<Content>("content");
            Some(Manifest { name: name?, content: content?.0 })
        },
    );
    Pods { metadata_service: table.switch("metadata_service").or(false), manifests }
}

/// A manifest, which the agent looks into.
#[derive(PartialEq)]
struct Content(String);

impl Text for Content {
    const EXPECTED: &'static str = "a v1 Pod in YAML or JSON";

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(Self(text.to_owned())) }
    }
}

pub(super) fn log(table: &mut Reader<'_>) -> Log {
    Log {
        level: table.choice("level", &LogLevel::ALL.map(|level| (level.name(), level))).or(LogLevel::default()),
        journal_max_size: table.size("journal_max_size", JOURNAL_SIZES).given(),
    }
}
