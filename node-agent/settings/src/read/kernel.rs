//! The table `[kernel]`.

use super::reader::Reader;
use crate::{
    model::Kernel,
    values::{SysctlKey, SysctlValue, Text},
};

pub(super) fn kernel(table: &mut Reader<'_>) -> Kernel {
    Kernel {
        arguments: table.list("arguments").or(Vec::new()),
        sysctl: table.map("sysctl", SysctlKey::expected, |key, value| {
            let number = value.as_integer().map(|number| number.to_string());
            let value = SysctlValue::parse(number.as_deref().or(value.as_text()).ok_or_else(|| value.kind_clause())?)?;
            key.check(&value).map(|()| value)
        }),
    }
}
