//! The table `[api]`. It decides who may come in: where anything in it does not fit, nobody may.

use super::reader::{Found, Reader};
use crate::{
    model::{Api, ApiListen, ApiRole},
    tree::{Item, Value},
    values::{CertificateSerial, Text},
};

pub(super) fn api(table: &mut Reader<'_>) -> Api {
    table.be_cautious();
    let address = table.get("listen");
    let client_ca = table.get("client_ca");
    let serials = whole_list(
        table,
        "revoked_serials",
        &format!("a list, each {}", CertificateSerial::EXPECTED),
        CertificateSerial::parse,
    );
    let roles = whole_list(table, "revoked_roles", "a list of \"reader\", \"operator\" and \"admin\"", role);
    match (address, client_ca, serials, roles) {
        (Found::Given(address), Found::Given(client_ca), Some(revoked_serials), Some(revoked_roles)) => {
            Api { listen: Some(ApiListen { address, client_ca, revoked_serials, revoked_roles }) }
        }
        (Found::Given(_), Found::Absent, _, _) => {
            table.refuse_keys(
                &["listen"],
                "is not listened on: nothing says whose certificates are let in",
                "client_ca",
            );
            Api::default()
        }
        (_, _, _, _) => Api::default(),
    }
}

fn role(text: &str) -> Result<ApiRole, String> {
    ApiRole::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| format!("{text:?} is not a role"))
}

/// All values of the list `key`; None if one of them does not fit. A revocation that does not apply must not be left out in silence.
fn whole_list<T>(
    table: &mut Reader<'_>,
    key: &'static str,
    expected: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let text = |value: &Value| parse(value.as_text().ok_or_else(|| value.kind_clause())?);
    let found = table.value(key, expected, |value| match value.as_list() {
        Some(items) => items.iter().map(|item: &Item| text(&item.value)).collect(),
        None => text(value).map(|one| vec![one]),
    });
    match found {
        Found::Absent => Some(Vec::new()),
        Found::Given(list) => Some(list),
        Found::Refused => None,
    }
}
