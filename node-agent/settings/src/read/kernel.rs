//! The table `[kernel]`.

use super::reader::Reader;
use crate::{
    model::Kernel,
    values::{SysctlValue, Text},
};

pub(super) fn kernel(table: &mut Reader<'_>) -> Kernel {
    Kernel {
        arguments: table.list("arguments").or(Vec::new()),
        sysctl: table.map("sysctl", SysctlValue::EXPECTED, |value| {
            let number = value.as_integer().map(|number| number.to_string());
            SysctlValue::parse(number.as_deref().or(value.as_text()).ok_or_else(|| value.is_kind())?)
        }),
    }
}
