//! Which role a request needs.

use ballast_settings::{edit, model::ApiRole};

use crate::{
    power::model::Order,
    report::{
        exec::{Exec, Shell},
        logs::{LogsOf, Name},
        socket::Request,
    },
    settings::model::{Change, Command, Edit},
};

/// Keys by which an operator would become more than that: who may come in, what runs as root and where it comes from, who signs releases,
/// whom the node believes.
const ADMINS_KEYS: [&[&str]; 12] = [
    &["api"],
    &["cluster"],
    &["debug"],
    &["kubelet"],
    &["network", "certificates"],
    &["network", "proxy"],
    &["pods", "manifest"],
    &["registry"],
    &["update", "identity"],
    &["update", "keys"],
    &["update", "keys_threshold"],
    &["update", "signatures"],
];

/// The role that `request` needs.
pub(super) fn needed(request: &Request) -> ApiRole {
    match request {
        Request::Status {}
        | Request::Releases {}
        | Request::Metrics {}
        | Request::Images {}
        | Request::Doctor {}
        | Request::Inspect { .. } => ApiRole::Reader,
        // Manifests are in them, with whatever their authors wrote there.
        Request::Settings {} => ApiRole::Operator,
        // What pods write is their owners' business.
        Request::Logs(wanted) => match wanted.of {
            LogsOf::Pod { .. } => ApiRole::Operator,
            LogsOf::Journal | LogsOf::Kernel | LogsOf::Unit(_) | LogsOf::Events => ApiRole::Reader,
        },
        Request::Run { .. } | Request::Power(_) | Request::Image { .. } => ApiRole::Operator,
        // Who runs commands in any container is root on the node. What pods said is in the bundle.
        Request::Document {}
        | Request::Exec(_)
        | Request::Shell(_)
        | Request::SupportBundle {}
        | Request::Reset { .. } => ApiRole::Admin,
        Request::Change { operation } => change(operation),
    }
}

fn change(command: &Command) -> ApiRole {
    match command {
        Command::Confirm => ApiRole::Operator,
        // What it finds may say anything.
        Command::Refetch => ApiRole::Admin,
        Command::Change(Change { edit: Edit::Document { .. }, .. }) => ApiRole::Admin,
        Command::Change(Change { edit: Edit::Set { key, .. } | Edit::Unset { key }, .. }) => match edit::path(key) {
            Ok(path) if !ADMINS_KEYS.iter().any(|one| overlap(one, &path)) => ApiRole::Operator,
            Ok(_) | Err(_) => ApiRole::Admin,
        },
    }
}

/// Whether one is the other, or a table that it is in.
fn overlap(one: &[&str], other: &[String]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// What is asked for, for the journal: without values, which may be secrets.
pub(super) fn describe(request: &Request) -> String {
    match request {
        Request::Status {} => "status".to_owned(),
        Request::Releases {} => "releases".to_owned(),
        Request::Settings {} => "settings".to_owned(),
        Request::Document {} => "the settings' document".to_owned(),
        Request::Metrics {} => "metrics".to_owned(),
        Request::Images {} => "images".to_owned(),
        Request::Doctor {} => "doctor".to_owned(),
        Request::Logs(wanted) => format!("logs: {:?}", wanted.of),
        Request::Image { operation } => format!("images: {operation:?}"),
        Request::Reset { operation } => format!("reset: {operation:?}"),
        Request::Inspect { subject } => format!("{subject:?}").to_lowercase(),
        Request::SupportBundle {} => "support bundle".to_owned(),
        // Arguments may be secrets.
        Request::Exec(Exec { namespace, pod, container, command, .. }) => {
            let part = |name: &Option<Name>| name.as_ref().map_or("-".to_owned(), ToString::to_string);
            let program = command.first().map_or("", String::as_str);
            format!("exec in {}/{pod}/{}: {program:?}", part(namespace), part(container))
        }
        Request::Power(order) => describe_power(order),
        Request::Shell(Shell { image, secs, command, .. }) => {
            let program = command.first().map_or("", String::as_str);
            format!("shell in {} for {secs} s: {program:?}", image.as_deref().unwrap_or("the usual toolbox"))
        }
        Request::Run { operation } => format!("{operation:?}"),
        Request::Change { operation } => format!("settings: {operation:?}"),
    }
}

fn describe_power(order: &Order) -> String {
    let Order { action, force, drain, drain_timeout_secs: _, in_secs } = order;
    let later = in_secs.map(|secs| format!(" in {secs} s")).unwrap_or_default();
    let (force, drain) = (if *force { ", by force" } else { "" }, if *drain { ", drained first" } else { "" });
    format!("power: {}{later}{drain}{force}", action.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::{exec::wanted, logs},
        update::model,
    };

    fn set(key: &str) -> Request {
        let edit = Edit::Set { key: key.to_owned(), value: "s3cret".to_owned() };
        Request::Change { operation: Command::Change(Change { edit, dry_run: false, try_secs: None }) }
    }

    fn unset(key: &str) -> Request {
        let edit = Edit::Unset { key: key.to_owned() };
        Request::Change { operation: Command::Change(Change { edit, dry_run: false, try_secs: None }) }
    }

    #[test]
    fn an_operator_cannot_make_himself_an_admin() {
        for key in [
            "api.client_ca",
            "\"api\".revoked_serials",
            "'api' . listen",
            "api",
            "pods.manifest.\"x\".content",
            "pods",
            "update.keys",
            "update",
            "cluster.prod.token",
            "kubelet.config",
            "kubelet",
            "debug.shell",
            "registry.\"r.example\".plain_http",
            "network.certificates",
            "network",
            "not a key",
            "",
        ] {
            assert_eq!((needed(&set(key)), needed(&unset(key))), (ApiRole::Admin, ApiRole::Admin), "{key}");
        }
        for key in ["hostname", "update.auto", "pods.metadata_service", "network.dns", "apis"] {
            assert_eq!(needed(&set(key)), ApiRole::Operator, "{key}");
        }
        let edit = Edit::Document { text: String::new(), instead_of: None };
        let whole = Command::Change(Change { edit, dry_run: true, try_secs: None });
        assert_eq!(needed(&Request::Change { operation: whole }), ApiRole::Admin);
    }

    #[test]
    fn who_only_looks_is_a_reader() {
        assert_eq!(needed(&Request::Status {}), ApiRole::Reader);
        assert_eq!(needed(&Request::Run { operation: model::Command::Collect }), ApiRole::Operator);
        assert_eq!(needed(&Request::Document {}), ApiRole::Admin);
        assert_eq!(needed(&Request::Exec(wanted::of_query("pod=a&command=b").unwrap())), ApiRole::Admin);
        for (query, role) in [("", ApiRole::Reader), ("unit=a", ApiRole::Reader), ("pod=a/b", ApiRole::Operator)] {
            assert_eq!(needed(&Request::Logs(logs::of_query(query).unwrap())), role, "{query}");
        }
    }

    #[test]
    fn the_journal_has_keys_and_no_values() {
        let message = describe(&set("registry.\"r.example\".password"));
        assert!(message.contains("r.example") && !message.contains("s3cret"), "{message}");
        let exec = wanted::of_query("pod=web&command=mysql&command=-ps3cret").unwrap();
        assert_eq!(describe(&Request::Exec(exec)), "exec in -/web/-: \"mysql\"");
    }
}
