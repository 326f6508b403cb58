//! spec.containers\[\].resources.

use super::{quantity, reader::Fields, volume::amount};
use crate::pods::model::Resources;

/// The list may be there and empty, as programs write it.
pub(super) fn resources(mut fields: Fields<'_>) -> Resources {
    let amounts = |fields: Option<Fields<'_>>| {
        let Some(mut fields) = fields else { return (None, None, None) };
        let amounts = (
            amount(&mut fields, "cpu", quantity::milli_cpu),
            amount(&mut fields, "memory", quantity::bytes),
            amount(&mut fields, "ephemeral-storage", quantity::bytes),
        );
        fields.finish();
        amounts
    };
    let line = fields.line();
    let (cpu_limit_milli, memory_limit_bytes, disk_limit_bytes) = amounts(fields.fields("limits"));
    let (cpu_request_milli, memory_request_bytes, disk_request_bytes) = amounts(fields.fields("requests"));
    for (name, request, limit) in [
        ("cpu", cpu_request_milli, cpu_limit_milli),
        ("memory", memory_request_bytes, memory_limit_bytes),
        ("ephemeral-storage", disk_request_bytes, disk_limit_bytes),
    ] {
        if request.zip(limit).is_some_and(|(request, limit)| request > limit) {
            fields.refuse_at(line, &format!("requests.{name}"), "is more than its limit");
        }
    }
    fields.finish();
    Resources {
        cpu_limit_milli,
        cpu_request_milli,
        memory_limit_bytes,
        memory_request_bytes,
        disk_limit_bytes,
        disk_request_bytes,
    }
}
