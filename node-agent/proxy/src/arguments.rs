//! The command line, as ostree-ext says it in place of skopeo's.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use log::LevelFilter;

use crate::{
    config::ClientKeys,
    handover::{Call, whole_policy},
    in_root,
    options::Options,
};

/// Fetches container images for another program, as `skopeo experimental-image-proxy` does; not for people
#[derive(Debug, clap::Parser)]
#[command(
    name = "image-proxy",
    version,
    after_help = "\
Reads /etc/containers/{policy.json,registries.conf,registries.conf.d,certs.d}. Without --authfile: $REGISTRY_AUTH_FILE, \
else /run/containers/0/auth.json. HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR hold.
Usable as skopeo_cmd of ostree-ext and containers-image-proxy, which add their own arguments."
)]
pub(crate) struct Arguments {
    /// How a program that takes us for skopeo calls this command, when options stand before
    #[arg(value_name = "experimental-image-proxy", value_parser = ["experimental-image-proxy"], hide = true)]
    _as_skopeo: Option<String>,

    /// The descriptor that is the socket to the client
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    sockfd: i32,

    /// Which images may be used, as in containers-policy.json(5), in place of /etc/containers/policy.json
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Where each failure is reported with its kind, and when an image's signatures run out, for a client to which the
    /// protocol's words are not enough
    #[arg(long, value_name = "FILE", hide = true)]
    failures: Option<PathBuf>,

    /// Credentials, as in containers-auth.json(5)
    #[arg(long, value_name = "FILE", conflicts_with = "no_creds")]
    authfile: Option<PathBuf>,

    /// Keys of our own certificates by file, which only root may read there (JSON)
    #[arg(long, value_name = "FILE", hide = true)]
    client_keys: Option<PathBuf>,

    /// Uses no credentials
    #[arg(long)]
    no_creds: bool,

    /// Certificates for all registries (*.crt, *.cert and *.key), in place of certs.d
    #[arg(long, value_name = "FOLDER")]
    cert_dir: Option<PathBuf>,

    /// Whether certificates are checked
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    tls_verify: bool,

    /// The same as --tls-verify=false
    #[arg(long)]
    insecure_skip_tls_verification: bool,

    /// Works on a tree of files in place of the host's (for tests)
    #[arg(long, hide = true, default_value = "/", value_name = "FOLDER")]
    root: PathBuf,

    /// Reports on standard error what happens
    #[arg(long)]
    debug: bool,

    /// How long a registry may send nothing before the connection counts as broken
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    idle_timeout: f64,

    /// Has the service at this socket do it, which has no privileges
    #[arg(long, value_name = "SOCKET", hide = true, conflicts_with_all = ["cert_dir", "insecure_skip_tls_verification"])]
    service: Option<PathBuf>,

    /// Is that service: standard input is a connection of whoever says --service
    #[arg(long, hide = true, exclusive = true)]
    handed_over: bool,

    /// How often a registry may fail in a row; each wait is twice as long, from 0.5 s to 30 s
    #[arg(long, default_value_t = 5, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
}

/// Where the containers tools of root keep what `login` wrote.
const USUAL_CREDENTIALS: &str = "/run/containers/0/auth.json";

impl Arguments {
    /// Whether what to do comes over standard input.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    /// What a service is to do, if one is named, and where it is.
    ///
    /// # Errors
    /// If a file cannot be read that it is handed.
    pub(crate) fn call(&self) -> Result<Option<(PathBuf, Call)>> {
        let Some(service) = self.service.clone() else { return Ok(None) };
        let mut arguments = vec![
            format!("--idle-timeout={}", self.idle_timeout),
            format!("--attempts={}", self.attempts),
            format!("--tls-verify={}", self.tls_verify),
            format!("--root={}", self.root.display()),
        ];
        arguments.extend(self.debug.then(|| "--debug".to_owned()));
        let credentials = self.credentials();
        arguments.extend(credentials.is_none().then(|| "--no-creds".to_owned()));
        let mut call = Call::new(arguments);
        if let Some(policy) = &self.policy {
            call.copy("--policy", policy, |text| whole_policy(&self.root, text))?;
        }
        if let Some(credentials) = credentials {
            call.copy("--authfile", &credentials, str::to_owned)?;
        }
        if let Some(keys) = ClientKeys::secret(&self.root).text()? {
            call.give("--client-keys", &keys).context("handing over the keys of our own certificates")?;
        }
        if let Some(failures) = &self.failures {
            call.append("--failures", failures)?;
        }
        Ok(Some((service, call)))
    }

    fn credentials(&self) -> Option<PathBuf> {
        let usual = || {
            let named = std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from);
            named.or_else(|| Some(in_root(&self.root, USUAL_CREDENTIALS)).filter(|file| file.exists()))
        };
        if self.no_creds { None } else { self.authfile.clone().or_else(usual) }
    }

    /// How much is reported.
    pub(crate) fn level(&self) -> LevelFilter {
        if self.debug { LevelFilter::Debug } else { LevelFilter::Warn }
    }

    /// What they come to.
    ///
    /// # Errors
    /// If a time is none, or the keys that were handed over are none.
    pub(crate) fn options(self) -> Result<Options> {
        let credentials = self.credentials();
        Ok(Options {
            socket: self.sockfd,
            policy: self.policy,
            failures: self.failures,
            credentials,
            certificates: self.cert_dir,
            client_keys: self.client_keys.as_deref().map(ClientKeys::read).transpose()?.unwrap_or_default(),
            is_unchecked: self.insecure_skip_tls_verification || !self.tls_verify,
            idle: Duration::try_from_secs_f64(self.idle_timeout).context("reading --idle-timeout")?,
            attempts: self.attempts,
            root: self.root,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
