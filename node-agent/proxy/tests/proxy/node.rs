//! A node's configuration in a folder, and the client side: containers-image-proxy, as ostree-ext uses it.

use std::{fs, path::PathBuf, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use containers_image_proxy::{ImageProxy, ImageProxyConfig, OpenedImage};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::{
    image::{Image, sha256},
    registry::{PASSWORD, Registry, USER},
};

pub(crate) struct Node {
    root: TempDir,
    /// Stands before `experimental-image-proxy` on the command line.
    pub(crate) options: Vec<&'static str>,
    pub(crate) environment: Vec<(&'static str, String)>,
    has_credentials: bool,
}

impl Node {
    /// Accepts all images; knows no certificate and no credentials.
    pub(crate) fn new() -> Self {
        let node = Self {
            root: tempfile::tempdir().unwrap(),
            options: vec!["--idle-timeout", "20", "--attempts", "3"],
            environment: Vec::new(),
            has_credentials: false,
        };
        node.policy(&json!({"default": [{"type": "insecureAcceptAnything"}]}));
        node
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Where a file of the node lies.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn policy(&self, policy: &Value) {
        self.write("etc/containers/policy.json", &policy.to_string());
    }

    /// The registry's certificate, where it belongs on a node.
    pub(crate) fn trust(&self, registry: &Registry) {
        self.trust_at(&registry.guarded, registry);
    }

    /// The registry's certificate, for who speaks to `host`.
    pub(crate) fn trust_at(&self, host: &str, registry: &Registry) {
        let certificate = fs::read_to_string(registry.certificate()).unwrap();
        self.write(&format!("etc/containers/certs.d/{host}/ca.crt"), &certificate);
    }

    pub(crate) fn log_in(&mut self, host: &str, password: &str) {
        self.log_in_as(&json!({host: Self::basic(password)}));
    }

    pub(crate) fn basic(password: &str) -> Value {
        json!({"auth": STANDARD.encode(format!("{USER}:{password}"))})
    }

    /// With what stands under `auths`.
    pub(crate) fn log_in_as(&mut self, auths: &Value) {
        self.write("auth.json", &json!({"auths": auths}).to_string());
        self.has_credentials = true;
    }

    /// Trusted, logged in.
    pub(crate) fn of(registry: &Registry) -> Self {
        let mut node = Self::new();
        node.trust(registry);
        node.log_in(&registry.guarded, PASSWORD);
        node
    }

    /// Every registry under its own name without TLS, and `text` more.
    pub(crate) fn insecure(&self, hosts: &[&str], text: &str) {
        let all = hosts.iter().map(|host| format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n"));
        self.write("etc/containers/registries.conf", &(all.collect::<String>() + text));
    }

    pub(crate) async fn proxy(&self) -> ImageProxy {
        self.try_proxy().await.unwrap()
    }

    pub(crate) async fn try_proxy(&self) -> Result<ImageProxy, containers_image_proxy::Error> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-proxy"));
        command.arg("--root").arg(self.root.path()).args(&self.options);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REGISTRY_AUTH_FILE", "SSL_CERT_DIR"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let authfile: Option<PathBuf> = self.has_credentials.then(|| self.root.path().join("auth.json"));
        let config = ImageProxyConfig {
            auth_anonymous: authfile.is_none(),
            authfile,
            skopeo_cmd: Some(command),
            ..ImageProxyConfig::default()
        };
        ImageProxy::new_with_config(config).await
    }

    /// Fetches the image whole and compares; then ends the proxy in good order.
    pub(crate) async fn fetch(&self, name: &str, expected: &Image) {
        let proxy = self.proxy().await;
        let image = proxy.open_image(name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (digest, manifest) = proxy.fetch_manifest_raw_oci(&image).await.unwrap();
        assert_eq!((digest, manifest), (expected.digest(), expected.manifest.clone()));
        assert_eq!(proxy.fetch_config_raw(&image).await.unwrap(), expected.config);
        let (layer, finished) = layer(&proxy, &image, expected).await;
        finished.unwrap();
        assert!(layer == expected.layer, "the layer has {} bytes and is another", layer.len());
        proxy.close_image(&image).await.unwrap();
        proxy.finalize().await.unwrap();
    }

    /// Why the image cannot be opened.
    pub(crate) async fn refusal(&self, name: &str) -> String {
        let proxy = self.proxy().await;
        let error = proxy.open_image(name).await.expect_err(name).to_string();
        proxy.finalize().await.unwrap();
        error
    }
}

/// What comes through the pipe, and how FinishPipe ends.
pub(crate) async fn layer(proxy: &ImageProxy, image: &OpenedImage, expected: &Image) -> (Vec<u8>, Result<(), String>) {
    let digest = sha256(&expected.layer).parse().unwrap();
    let (mut reader, driver) = match proxy.get_blob(image, &digest, expected.layer.len() as u64).await {
        Ok(both) => both,
        Err(error) => return (Vec::new(), Err(error.to_string())),
    };
    let mut content = Vec::new();
    let (read, finished) = tokio::join!(reader.read_to_end(&mut content), driver);
    read.unwrap();
    (content, finished.map_err(|error| error.to_string()))
}
