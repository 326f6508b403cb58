//! F02, F03: what is wrong in a source is named, with its place; the rest applies. What is no text at all harms nobody.

use anyhow::{Context, Result, ensure};
use qemu_vm::guest::Guest;
use qemu_vm::lab::Options;
use qemu_vm::metadata::{Cloud, Given, Service};
use qemu_vm::node::Node;
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::settings::{Said, exit, get};

use super::{eventually, hostname, secrets_are_kept, sysctl, user_data};

const SOURCE: &str = "credential ballast.settings";
const SECRET: &str = "s3cret-between-mistakes";

const USER_DATA: &str = r#"version = 1
hostnam = "typo"
hostname = "node-7"

[kernel.sysctl]
"net.core.somaxconn" = 1234
"kernel.core_pattern" = "|/bin/harm"

[[registry]]
host = "registry.example:5000"
username = "me"
password = "s3cret-between-mistakes"

[runtime]
pids_limit = "many"
this is no TOML
log_max_files = 3

[update]
auto = "yes"

[futuristic]
key = 1
"#;

/// Each mistake: what the key's name has in it, the text of its line, and what its reason has in it.
const MISTAKES: [(&str, &str, &str); 5] = [
    ("hostnam", "hostnam =", "did you mean hostname"),
    ("core_pattern", "\"kernel.core_pattern\"", ""),
    ("runtime.pids_limit", "pids_limit", "number"),
    ("update.auto", "auto =", "true"),
    ("futuristic", "[futuristic]", "no such key"),
];

/// The line, from 1, that begins so.
fn line(text: &str) -> Result<usize> {
    let found = USER_DATA.lines().position(|line| line.starts_with(text));
    Ok(found.with_context(|| format!("there is no {text:?}"))? + 1)
}

