//! The worker against libostree itself: a system in a folder of its own, releases as OCI images in folders, fetched by image-proxy. No VM, but it
//! has to run as root, as on a node, since a repository keeps owners.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ostree_ext::{
    container::{self, Config, ImageReference, Transport},
    gio, glib,
    ostree::{self, MutableTree, Repo, RepoCommitModifier, RepoCommitModifierFlags, RepoFile, RepoMode, Sysroot},
    prelude::{Cast, ToVariant},
};
use serde_json::Value;

const NEVER: Option<&gio::Cancellable> = None;

/// From this libostree on a deployment can have a composefs image (its release notes); a node's is newer.
const COMPOSEFS: (u32, u32) = (2023, 8);

/// A system without a release, and a place for images.
struct System {
    folder: tempfile::TempDir,
}

/// A release that was built.
struct Release {
    image: PathBuf,
    digest: String,
    commit: String,
}

impl Release {
    /// As the worker is given it.
    fn name(&self) -> String {
        format!("oci:{}@{}", self.image.display(), self.digest)
    }
}

impl System {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("system");
        fs::create_dir(&root).unwrap();
        let sysroot = Sysroot::new(Some(&gio::File::for_path(&root)));
        sysroot.ensure_initialized(NEVER).unwrap();
        sysroot.load(NEVER).unwrap();
        sysroot.init_osname("ballast", NEVER).unwrap();
        let config = sysroot.repo().copy_config();
        for (group, key, value) in [
            ("sysroot", "bootloader", "none"),
            ("ex-integrity", "composefs", "true"),
            ("ex-integrity", "fsverity", "maybe"),
            ("core", "fsync", "false"),
        ] {
            config.set_string(group, key, value);
        }
        sysroot.repo().write_config(&config).unwrap();
        fs::write(folder.path().join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("system")
    }

    /// A release with a program of its own, as the build of the image makes it: a commit, encapsulated.
    fn release(&self, version: &str) -> Release {
        let folder = self.folder.path().join(version);
        let tree = folder.join("tree");
        for (path, text) in [
            ("usr/lib/modules/6.12.0/vmlinuz", "kernel"),
            ("usr/lib/modules/6.12.0/initramfs.img", "initramfs"),
            ("usr/lib/ballast/cmdline", "quiet console=ttyS0\n"),
            ("usr/lib/os-release", "ID=ballast\n"),
            ("usr/bin/shared", "the same in all releases"),
            ("usr/bin/program", &*format!("program of {version}")),
        ] {
            fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
            fs::write(tree.join(path), text).unwrap();
        }
        let repo = Repo::new_for_path(folder.join("repo"));
        repo.create(RepoMode::BareUser, NEVER).unwrap();
        let commit = commit(&repo, &tree, version);
        let labels = [
            ("ostree.commit", commit.as_str()),
            ("org.opencontainers.image.version", version),
            ("os.ballast.id", "ballast"),
            ("os.ballast.installed-bytes", "100"),
            ("os.ballast.objects", "9"),
            ("os.ballast.boot-bytes", "15"),
        ];
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let image = folder.join("image");
        let destination = ImageReference { transport: Transport::OciDir, name: image.to_str().unwrap().to_owned() };
        let config = Config { labels: Some(labels), cmd: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let exported = runtime.block_on(container::encapsulate(&repo, &commit, &config, None, &destination));
        // Its last step asks skopeo for the digest of what it wrote, which need not be here.
        let index = fs::read(image.join("index.json")).unwrap_or_else(|_| panic!("{exported:?}"));
        let index: Value = serde_json::from_slice(&index).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        Release { image, digest, commit }
    }

    /// What the worker answers: the result, or the error's kind and message.
    fn worker(&self, arguments: &[&str]) -> Result<Value, (String, String)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostree-worker"));
        command.arg("--sysroot").arg(self.root()).args(arguments);
        if !matches!(arguments[0], "deploy" | "remove") {
            command.arg("--policy").arg(self.folder.path().join("policy.json")).arg("--proxy").arg(proxy());
        }
        let output = command.env("OSTREE_SYSROOT_DEBUG", "mutable-deployments").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let last: Value = text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| {
            panic!("{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        });
        assert_eq!(output.status.success(), last.get("result").is_some(), "{text}");
        let reported = |key: &str| last["error"][key].as_str().unwrap_or_default().to_owned();
        last.get("result").cloned().ok_or_else(|| (reported("kind"), reported("message")))
    }

    /// `deploy`: what it reports; with a libostree that makes no composefs images, that it misses the image, with all else done.
    fn deploy(&self, release: &Release) -> Option<Value> {
        let deployed = self.worker(&["deploy", &release.digest]);
        if ostree::check_version(COMPOSEFS.0, COMPOSEFS.1) {
            return Some(deployed.unwrap());
        }
        let (_, message) = deployed.unwrap_err();
        assert!(message.contains(".ostree.cfs"), "{message}");
        None
    }

    /// The objects that are regular files with this text.
    fn objects_with(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in fs::read_dir(self.root().join("ostree/repo/objects")).unwrap() {
            for object in fs::read_dir(folder.unwrap().path()).unwrap() {
                let object = object.unwrap().path();
                if fs::read(&object).is_ok_and(|bytes| bytes == text.as_bytes()) {
                    found.push(object);
                }
            }
        }
        found
    }

    fn deployments(&self) -> Vec<String> {
        let folder = self.root().join("ostree/deploy/ballast/deploy");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".origin")).collect();
        names.sort();
        names
    }
}

