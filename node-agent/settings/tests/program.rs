//! The small program, as it is called at boot and by hand.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ballast-settings")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_does_not_apply_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, "[update]\nauto = 1\n").unwrap();
    let output = run(&["check", path]);
    let expected = format!("{path}:2:8: update.auto: is a number, expected true or false\n");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), expected));
    fs::write(&file, "[update]\nauto = true\n").unwrap();
    assert_eq!(run(&["check", path]).status.code(), Some(0));
    assert_eq!(run(&["check"]).status.code(), Some(2));
    assert_eq!(run(&["check", folder.path().to_str().unwrap()]).status.code(), Some(1));
}

#[test]
fn what_applies_is_shown_without_secrets_and_by_rank() {
    let folder = tempfile::tempdir().unwrap();
    let [node, image] = ["node", "image"].map(|name| folder.path().join(name));
    fs::write(&node, "hostname = \"mine\"\n[cluster]\ntoken = \"s3cret\"\n").unwrap();
    fs::write(&image, "hostname = \"image\"\nlog.level = \"warn\"\n").unwrap();
    let [node, image] = [&node, &image].map(|path| path.to_str().unwrap());
    let output = run(&["show", &format!("image={image}"), &format!("node={node}"), "/nowhere"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("hostname = \"mine\"") && shown.contains("level = \"warn\""), "{shown}");
    assert!(shown.contains("token = \"(secret)\"") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn files_are_written_where_they_differ() {
    let folder = tempfile::tempdir().unwrap();
    let [root, source] = ["root", "source"].map(|name| folder.path().join(name));
    let [root_text, source_text] = [&root, &source].map(|path| path.to_str().unwrap());
    let settings = "hostname = \"a\"\nnetwork.certificates = [\"\"\"\n-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\"\"\"]
[[registry]]\nhost = \"r.example\"\nusername = \"me\"\npassword = \"s3cret\"\n";
    fs::write(&source, settings).unwrap();
    let output = run(&["render", root_text, source_text]);
    assert!(text(&output.stdout).starts_with("6 files changed"), "{output:?}");
    assert_eq!(fs::read_to_string(root.join("etc/hostname")).unwrap(), "a\n");
    assert_eq!(fs::read_link(root.join("etc/ssl/certs/ballast.pem")).unwrap(), Path::new("/etc/ballast/ca.pem"));
    let private = root.join("run/containers/0/auth.json");
    assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // What is as it shall be stays untouched; what somebody opened to all is closed again.
    assert!(text(&run(&["render", root_text, source_text]).stdout).starts_with("0 files changed"));
    fs::set_permissions(&private, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(text(&run(&["render", root_text, source_text]).stdout).starts_with("1 files changed"));
    assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!text(&output.stdout).contains("s3cret") && !text(&output.stderr).contains("s3cret"));
}
