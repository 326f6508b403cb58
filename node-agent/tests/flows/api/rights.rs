//! Who may what, and who is refused.

use std::{fs, path::Path, process::Stdio, time::Duration};

use ballast::settings::model::FILE;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    super::{Running, upgrades},
    SOON,
    client::{self, Certificate, authority, exchange, handshake},
    pair, program,
};

#[tokio::test]
async fn each_role_is_refused_what_is_not_its_own() {
    let (workstation, running, address) = pair(upgrades::prepare).await;
    let table: [(&[&str], [bool; 3]); 9] = [
        (&["status"], [true, true, true]),
        (&["settings", "show"], [false, true, true]),
        (&["images"], [true, true, true]),
        (&["pin", "20261121.1"], [false, true, true]),
        (&["settings", "set", "update.auto", "false"], [false, true, true]),
        (&["settings", "set", "api.revoked_serials", "1"], [false, false, true]),
        (&["settings", "unset", "api.revoked_serials"], [false, false, true]),
        (&["settings", "apply", "FILE", "--dry-run"], [false, false, true]),
        (&["settings", "edit"], [false, false, true]),
    ];
    let file = workstation.path("settings.toml");
    fs::write(&file, running.node.read(FILE)).unwrap();
    for (command, allowed) in table {
        for (role, is_allowed) in ["reader", "operator", "admin"].into_iter().zip(allowed) {
            workstation.is(&format!("an-{role}"));
            let command: Vec<&str> =
                command.iter().map(|word| if *word == "FILE" { file.to_str().unwrap() } else { word }).collect();
            let mut asked = workstation.command(&[&["--node", &address][..], &command].concat());
            // An editor that changes nothing.
            let output = asked.env("EDITOR", "true").output().await.unwrap();
            let message = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), is_allowed, "{role} {command:?}: {message}");
            assert!(is_allowed || message.contains("needs the role"), "{role} {command:?}: {message}");
        }
    }
}

#[tokio::test]
async fn who_has_no_right_certificate_is_refused() {
    let (workstation, running, address) = pair(|_| {}).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let stranger = authority(Path::new("/nowhere"));
    let certificate = |name: &str, organisation: &str, from: i32, until: i32, signed_by: &client::Authority| {
        Certificate::new(name, organisation, (from, until), signed_by)
    };
    let good = certificate("good", "ballast:reader", 2020, 2100, &known);
    assert!(exchange(&address, Some(&good), "GET", "/v1/status", "").await.unwrap().starts_with("HTTP/1.1 200 "));
    for (what, certificate) in [
        ("none", None),
        ("expired", Some(certificate("a", "ballast:admin", 2020, 2021, &known))),
        ("of the future", Some(certificate("a", "ballast:admin", 2099, 2100, &known))),
        ("of a foreign authority", Some(certificate("a", "ballast:admin", 2020, 2100, &stranger))),
        ("for servers", Some(Certificate::for_servers("a", "ballast:admin", &known))),
        ("signed by itself", Some(Certificate::by_itself("a", "ballast:admin"))),
    ] {
        let answer = exchange(&address, certificate.as_ref(), "GET", "/v1/status", "").await;
        assert!(answer.is_none(), "{what}: {answer:?}");
    }
    for (what, organisation) in [("no role", "none"), ("nearly a role", "ballast:admins")] {
        let one = certificate("a", organisation, 2020, 2100, &known);
        let answer = exchange(&address, Some(&one), "GET", "/v1/status", "").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("names no role"), "{what}: {answer}");
    }
    // TLS 1.2 is not spoken, plain HTTP is not answered.
    assert!(handshake(&address, Some(&good), false).await.is_some());
    assert!(handshake(&address, Some(&good), true).await.is_none());
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{answer:?}");
    drop(running);
}

#[tokio::test]
async fn what_is_revoked_is_so_at_once_and_for_running_streams() {
    let script = "#!/bin/sh\necho one\nexec sleep 600\n";
    let (workstation, running, address) = pair(|node| program(node, "/usr/bin/journalctl", script)).await;
    let Running { node, .. } = &running;
    workstation.is("an-operator");
    let mut follows = workstation.command(&["--node", &address, "logs", "-f"]);
    let mut follows = follows.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    assert_eq!(timeout(SOON, lines.next_line()).await.unwrap().unwrap().as_deref(), Some("one"));

    let settings = node.read(FILE);
    let revoke = format!("{settings}revoked_serials = [\"{}\"]\n", workstation.serial("an-operator"));
    node.write(FILE, &revoke);
    let ended = timeout(SOON, follows.wait()).await.expect("the stream goes on").unwrap();
    assert_eq!(ended.code(), Some(1));
    let (code, message) = workstation.fails(&["--node", &address, "status"]).await;
    assert!(code == 1 && message.contains("is revoked (api.revoked_serials)"), "{message}");
    workstation.is("an-admin");
    workstation.succeeds(&["--node", &address, "status"]).await;

    node.write(FILE, &format!("{settings}revoked_roles = [\"admin\"]\n"));
    let mut message = String::new();
    for _ in 0..100 {
        message = workstation.fails(&["--node", &address, "status"]).await.1;
        if message.contains("the role admin is revoked") {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(message.contains("the role admin is revoked (api.revoked_roles)"), "{message}");
    // A slip closes it for everybody.
    node.write(FILE, &format!("{settings}revoked_roles = [\"admins\"]\n"));
    node.wait_for("it to close", |status| status.api.is_none()).await;
    assert!(TcpStream::connect(&address).await.is_err());
    // And nothing listens without it.
    node.write(FILE, "");
    node.wait_for("settings without it", |status| status.settings.problems.is_empty()).await;
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn a_stream_ends_with_the_certificate_that_began_it() {
    let script = "#!/bin/sh\necho one\nexec sleep 600\n";
    let (workstation, running, address) = pair(|node| program(node, "/usr/bin/journalctl", script)).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let brief = Certificate::for_seconds("brief", "ballast:reader", 5, &known);
    let mut stream = handshake(&address, Some(&brief), false).await.unwrap();
    stream.write_all(b"GET /v1/logs?follow=true HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut message = Vec::new();
    // It is no end of the answer, only of the connection.
    let _ = timeout(SOON, stream.read_to_end(&mut message)).await.expect("the stream goes on");
    let message = String::from_utf8_lossy(&message);
    assert!(message.starts_with("HTTP/1.1 200 ") && message.contains("{\"line\":\"one\"}"), "{message}");
    assert!(exchange(&address, Some(&brief), "GET", "/v1/status", "").await.is_none());
    drop(running);
}
