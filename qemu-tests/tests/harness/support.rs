//! A release server, a release small enough to be made on the spot, and skopeo as the node that fetches it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use qemu_vm::release::{Base, Written};
use qemu_vm::release_server::ReleaseServer;
use qemu_vm::tools::{self, Tools};
use qemu_vm::workspace::{Image, Workspace};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) tools: Tools,
    pub(crate) release_server: ReleaseServer,
    pub(crate) base: Base,
    pub(crate) scratch: TempDir,
}

impl Bench {
    pub(crate) fn open() -> Self {
        let workspace = Workspace::find();
        let scratch = workspace.scratch().unwrap();
        let tools = Tools::find(&workspace).unwrap();
        let image = small_image(scratch.path());
        let release_server = ReleaseServer::open(&tools, scratch.path()).unwrap();
        Self { tools, release_server, base: Base::of(&image).unwrap(), scratch }
    }

    /// A release of 300 kB.
    pub(crate) fn release(&self, version: &str) -> Written {
        self.base.release(version).unwrap().bulk(300_000).write(&self.scratch.path().join(version)).unwrap()
    }

    /// Fetches `name` as a node would, with the policy that `key` has signed it.
    pub(crate) fn fetch(&self, name: &str, key: &str, into: &Path) -> Result<()> {
        let repository = name.rsplit_once(':').context("a name without a tag")?.0;
        self.fetch_signed_as(name, repository, key, into)
    }

    /// The same, of what was signed under the name of another `repository`.
    pub(crate) fn fetch_signed_as(&self, name: &str, repository: &str, key: &str, into: &Path) -> Result<()> {
        let at = |file: &str| self.scratch.path().join(file);
        let certificates = at("certs");
        fs::create_dir_all(&certificates)?;
        fs::write(certificates.join("ca.crt"), self.release_server.authority.certificate()?)?;
        fs::write(at("auth.json"), ReleaseServer::authfile(&[&self.release_server]).replace("10.0.2.2", "127.0.0.1"))?;
        fs::write(at("key.pub"), key)?;
        let signed = json!({"type": "sigstoreSigned", "keyPath": at("key.pub"),
            "signedIdentity": {"type": "exactRepository", "dockerRepository": repository}});
        let policy = json!({"default": [{"type": "reject"}], "transports": {"docker": {"": [signed]}}});
        fs::write(at("policy.json"), policy.to_string())?;
        fs::create_dir_all(at("registries.d"))?;
        fs::write(at("registries.d/d.yaml"), "default-docker:\n  use-sigstore-attachments: true\n")?;
        let mut skopeo = self.tools.command("skopeo");
        skopeo.arg("--policy").arg(at("policy.json")).arg("--registries.d").arg(at("registries.d"));
        skopeo.args(["--command-timeout", "20s", "--tmpdir"]).arg(self.scratch.path());
        skopeo
            .args(["copy", "--quiet", "--preserve-digests", "--remove-signatures", "--src-authfile"])
            .arg(at("auth.json"));
        skopeo.arg("--src-cert-dir").arg(&certificates);
        skopeo.arg(format!("docker://{}", name.replace("10.0.2.2", "127.0.0.1")));
        skopeo.arg(format!("oci:{}", into.display()));
        tools::output("skopeo", &mut skopeo).map(drop)
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

/// What `make image` leaves, as far as releases are made from it, with one layer that nobody unpacks.
fn small_image(scratch: &Path) -> Image {
    let folder = scratch.join("image");
    for place in ["root/usr/lib/modules/6.12", "ballast.oci/blobs/sha256"] {
        fs::create_dir_all(folder.join(place)).unwrap();
    }
    fs::write(folder.join("root/usr/lib/os-release"), "ID=ballast\nVERSION_ID=20261121.1\n").unwrap();
    fs::write(folder.join("root/usr/lib/modules/6.12/vmlinuz"), "kernel").unwrap();
    for file in ["ballast.raw", "vmlinuz", "initramfs.cpio.zst", "commit"] {
        fs::write(folder.join(file), "").unwrap();
    }
    fs::write(folder.join("cmdline"), "ballast.deployment=a.0 console=ttyS0\n").unwrap();
    let blob = |content: &[u8]| {
        let hex = hex::encode(Sha256::digest(content));
        fs::write(folder.join("ballast.oci/blobs/sha256").join(&hex), content).unwrap();
        (format!("sha256:{hex}"), content.len())
    };
    let (layer, layer_size) = blob(b"a layer");
    let labels = json!({"org.opencontainers.image.version": "20261121.1", "os.ballast.id": "ballast"});
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [layer]}, "history": [{"created_by": "test"}]});
    let (config, config_size) = blob(config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": layer_size}],
        "annotations": labels});
    let (manifest, size) = blob(manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [{"digest": manifest, "size": size,
        "mediaType": "application/vnd.oci.image.manifest.v1+json"}]});
    fs::write(folder.join("ballast.oci/index.json"), index.to_string()).unwrap();
    fs::write(folder.join("ballast.oci/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
    Image::load(&folder).unwrap()
}
