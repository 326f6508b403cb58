//! `make release`: what its script pushes is what a node trusts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use qemu_vm::registry::SigningKey;
use qemu_vm::release::Written;

use crate::support::Bench;

/// `image/release/push` with `arguments` behind the tools and the image, in `image`'s folder, by somebody who said that
/// the registry speaks plain HTTP.
fn push(bench: &Bench, image: &Path, arguments: &[&str]) -> Output {
    script(bench, "push", &[&[image.to_str().unwrap()], arguments].concat(), image)
}

/// `image/release/NAME` with `arguments` behind the tools, in `folder`.
fn script(bench: &Bench, name: &str, arguments: &[&str], folder: &Path) -> Output {
    let settings = bench.place("home/.config/containers");
    fs::create_dir_all(&settings).unwrap();
    let open = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", bench.release_server.open_address());
    fs::write(settings.join("registries.conf"), open).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image/release").join(name);
    let mut command = Command::new(script);
    command.arg(bench.tools.tree().unwrap()).args(arguments).current_dir(folder);
    command.env("HOME", bench.place("home")).output().unwrap()
}

/// What `make image` leaves of `release`, as far as it is pushed.
fn built(bench: &Bench, release: &Written) -> PathBuf {
    let image = bench.place("built");
    fs::create_dir_all(image.join("target")).unwrap();
    fs::rename(&release.folder, image.join("ballast.oci")).unwrap();
    fs::write(image.join("digest"), format!("{}\n", release.digest)).unwrap();
    let manifest = format!("{{\n  \"version\": \"{}\",\n  \"packages\": []\n}}\n", release.version);
    fs::write(image.join("manifest.json"), manifest).unwrap();
    image
}

#[test]
fn a_release_is_pushed_under_its_version_and_its_tag_and_signed() {
    let bench = Bench::open();
    let release = bench.release("20261122.1");
    let image = built(&bench, &release);
    let repository = format!("{}/ballast", bench.release_server.open_address());
    let pushed =
        push(&bench, &image, &[&format!("{repository}:stable"), bench.release_server.key.private.to_str().unwrap()]);
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    let said = String::from_utf8(pushed.stdout).unwrap();
    for tag in ["20261122.1", "stable"] {
        assert!(said.contains(&format!("release: {repository}:{tag}@{}", release.digest)), "{said}");
        let into = bench.place(tag);
        bench
            .fetch_signed_as(&bench.release_server.name(tag), &repository, &bench.release_server.key.public, &into)
            .unwrap();
        let index = fs::read_to_string(into.join("index.json")).unwrap();
        assert!(index.contains(&release.digest), "{tag}: another digest: {index}");
    }
    // What the next build packs its layers by.
    assert_eq!(fs::read(image.join("target/prior.json")).unwrap(), release.manifest);
}

#[test]
fn a_release_is_signed_once_more_and_keeps_its_signatures() {
    let bench = Bench::open();
    let release = bench.release("20261122.1");
    let image = built(&bench, &release);
    let repository = format!("{}/ballast", bench.release_server.open_address());
    let tagged = format!("{repository}:20261122.1");
    let pushed = push(&bench, &image, &[&repository, bench.release_server.key.private.to_str().unwrap()]);
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    // Who owns the registry puts something else under the tag.
    let tools = &bench.tools;
    let open = bench.place("open.json");
    fs::write(&open, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let other = bench.release("20261123.1");
    let mut skopeo = tools.command("skopeo");
    skopeo.arg("--policy").arg(&open).args(["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]);
    skopeo.arg(format!("oci:{}", other.folder.display())).arg(format!("docker://{tagged}"));
    qemu_vm::tools::output("skopeo", &mut skopeo).unwrap();
    let second = SigningKey::make(&bench.tools, bench.release_server.folder(), "second").unwrap();
    let name = bench.release_server.name("20261122.1");
    bench.fetch_signed_as(&name, &repository, &second.public, &bench.place("before")).unwrap_err();
    let sign = |what: &str| script(&bench, "sign", &[what, second.private.to_str().unwrap()], &image);
    let refused = sign(&tagged);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("HOST/PATH:TAG@sha256:DIGEST"), "{said}");
    let signed = sign(&format!("{tagged}@{}", release.digest));
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    for (key, into) in [(&bench.release_server.key.public, "first"), (&second.public, "second")] {
        bench.fetch_signed_as(&name, &repository, key, &bench.place(into)).unwrap();
        let index = fs::read_to_string(bench.place(into).join("index.json")).unwrap();
        assert!(index.contains(&release.digest), "another digest: {index}");
    }
    let by_digest = bench.release_server.name("20261122.1").replace(":20261122.1", &format!("@{}", other.digest));
    bench.fetch_signed_as(&by_digest, &repository, &second.public, &bench.place("other")).unwrap_err();
    let nothing = script(&bench, "sign", &["", ""], &image);
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(
        nothing.status.code() == Some(2) && said.contains("make sign REGISTRY=HOST/PATH:TAG@sha256:DIGEST KEY=FILE"),
        "{said}"
    );
}

#[test]
fn a_release_without_a_key_is_pushed_with_a_warning_and_not_trusted() {
    let bench = Bench::open();
    let image = built(&bench, &bench.release("20261122.1"));
    let nowhere = push(&bench, &image, &[""]);
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(nowhere.status.code() == Some(2) && said.contains("make release REGISTRY=HOST/PATH[:TAG]"), "{said}");

    let repository = format!("{}/ballast", bench.release_server.open_address());
    let pushed = push(&bench, &image, &[&repository]);
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert!(pushed.status.success() && said.contains("not signed; nodes that ask for signatures refuse it"), "{said}");
    let name = bench.release_server.name("20261122.1");
    let key = &bench.release_server.key.public;
    let error = bench.fetch_signed_as(&name, &repository, key, &bench.place("into")).unwrap_err();
    assert!(format!("{error:#}").contains("ignature"), "{error:#}");
}