type Case = (&'static str, fn(&mut Node) -> Result<()>);

const CASES: [Case; 6] = [
    ("F03 each mistake is named with its place", named),
    ("F03 the rest applies", applies),
    ("F02 what is no text is refused", refused),
    ("F02 what an editor on Windows makes is right", bom_and_crlf),
    ("F02 a settings.toml that was damaged by hand", damaged),
    ("secrets are kept", |node| secrets_are_kept(&mut node.guest, SECRET)),
];

/// One boot with a credential that has every kind of mistake in it. It has a cloud's metadata service on the link, too, but its
/// firmware names no cloud: then nobody is asked.
#[test]
fn f02_f03_mistakes_are_named_and_the_rest_applies() {
    Scenario::run("f02_f03", |scenario| {
        let given = Given { hostname: Some("cloud".into()), user_data: Some("hostname = \"cloud\"".into()) };
        let service = Service::open(Cloud::Ec2, given, scenario.scratch())?;
        let credentials = vec![user_data(USER_DATA)?];
        let mut node =
            scenario.healthy(&Options { smp: 1, network: service.network(), credentials, ..Options::default() })?;
        let mut cases = Cases::default();
        for (name, case) in CASES {
            cases.note(name, case(&mut node));
        }
        cases.note("a machine that is of no cloud asks nobody", asks_nobody(&mut node.guest, &service));
        cases.end()?;
        node.power_off()
    });
}

fn named(node: &mut Node) -> Result<()> {
    let status = node.status()?;
    ensure!(status.ready, "mistakes make the node unready: {status:?}");
    let problems = &status.settings.problems;
    for (key, text, why) in MISTAKES {
        let problem = problems.iter().find(|one| one.key.as_deref().is_some_and(|name| name.contains(key)));
        let problem = problem.with_context(|| format!("{key} is not named: {problems:?}"))?;
        let place = format!("{SOURCE}:{}:", line(text)?);
        ensure!(problem.r#where.starts_with(&place), "{key} is in line {}, not at {}", line(text)?, problem.r#where);
        ensure!(problem.reason.contains(why), "the reason for {key} is {:?}", problem.reason);
        // The sentence for people has all of it.
        let reported = status.reasons.iter().any(|reason| reason.contains(&place) && reason.contains(key));
        ensure!(reported, "{key} is no reason: {:?}", status.reasons);
    }
    let place = format!("{SOURCE}:{}:", line("this is no TOML")?);
    ensure!(problems.iter().any(|one| one.r#where.starts_with(&place)), "{place} is not named: {problems:?}");
    let sources = &status.settings.sources;
    ensure!(sources.iter().any(|one| one.name == SOURCE && one.rank == "credential"), "the sources are {sources:?}");
    Ok(())
}

fn applies(node: &mut Node) -> Result<()> {
    ensure!(hostname(&mut node.guest)? == "node-7", "the name is {}", hostname(&mut node.guest)?);
    ensure!(node.status()?.node.hostname == "node-7", "the status has another name");
    eventually(&mut node.guest, "the sysctl holds", "cat /proc/sys/net/core/somaxconn", |text| text == "1234")?;
    ensure!(
        get(&mut node.guest, "runtime.log_max_files")? == "3",
        "what stands behind the line that is no TOML is lost"
    );
    // A slip never makes the node do more by itself.
    ensure!(
        get(&mut node.guest, "update.auto")? == "false",
        "auto = \"yes\" became {}",
        get(&mut node.guest, "update.auto")?
    );
    let pattern = sysctl(&mut node.guest, "kernel.core_pattern")?;
    ensure!(!pattern.contains("harm"), "the core pattern is {pattern}");
    Ok(())
}

/// Nothing of it comes into the node's own settings, and what is wrong is said.
fn refused(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let deep = format!("a = {}1{}\n", "[".repeat(200), "]".repeat(200));
    let documents: [(&str, &[u8], &str); 4] = [
        ("NULs", b"hostname = \"a\0b\"\n", ""),
        ("too deep", deep.as_bytes(), ""),
        ("a script", b"#!/bin/sh\nrm -rf /\n", "script"),
        ("not TOML", b"hostname = \n", ":1:"),
    ];
    for (what, document, why) in documents {
        Said::reading(guest, document, &["apply", "-"])?.ends(exit::REFUSED, &[why]).context(what)?;
    }
    // What is no text cannot even be asked for.
    let said = Said::reading(guest, b"hostname = \"\xff\xfe\"\n", &["apply", "-"])?;
    ensure!([exit::FAILED, exit::REFUSED].contains(&said.status), "no UTF-8 ended with {}", said.status);
    ensure!(said.warning.contains("UTF-8"), "what is wrong is not said: {}", said.warning);
    let script = "head -c 300000 /dev/zero | tr '\\0' '#' | ballast settings apply -";
    let output = guest.shell(script)?;
    ensure!(output.status == exit::REFUSED, "300 kB end with {}: {}", output.status, output.warning());
    ensure!(output.warning().contains("256"), "the limit is not said: {}", output.warning());
    ensure!(guest.shell("test -e /var/lib/ballast/settings.toml")?.status != 0, "what was refused was written");
    Ok(())
}

fn bom_and_crlf(node: &mut Node) -> Result<()> {
    let document = "\u{feff}[kernel.sysctl]\r\n\"net.core.somaxconn\" = 2345\r\n";
    Said::reading(&mut node.guest, document, &["apply", "-"])?.done()?;
    let now = sysctl(&mut node.guest, "net.core.somaxconn")?;
    ensure!(now == "2345", "the sysctl is {now}");
    let problems = node.status()?.settings.problems;
    ensure!(problems.iter().all(|one| one.r#where.starts_with(SOURCE)), "it is complained about: {problems:?}");
    Ok(())
}

/// Somebody, or something, wrote nonsense into the file: it is named, and what the other sources say holds.
fn damaged(node: &mut Node) -> Result<()> {
    node.guest.ask("head -c 5000 /dev/urandom >/var/lib/ballast/settings.toml")?;
    node.status_when("the damaged file is named", 60, |status| {
        status.ready && status.settings.problems.iter().any(|one| one.r#where.contains("settings.toml"))
    })?;
    ensure!(hostname(&mut node.guest)? == "node-7", "the name became {}", hostname(&mut node.guest)?);
    node.guest.ask("rm /var/lib/ballast/settings.toml")?;
    node.status_when("the damage is gone", 60, |status| {
        status.settings.problems.iter().all(|one| one.r#where.starts_with(SOURCE))
    })?;
    eventually(&mut node.guest, "the credential holds again", "cat /proc/sys/net/core/somaxconn", |text| text == "1234")
        .map(drop)
}

fn asks_nobody(guest: &mut Guest, service: &Service) -> Result<()> {
    eventually(guest, "the network is up", "ip -4 route show default", |text| !text.is_empty())?;
    ensure!(service.connections() == 0, "it was asked {:?}", service.asked_since(0));
    // It is not for want of a way: somebody who calls, if with another protocol, gets there.
    let call = "timeout 10 busctl --address=tcp:host=169.254.169.254,port=80 list";
    let said = guest.shell(call)?.warning();
    ensure!(service.connections() > 0, "the service cannot be reached, so this test says nothing: {said}");
    Ok(())
}
