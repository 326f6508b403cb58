//! The worker as the agent runs it, with the real image proxy: images from folders, so that no registry is needed.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use ballast_artifacts::client::Proxy;
use ballast_proxy_client::Options;
use ballast_types::FailureKind;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_artifact-worker");

fn worker(store: &Path, arguments: &[&str]) -> (bool, Value) {
    let output = Command::new(PROGRAM).arg("--store").arg(store).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_else(|| panic!("{arguments:?}: {output:?}", output = output.stderr));
    let answer: Value = serde_json::from_str(last).unwrap();
    if let Some(error) = answer.get("error") {
        // The agent reads it so: a kind that it does not know costs the sentence.
        serde_json::from_value::<FailureKind>(error["kind"].clone()).unwrap();
    }
    (output.status.success(), answer)
}

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("proxy");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn what_is_not_there_is_not_started() {
    let store = tempfile::tempdir().unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let output = Command::new(PROGRAM)
        .arg("--store")
        .arg(store.path())
        .args(["start", &digest, "kubelet", "--x"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("kubelet is not started"), "{output:?}");
    let (done, result) = worker(store.path(), &["check", &digest]);
    assert_eq!((done, &result["error"]["kind"]), (false, &Value::from("damaged")));
}

#[test]
fn a_program_that_is_not_sealed_is_not_started() {
    let store = tempfile::tempdir().unwrap();
    let packed = tempfile::tempdir().unwrap();
    let program = packed.path().join("kubelet");
    fs::write(&program, "#!/bin/sh\ntouch ran\n").unwrap();
    let layout = packed.path().join("oci");
    let digest = ballast_artifacts::pack::pack("kubelet", "1.33.0", &layout, std::slice::from_ref(&program)).unwrap();
    let hex = digest.strip_prefix("sha256:").unwrap();
    let files = store.path().join(hex).join("files");
    fs::create_dir_all(&files).unwrap();
    fs::copy(layout.join("blobs/sha256").join(hex), store.path().join(hex).join("manifest.json")).unwrap();
    fs::copy(&program, files.join("kubelet")).unwrap();
    fs::set_permissions(files.join("kubelet"), fs::Permissions::from_mode(0o555)).unwrap();
    let started = Command::new(PROGRAM)
        .arg("--store")
        .arg(store.path())
        .args(["start", &digest, "kubelet"])
        .current_dir(packed.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert_eq!(started.status.code(), Some(78), "{said}");
    assert!(said.contains("is not sealed by fs-verity") && !packed.path().join("ran").exists(), "{said}");
}

#[test]
fn a_proxy_that_says_nothing_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let proxy = script(folder.path(), "exit 0");
    let arguments = ["fetch", "r.example/kubelet:1", "--name", "kubelet", "--proxy", proxy.to_str().unwrap()];
    let (done, result) = worker(&store, &arguments);
    let message = result["error"]["message"].as_str().unwrap_or_default();
    assert!(!done && message.contains("asking the image proxy (Initialize)"), "{result}");
}

#[test]
fn what_nobody_keeps_is_removed() {
    let store = tempfile::tempdir().unwrap();
    let [one, two] = ["aa", "bb"].map(|byte| byte.repeat(32));
    for name in [&one, &two] {
        fs::create_dir_all(store.path().join(name)).unwrap();
    }
    let (done, result) = worker(store.path(), &["remove", "--keep", &format!("sha256:{two}")]);
    assert!(done && result["result"]["removed"][0] == format!("sha256:{one}"), "{result}");
    assert!(!store.path().join(one).exists() && store.path().join(two).exists());
}

/// The image proxy, which cargo built for its own tests.
fn proxy() -> PathBuf {
    let proxy = Path::new(PROGRAM).with_file_name("image-proxy");
    assert!(proxy.exists(), "{} is missing: cargo test -p ballast-artifacts -p ballast-proxy", proxy.display());
    proxy
}

/// A policy that is `policy` to all.
fn policy(folder: &Path, policy: &str) -> PathBuf {
    let file = folder.join("policy.json");
    fs::write(&file, format!(r#"{{"default":[{{"type":"{policy}"}}]}}"#)).unwrap();
    file
}

/// Fetches what was packed in `folder` as the artifact `name`, by a policy that is `policy` to all.
fn fetch(folder: &Path, name: &str, policy: &str) -> (bool, Value) {
    let file = self::policy(folder, policy);
    let image = format!("oci:{}", folder.join("oci").display());
    let (policy, proxy) = (file.to_str().unwrap(), proxy());
    let arguments = ["fetch", &image, "--name", name, "--policy", policy, "--proxy", proxy.to_str().unwrap()];
    worker(&folder.join("store"), &arguments)
}

/// A folder with a packed artifact, and its digest.
fn packed() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("kubelet");
    fs::write(&program, format!("#!/bin/sh\necho runs\n# {}\n", "x".repeat(100_000))).unwrap();
    let digest = ballast_artifacts::pack::pack("kubelet", "1.33.0", &folder.path().join("oci"), &[program]).unwrap();
    (folder, digest)
}

/// Where the file system has fs-verity it is started; where it has none it is refused, and nothing of it is left that could be.
#[test]
fn what_is_fetched_is_sealed_or_refused() {
    let (folder, digest) = packed();
    let (done, answer) = fetch(folder.path(), "kubelet", "insecureAcceptAnything");
    let place = folder.path().join("store").join(digest.strip_prefix("sha256:").unwrap());
    if done {
        assert_eq!(
            (&answer["result"]["digest"], &answer["result"]["version"]),
            (&digest.clone().into(), &"1.33.0".into())
        );
        let (checked, again) = worker(&folder.path().join("store"), &["check", &digest]);
        assert!(checked && place.exists(), "{again}");
        let (done, answer) = fetch(folder.path(), "kubelet", "insecureAcceptAnything");
        assert!(done && answer["result"]["fetched_bytes"] == 0, "{answer}");
    } else {
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("sealing") && message.contains("has no fs-verity"), "{answer}");
        assert!(!answer.to_string().contains("progress"), "it was fetched all the same: {answer}");
        assert!(!place.exists(), "what is not sealed has its name");
    }
}

#[test]
fn what_may_not_be_used_is_not_unpacked() {
    let (folder, _) = packed();
    let unpacked = folder.path().join("store/.new/files/kubelet");
    let (done, answer) = fetch(folder.path(), "kubelet", "reject");
    assert_eq!((done, &answer["error"]["kind"]), (false, &Value::from("refused")), "{answer}");
    let (done, answer) = fetch(folder.path(), "cni", "insecureAcceptAnything");
    assert_eq!((done, &answer["error"]["kind"]), (false, &Value::from("not-an-artifact")), "{answer}");
    assert!(!unpacked.exists());
}

#[test]
fn a_layer_that_was_changed_is_damaged() {
    let (folder, _) = packed();
    let blobs = folder.path().join("oci/blobs/sha256");
    let all: Vec<PathBuf> = fs::read_dir(blobs).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Of three blobs the layer is the one that begins as gzip does.
    let layer = all.iter().find(|path| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b])).unwrap();
    let mut bytes = fs::read(layer).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(layer, bytes).unwrap();
    let (program, file) = (proxy(), policy(folder.path(), "insecureAcceptAnything"));
    let options =
        Options { program: &program, is_service: false, policy: Some(&file), idle_timeout: None, attempts: None };
    let proxy = Proxy::start(&options).unwrap();
    let image = proxy.open(&format!("oci:{}", folder.path().join("oci").display())).unwrap();
    let artifact = ballast_artifacts::model::Artifact::parse(&image.manifest).unwrap();
    let layer = &artifact.layers[0];
    let read = proxy.blob(&image, &layer.digest, layer.bytes, |content| {
        std::io::copy(content, &mut std::io::sink())?;
        Ok(())
    });
    assert_eq!(ballast_artifacts::failure::kind(&read.unwrap_err()), FailureKind::Damaged);
}