fn commit(repo: &Repo, tree: &Path, version: &str) -> String {
    let transaction = repo.auto_transaction(NEVER).unwrap();
    let mtree = MutableTree::new();
    let flags = RepoCommitModifierFlags::CANONICAL_PERMISSIONS | RepoCommitModifierFlags::SKIP_XATTRS;
    let modifier = RepoCommitModifier::new(flags, None);
    repo.write_directory_to_mtree(&gio::File::for_path(tree), &mtree, Some(&modifier), NEVER).unwrap();
    let root = repo.write_mtree(&mtree, NEVER).unwrap();
    let metadata = glib::VariantDict::new(None);
    metadata.insert("version", version);
    let root = root.downcast_ref::<RepoFile>().unwrap();
    let commit = repo.write_commit(None, None, None, Some(&metadata.to_variant()), root, NEVER).unwrap();
    transaction.commit(NEVER).unwrap();
    repo.set_ref_immediate(None, "ballast", Some(&commit), NEVER).unwrap();
    commit.into()
}

/// Built with the workspace; another crate's program has no other name here.
fn proxy() -> PathBuf {
    let proxy = Path::new(env!("CARGO_BIN_EXE_ostree-worker")).with_file_name("image-proxy");
    assert!(proxy.exists(), "{} is missing: cargo build -p ballast-proxy", proxy.display());
    proxy
}

/// Not what is there, as a worn disk leaves it; with fs-verity only another file can be.
fn damage(object: &Path) {
    let mode = fs::metadata(object).unwrap().permissions();
    fs::remove_file(object).unwrap();
    fs::write(object, "damaged").unwrap();
    fs::set_permissions(object, mode).unwrap();
}

