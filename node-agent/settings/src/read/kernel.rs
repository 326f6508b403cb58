//! The table `[kernel]`.

use super::reader::Reader;
use crate::{
    model::Kernel,
    tree::Value,
    values::{SysctlValue, Text},
};

pub(super) fn kernel(table: &mut Reader<'_>) -> Kernel {
    Kernel {
        arguments: table.list("arguments").or(Vec::new()),
        sysctl: table.map("sysctl", SysctlValue::EXPECTED, |value| match value {
            Value::Text(text) => SysctlValue::parse(text),
            Value::Integer(number) => SysctlValue::parse(&number.to_string()),
            other => Err(format!("is {}", other.kind())),
        }),
    }
}
