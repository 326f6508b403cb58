//! `[api]`.

use toml_edit::Table;

use super::{put, put_list};
use crate::model::Api;

pub(super) fn api(api: &Api) -> Table {
    let mut table = Table::new();
    if let Some(listen) = &api.listen {
        put(&mut table, "listen", Some(listen.address));
        put(&mut table, "client_ca", Some(&listen.client_ca));
        put_list(&mut table, "revoked_serials", &listen.revoked_serials);
        let roles: Vec<&str> = listen.revoked_roles.iter().map(|role| role.name()).collect();
        put_list(&mut table, "revoked_roles", &roles);
    }
    table
}
