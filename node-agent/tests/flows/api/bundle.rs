//! The support bundle: all is in it but secrets.

use std::{collections::BTreeMap, fs, io::Read};

use ballast::settings::model::FILE;

use super::{
    super::{Running, manifest, pod_file, shown},
    pair, program,
};

/// What is in a bundle, by name.
fn unpack(file: &std::path::Path) -> BTreeMap<String, String> {
    // Many frames, as zstd(1) takes them, too.
    let bytes = fs::read(file).unwrap();
    let mut left = bytes.as_slice();
    let mut tar = Vec::new();
    while !left.is_empty() {
        let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut left).unwrap();
        frame.read_to_end(&mut tar).unwrap();
    }
    let mut archive = tar::Archive::new(tar.as_slice());
    let file = |file: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut file = file.unwrap();
        assert_eq!(file.header().mode().unwrap(), 0o600);
        let name = file.path().unwrap().strip_prefix("ballast-support").unwrap().display().to_string();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        (name, text)
    };
    archive.entries().unwrap().map(file).collect()
}

#[tokio::test]
async fn a_bundle_has_all_but_secrets() {
    // Planted in every place that can hold one.
    let secrets: Vec<String> = (1..=12).map(|number| format!("planted-{number:02}-secret")).collect();
    let [registry, proxy, identity, misspelt, manifest_env, kernel, entry, journal, pod, key, kept, url] =
        secrets.as_slice()
    else {
        panic!("twelve")
    };
    let settings = format!(
        "[[registry]]\nhost = \"r.example\"\nusername = \"node\"\npassword = \"{registry}\"\n[network.proxy]\nhttps = \"http://me:{proxy}@p.example:3128\"\n\
         [[registry.mirrors]]\nhost = \"m.example\"\nusername = \"node\"\npassword = \"{identity}\"\npasword = \"{misspelt}\"\n\
         [[pods.manifest]]\nname = \"env\"\ncontent = \"\"\"\n{}    env: [{{name: TOKEN, value: {manifest_env}}}]\n\"\"\"\n",
        manifest("env", "localhost/c:1")
    );
    let journalctl =
        format!("#!/bin/sh\necho \"$@: pull failed with {registry} and {proxy}, Authorization: Bearer {journal}\"\n");
    let (workstation, running, address) = pair(|node| {
        program(node, "/usr/bin/journalctl", &journalctl);
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
        node.write(
            "/proc/cmdline",
            &format!("ballast.deployment={}.0 systemd.set_credential=x:{kernel} quiet\n", "ab".repeat(32)),
        );
        node.write("/proc/stat", "btime 1795600000\n");
        node.write("/efi/loader/entries/a.conf", &format!("options quiet systemd.set_credential_binary=x:{entry}\n"));
        node.write("/sys/fs/pstore/dmesg-efi-1", "Oops#1 the kernel's last words\n");
        let pem = format!("-----BEGIN PRIVATE KEY-----\\n{key}\\n-----END PRIVATE KEY-----");
        node.write(
            "/var/log/pods/default_web_u/c/0.log",
            &format!(
                "2026-11-30T10:00:00Z stdout F hello {misspelt} {identity} {pem} https://u:{url}@h.example/x {pod}\n"
            ),
        );
        // A source that was read once, and a document that is no TOML.
        node.write("/var/lib/ballast/settings.before.toml", &format!("[\npassword = \"{kept}\"\n"));
        node.write("/var/log/pods/default_web_u/c/1.log", &format!("2026-11-30T10:00:01Z stdout F {kept} again\n"));
    })
    .await;
    let Running { node, .. } = &running;
    let with_api = node.read(FILE);
    node.write(FILE, &(settings.clone() + &with_api));
    node.wait_for("both pods", |status| shown(status).len() == 2).await;

    let file = workstation.path("bundle.tar.zst");
    let message = workstation.run(&["--node", &address, "support-bundle", "-o", file.to_str().unwrap()]).await;
    assert_eq!(message.status.code(), Some(0), "{message:?}");
    let files = unpack(&file);
    for (name, expected) in [
        ("status.json", "\"ready\": true"),
        ("releases.json", "{"),
        ("settings/settings.json", "r.example"),
        ("settings/sources.json", "registry"),
        ("metrics.txt", "ballast_ready 1"),
        ("doctor.json", "["),
        ("containerd/state.json", "\"pod\": \"web\""),
        (
            "journal/this-boot.txt",
            "--boot=0 --lines=20000 --output=short-iso --no-pager --quiet: pull failed with (secret)",
        ),
        ("journal/boot-before.txt", "--boot=-1"),
        ("journal/kernel.txt", "--dmesg"),
        ("versions/os-release", "VERSION_ID=20261121.1"),
        ("versions/command-line.txt", "systemd.set_credential=(secret) quiet"),
        ("boot/entries/a.conf", "options quiet systemd.set_credential_binary=(secret)"),
        ("pstore/now/dmesg-efi-1", "the kernel's last words"),
        ("pods/default_web_u/c/0.log", "stdout F hello (secret) (secret) -----BEGIN PRIVATE KEY-----(secret)-----END"),
        ("network/resolv.conf", "192.0.2.53"),
        ("machine/meminfo.txt", "MemTotal"),
        // Programs that this node does not have.
        ("missing.txt", "network/addresses.json: running "),
    ] {
        let text = files.get(name).unwrap_or_else(|| panic!("{name} is not in it, but {:?}", files.keys()));
        assert!(text.contains(expected), "{name}: {text}");
    }
    // What a pod logs of its own is no secret that anybody could know: it is the one that is left.
    let found = |secret: &String| {
        files
            .iter()
            .filter(|(_, text)| text.contains(secret.as_str()))
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
    };
    for secret in &secrets {
        let expected: &[&str] = if secret == pod { &["pods/default_web_u/c/0.log"] } else { &[] };
        assert_eq!(found(secret), expected, "{secret}");
    }
    let server = node.read("/var/lib/ballast/api/server.pem");
    let line = server.lines().skip_while(|line| !line.contains("PRIVATE KEY")).nth(1).unwrap().to_owned();
    assert_eq!(found(&line), [""; 0]);
    // Half a bundle is none.
    assert!(!workstation.path("bundle.tar.zst.part").exists());
    workstation.is("an-operator");
    let (code, message) =
        workstation.fails(&["--node", &address, "support-bundle", "-o", file.to_str().unwrap()]).await;
    assert!(code == 1 && message.contains("needs the role admin"), "{message}");
}
