//! What is too large, too slow or too much.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    SOON,
    client::{Certificate, authority, exchange, handshake},
    pair, program,
};

#[tokio::test]
async fn large_slow_and_many_requests_are_limited() {
    let (workstation, running, address) = pair(|_| {}).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let good = Certificate::new("good", "ballast:admin", (2020, 2100), &known);

    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let head = format!("POST /v1/operations HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 30);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("1 GB is waited for");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("larger than 1048576 bytes"), "{answer}");

    // Without a length in front: as much as is taken.
    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let head = "POST /v1/operations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let sent = async {
        for _ in 0..64 {
            if stream.write_all(&piece).await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = timeout(SOON, sent).await.expect("an endless body is waited for");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let long = format!("GET /v1/status HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));

    // A head that comes byte by byte.
    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let slow = async {
        for byte in b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n" {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = timeout(SOON * 2, slow).await.expect("slow headers are waited for");
    assert!(!answer.contains(" 200 "), "{answer}");

    // A thousand that say nothing.
    let mut silent = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if number % 2 == 0 {
            let _ = stream.write_all(&[22, 3, 1, 2]).await;
        }
        silent.push(stream);
    }
    let answer = timeout(SOON, exchange(&address, Some(&good), "GET", "/v1/status", "")).await;
    assert!(
        answer.is_ok_and(|answer| answer.is_some_and(|answer| answer.contains(" 200 "))),
        "silent ones keep others out"
    );
    let mut ended = 0;
    for stream in &mut silent {
        let read = timeout(SOON, stream.read(&mut [0; 64])).await;
        ended += usize::from(matches!(read, Ok(Ok(_) | Err(_))));
    }
    assert_eq!(ended, silent.len());
    workstation.succeeds(&["--node", &address, "status"]).await;
    assert!(running.node.status().await.unwrap().ready);
}

#[tokio::test]
async fn one_certificate_has_only_so_many_connections() {
    let (workstation, running, address) = pair(|_| {}).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let good = Certificate::new("good", "ballast:admin", (2020, 2100), &known);
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(handshake(&address, Some(&good), false).await.unwrap());
    }
    let answer = exchange(&address, Some(&good), "GET", "/v1/status", "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("8 connections of this certificate"), "{answer}");
    // Others come in.
    workstation.succeeds(&["--node", &address, "status"]).await;
    drop(open);
    let free = async {
        while !exchange(&address, Some(&good), "GET", "/v1/status", "").await.unwrap().contains(" 200 ") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, free).await.expect("places are not given back");
    drop(running);
}

#[tokio::test]
async fn who_may_do_nothing_takes_nobodys_place() {
    let (workstation, running, address) = pair(|_| {}).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let mut open = Vec::new();
    // More than are served at once, of as many certificates, and each but for its request's last line.
    for number in 0..5 {
        let one = Certificate::new(&format!("nobody-{number}"), "none", (2020, 2100), &known);
        for _ in 0..8 {
            let mut stream = handshake(&address, Some(&one), false).await.unwrap();
            stream.write_all(b"GET /v1/status HTTP/1.1\r\n").await.unwrap();
            open.push(stream);
        }
    }
    workstation.succeeds(&["--node", &address, "status"]).await;
    drop(open);
    drop(running);
}

/// A client that asks for much and takes nothing is let go; whoever else asks is answered meanwhile.
#[tokio::test]
async fn who_reads_nothing_holds_nobody_up() {
    let script = "#!/bin/sh\necho $$ >\"${0%/usr/bin/journalctl}/pid\"\nyes 0123456789012345678901234567890123456789\n";
    let (workstation, running, address) = pair(|node| program(node, "/usr/bin/journalctl", script)).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let good = Certificate::new("slow", "ballast:admin", (2020, 2100), &known);
    let mut slow = handshake(&address, Some(&good), false).await.unwrap();
    slow.write_all(b"GET /v1/logs?follow=true HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    running.node.wait_until("the stream", || running.node.path("/pid").exists()).await;
    for _ in 0..5 {
        workstation.succeeds(&["--node", &address, "status"]).await;
    }
    // What was not taken lies with the one who writes, not with the agent.
    let pid = running.node.read("/pid");
    let is_there = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    assert!(is_there());
    drop(slow);
    running.node.wait_until("journalctl to end", || !is_there()).await;
}
