//! spec.containers\[\].resources.

use super::{quantity, reader::Fields, volume::amount};
use crate::pods::model::Resources;

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
    let (cpu_limit_milli, memory_limit_bytes, disk_limit_bytes) = amounts(fields.fields("limits"));
    let (cpu_request_milli, memory_request_bytes, disk_request_bytes) = amounts(fields.fields("requests"));
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