fn damaged(checked: &Value) -> Vec<String> {
    checked["damaged"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_release_is_fetched_once_and_shares_what_is_here() {
    let system = System::new();
    let (a, b) = (system.release("1"), system.release("2"));
    let inspected = system.worker(&["inspect", &a.name()]).unwrap();
    assert_eq!((inspected["version"].as_str(), inspected["digest"].as_str()), (Some("1"), Some(&*a.digest)));
    assert_eq!(inspected["commit"], a.commit.as_str());
    assert!(inspected["layers"].as_array().unwrap().iter().all(|layer| layer["present"] == false), "{inspected}");

    let fetched = system.worker(&["fetch", &a.name()]).unwrap();
    assert_eq!((fetched["version"].as_str(), fetched["commit"].as_str()), (Some("1"), Some(&*a.commit)));
    assert!(fetched["fetched_bytes"].as_u64().unwrap() > 0, "{fetched}");
    assert_eq!(system.worker(&["fetch", &a.name()]).unwrap()["fetched_bytes"], 0);
    let inspected = system.worker(&["inspect", &a.name()]).unwrap();
    assert!(inspected["layers"].as_array().unwrap().iter().all(|layer| layer["present"] == true), "{inspected}");

    system.worker(&["fetch", &b.name()]).unwrap();
    assert_eq!(system.objects_with("the same in all releases").len(), 1);
    let checked = system.worker(&["fsck"]).unwrap();
    assert_eq!(damaged(&checked), [""; 0]);
    assert!(checked["objects"].as_u64().unwrap() > 10, "{checked}");
}

#[test]
fn what_is_no_release_or_another_than_named_is_refused() {
    let system = System::new();
    let a = system.release("1");
    let other = format!("oci:{}@sha256:{}", a.image.display(), "0".repeat(64));
    let (kind, message) = system.worker(&["fetch", &other]).unwrap_err();
    assert!(matches!(kind.as_str(), "damaged" | "not-found"), "{kind}: {message}");
    let (_, message) = system.worker(&["fetch", &format!("oci:{}", a.image.display())]).unwrap_err();
    assert!(message.contains("expected IMAGE@sha256:HEX"), "{message}");
    let (kind, message) = system.worker(&["deploy", &a.digest]).unwrap_err();
    assert!(kind == "not-found" && message.contains("expected it to be fetched"), "{kind}: {message}");
    fs::write(system.folder.path().join("policy.json"), r#"{"default":[{"type":"reject"}]}"#).unwrap();
    let (kind, message) = system.worker(&["fetch", &a.name()]).unwrap_err();
    assert_eq!(kind, "refused", "{message}");
    assert!(system.objects_with("program of 1").is_empty());
}

#[test]
fn a_release_is_deployed_once_and_beside_the_others() {
    let system = System::new();
    let (a, b) = (system.release("1"), system.release("2"));
    for release in [&a, &b, &a] {
        system.worker(&["fetch", &release.name()]).unwrap();
        if let Some(reported) = system.deploy(release) {
            assert_eq!(reported["deployment"], format!("{}.0", release.commit));
            assert_eq!(
                (reported["cmdline"].as_str(), reported["version"].as_str().is_some()),
                (Some("quiet console=ttyS0"), true)
            );
            assert_eq!(fs::read(reported["kernel"].as_str().unwrap()).unwrap(), b"kernel");
            assert_eq!(fs::read(reported["initramfs"].as_str().unwrap()).unwrap(), b"initramfs");
            assert_eq!(reported["composefs"].as_str().map(str::len), Some(64));
        }
    }
    let mut expected = [format!("{}.0", a.commit), format!("{}.0", b.commit)];
    expected.sort();
    assert_eq!(system.deployments(), expected);
    let folder = system.root().join("ostree/deploy/ballast/deploy");
    let origin = fs::read_to_string(folder.join(format!("{}.0.origin", b.commit))).unwrap();
    assert!(origin.contains(&format!("digest={}", b.digest)) && origin.contains("version=2"), "{origin}");
    assert_eq!(damaged(&system.worker(&["fsck"]).unwrap()), [""; 0]);
}

#[test]
fn damaged_and_missing_objects_are_found_and_repaired() {
    let system = System::new();
    let (a, b) = (system.release("1"), system.release("2"));
    for release in [&a, &b] {
        system.worker(&["fetch", &release.name()]).unwrap();
    }
    let only = |text: &str| {
        let found = system.objects_with(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        found[0].clone()
    };
    damage(&only("program of 1"));
    fs::remove_file(only("the same in all releases")).unwrap();
    let found = damaged(&system.worker(&["fsck"]).unwrap());
    assert!(found.iter().any(|one| one.contains("is missing, needed by")), "{found:?}");
    assert!(found.iter().any(|one| one.contains(".file: ") && !one.contains("missing")), "{found:?}");

    let (_, message) = system.worker(&["fsck", "--repair", &format!("oci:{}", a.image.display())]).unwrap_err();
    assert!(message.contains("expected IMAGE@sha256:HEX"), "{message}");
    let repaired = system.worker(&["fsck", "--repair", &a.name()]).unwrap();
    assert!(repaired["repaired"].as_u64().unwrap() >= 2, "{repaired}");
    assert_eq!(damaged(&repaired), [""; 0]);
    only("program of 1");
    only("the same in all releases");
    assert_eq!(damaged(&system.worker(&["fsck"]).unwrap()), [""; 0]);
    let nothing = system.worker(&["fsck", "--repair", &b.name()]).unwrap();
    assert_eq!((nothing["repaired"].as_u64(), damaged(&nothing).len()), (Some(0), 0));
}

#[test]
fn what_no_release_needs_is_removed_and_the_rest_stays_whole() {
    let system = System::new();
    let (a, b, c) = (system.release("1"), system.release("2"), system.release("3"));
    for release in [&a, &b, &c] {
        system.worker(&["fetch", &release.name()]).unwrap();
    }
    system.deploy(&a);
    system.deploy(&b);
    let removed = system.worker(&["remove", "--keep", &b.digest, "--keep", &c.digest]).unwrap();
    assert_eq!(removed["removed"], serde_json::json!([a.digest]));
    assert_eq!(system.deployments(), [format!("{}.0", b.commit)]);
    for (text, left) in [("program of 1", 0), ("program of 2", 1), ("program of 3", 1), ("the same in all releases", 1)]
    {
        assert_eq!(system.objects_with(text).len(), left, "{text}");
    }
    assert_eq!(damaged(&system.worker(&["fsck"]).unwrap()), [""; 0]);
    assert_eq!(system.worker(&["fetch", &c.name()]).unwrap()["fetched_bytes"], 0);
    assert!(system.worker(&["fetch", &a.name()]).unwrap()["fetched_bytes"].as_u64().unwrap() > 0);
    let again = system.worker(&["remove", "--keep", &b.digest]).unwrap();
    let mut both = [a.digest.clone(), c.digest.clone()];
    both.sort();
    assert_eq!(again["removed"], serde_json::json!(both));
}
