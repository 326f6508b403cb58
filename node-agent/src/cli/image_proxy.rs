//! `ballast image-proxy`: what ostree-ext runs in place of skopeo.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use log::LevelFilter;

use super::agent::StandardError;
use crate::{
    clients::host::Host,
    proxy::{self, Options},
};

/// Fetches container images for another program, as `skopeo experimental-image-proxy` does; not for people
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads /etc/containers/{policy.json,registries.conf,registries.conf.d,certs.d}. Without --authfile: $REGISTRY_AUTH_FILE, \
else /run/containers/0/auth.json. HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR hold.
Usable as skopeo_cmd of ostree-ext and containers-image-proxy, which add their own arguments.")]
pub(super) struct Arguments {
    /// How a program that takes us for skopeo calls this command, when options stand before
    #[arg(value_name = "experimental-image-proxy", value_parser = ["experimental-image-proxy"], hide = true)]
    _as_skopeo: Option<String>,

    /// The descriptor that is the socket to the client
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    sockfd: i32,

    /// Which images may be used, as in containers-policy.json(5), in place of /etc/containers/policy.json
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Where each failure is told with its kind, for a client to which the protocol's words are not enough
    #[arg(long, value_name = "FILE", hide = true)]
    failures: Option<PathBuf>,

    /// Credentials, as in containers-auth.json(5)
    #[arg(long, value_name = "FILE", conflicts_with = "no_creds")]
    authfile: Option<PathBuf>,

    /// Uses no credentials
    #[arg(long)]
    no_creds: bool,

    /// Certificates for all registries (*.crt, *.cert and *.key), in place of certs.d
    #[arg(long, value_name = "FOLDER")]
    cert_dir: Option<PathBuf>,

    /// Whether certificates are checked; false also allows plain HTTP
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    tls_verify: bool,

    /// The same as --tls-verify=false
    #[arg(long)]
    insecure_skip_tls_verification: bool,

    /// Tells on standard error what happens
    #[arg(long)]
    debug: bool,

    /// How long a registry may send nothing before the connection counts as broken
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    idle_timeout: f64,

    /// How often a registry may fail in a row; each wait is twice as long, from 0.5 s to 30 s
    #[arg(long, default_value_t = 5, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
}

/// Where the containers tools of root keep what `login` wrote.
const USUAL_CREDENTIALS: &str = "/run/containers/0/auth.json";

pub(super) fn run(arguments: Arguments, host: Host) -> Result<ExitCode> {
    log::set_logger(&StandardError).context("setting up the log")?;
    log::set_max_level(if arguments.debug { LevelFilter::Debug } else { LevelFilter::Warn });
    let usual = || {
        let named = std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from);
        named.or_else(|| Some(host.path(USUAL_CREDENTIALS)).filter(|file| file.exists()))
    };
    let credentials = if arguments.no_creds { None } else { arguments.authfile.or_else(usual) };
    let options = Options {
        socket: arguments.sockfd,
        policy: arguments.policy,
        failures: arguments.failures,
        credentials,
        certificates: arguments.cert_dir,
        is_insecure: arguments.insecure_skip_tls_verification || !arguments.tls_verify,
        idle: Duration::try_from_secs_f64(arguments.idle_timeout).context("reading --idle-timeout")?,
        attempts: arguments.attempts,
        host,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("setting up the event loop")?.block_on(proxy::serve(options))?;
    Ok(ExitCode::SUCCESS)
}
