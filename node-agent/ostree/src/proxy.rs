//! The image proxy that fetches for us: `image-proxy`, in skopeo's place.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ballast_proxy_client::{CREDENTIALS, Options, Reports};
use ostree_ext::container::store::ImageProxyConfig;

use crate::{image::Image, options::Proxy};

/// A proxy as it is to be started, and what it will report.
pub(crate) struct Prepared {
    pub(crate) config: ImageProxyConfig,
    pub(crate) reports: Reports,
}

/// `image`'s; on a node (`root` is `/`) a registry is spoken to by the proxy's service, since this process has no network, and root is nobody
/// to read what a stranger sends. A folder, which root alone may be able to read, is read here.
pub(crate) fn prepare(root: &Path, image: &Image, options: &Proxy) -> Result<Prepared> {
    let Proxy { policy, authfile, idle_timeout, attempts, proxy } = options;
    let is_service = root == Path::new("/") && !image.is_folder();
    let (idle_timeout, attempts) = (*idle_timeout, *attempts);
    let start = Options { program: proxy, is_service, policy: policy.as_deref(), idle_timeout, attempts };
    let (command, reports) = start.command()?;
    let usual = || Some(PathBuf::from(CREDENTIALS)).filter(|file| file.exists());
    let authfile = authfile.clone().or_else(usual);
    // Without credentials ostree-ext would look for its own.
    let auth_anonymous = authfile.is_none();
    let config = ImageProxyConfig { authfile, auth_anonymous, skopeo_cmd: Some(command), ..Default::default() };
    Ok(Prepared { config, reports })
}
