//! Vendor-data: user-data that the platform writes. OpenStack wraps it in JSON (docs.openstack.org/nova, "Vendordata"; cloud-init,
//! `convert_vendordata`).

use std::borrow::Cow;

use serde_json::Value;

/// The key that is meant for cloud-init.
const KEY: &str = "cloud-init";

/// What a vendor-data says, out of its JSON if it is some; empty if there is nothing for cloud-init in it.
///
/// # Errors
/// If it is JSON of another form.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let trimmed = bytes.trim_ascii();
    if !matches!(trimmed.first(), Some(b'{' | b'"' | b'[')) {
        return Ok(Cow::Borrowed(bytes));
    }
    let refused = |what: &str| format!("{what}; nothing in it applies");
    let mut value: Value =
        serde_json::from_slice(trimmed).map_err(|error| refused(&format!("it is no JSON: {error}")))?;
    if let Some(all) = value.as_object_mut() {
        value = all.remove(KEY).unwrap_or_default();
    }
    match value {
        Value::Null => Ok(Cow::Borrowed(&[])),
        Value::String(text) => Ok(Cow::Owned(text.into_bytes())),
        Value::Array(all) if all.is_empty() => Ok(Cow::Borrowed(&[])),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(refused(&format!("its {KEY} is no text")))
        }
    }
}
