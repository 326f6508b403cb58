//! What a node is called: by whom, and for how long.

use std::time::{Duration, SystemTime};

use ballast_cluster::model::{Boot, Config, Credentials, Facts, State};

use crate::{
    machine::{CSRS, Machine, config, facts},
    server::Api,
};

/// A machine to which nobody gave a name (yet).
fn unnamed() -> Facts {
    Facts { hostname: "ballast".to_owned(), machine_id: "0123456789abcdef0123456789abcdef".to_owned(), ..facts() }
}

async fn connected_as(machine: &mut Machine, name: &str) {
    machine.until("connected", |report| report.state == State::Connected).await;
    assert_eq!(machine.report.borrow().node.as_deref(), Some(name));
}

fn kept(api: &Api) -> Config {
    Config { credentials: Credentials::Kept, ..config(api) }
}

#[tokio::test]
async fn a_name_that_many_machines_have_is_made_unique() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    // No DHCP server names it any more.
    let boot = Boot { started_at: Some(SystemTime::now() - Duration::from_secs(61)), ..Boot::default() };
    let mut machine = Machine::start(config(&api), folder.path(), Facts { boot, ..unnamed() });
    connected_as(&mut machine, "ballast-0123456789ab").await;
    api.until("registered", |api| api.object("/api/v1/nodes/ballast-0123456789ab").is_some()).await;
    assert!(api.object("/api/v1/nodes/ballast").is_none());
}

/// The network starts after READY, so the name that DHCP gives comes seconds after the first facts.
#[tokio::test]
async fn the_name_that_dhcp_gives_is_waited_for_and_kept() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let mut machine = Machine::start(config(&api), folder.path(), unnamed());
    machine.until("has its clock", |report| report.state == State::Joining).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(api.count(""), 0);
    machine.change(|facts| facts.hostname = "Host1".to_owned());
    connected_as(&mut machine, "host1").await;
    drop(machine);
    // The agent starts again, once with the name, once before it; with the token, and when that is gone.
    for config in [config(&api), kept(&api)] {
        for hostname in ["ballast", "host1", "host2"] {
            let facts = Facts { hostname: hostname.to_owned(), ..unnamed() };
            connected_as(&mut Machine::start(config.clone(), folder.path(), facts), "host1").await;
        }
    }
    assert_eq!(api.count(&format!("POST {CSRS}")), 1);
}

#[tokio::test]
async fn a_name_in_the_settings_takes_a_token_to_count() {
    let (api, folder) = (Api::start(&[b"h2"]).await, tempfile::tempdir().unwrap());
    let named = |name: &str| Facts { hostname: name.to_owned(), hostname_is_set: true, ..facts() };
    // An agent of before joined by the name of all.
    let before = Config { node_name: Some("ballast".to_owned()), ..config(&api) };
    connected_as(&mut Machine::start(before, folder.path(), unnamed()), "ballast").await;
    connected_as(&mut Machine::start(config(&api), folder.path(), unnamed()), "ballast").await;
    connected_as(&mut Machine::start(kept(&api), folder.path(), named("host1")), "ballast").await;
    connected_as(&mut Machine::start(config(&api), folder.path(), named("host1")), "host1").await;
    let config = Config { node_name: Some("host2".to_owned()), ..config(&api) };
    connected_as(&mut Machine::start(config, folder.path(), unnamed()), "host2").await;
    assert_eq!(api.count(&format!("POST {CSRS}")), 3);
}
