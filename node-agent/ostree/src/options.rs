//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::image::{Digest, Image};

/// Fetches, deploys, removes and checks releases for the node agent; not for people
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
IMAGE is HOST[:PORT]/PATH[:TAG][@sha256:HEX] or oci:FOLDER[:TAG][@sha256:HEX].
Prints JSON, one object a line: progress, and at the end result (exit status 0) or error (1)."
)]
pub(crate) struct Options {
    /// Where the system lies
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    pub(crate) sysroot: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what a release is, and what of it is missing here
    Inspect {
        #[arg(value_name = "IMAGE")]
        image: Image,
        #[command(flatten)]
        proxy: Proxy,
    },
    /// Fetches a release, named by its digest, into the repository
    Fetch {
        #[arg(value_name = "IMAGE")]
        image: Image,
        #[command(flatten)]
        proxy: Proxy,
    },
    /// Makes a fetched release a deployment
    Deploy {
        #[arg(value_name = "DIGEST")]
        digest: Digest,
    },
    /// Removes all releases but the booted one and those that are named
    Remove {
        /// A release that stays
        #[arg(long, value_name = "DIGEST")]
        keep: Vec<Digest>,
    },
    /// Holds each object of the repository against its checksum
    Fsck {
        /// Fetches what is damaged or missing of this release anew
        #[arg(long, value_name = "IMAGE")]
        repair: Option<Image>,
        #[command(flatten)]
        proxy: Proxy,
    },
}

impl Command {
    /// Whether the repository or the deployments change.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Inspect { .. } | Self::Fsck { repair: None, .. } => false,
            Self::Fetch { .. } | Self::Deploy { .. } | Self::Remove { .. } | Self::Fsck { repair: Some(_), .. } => true,
        }
    }
}

/// What the image proxy is given.
#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// Which images may be used (containers-policy.json(5)), in place of /etc/containers/policy.json
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Credentials (containers-auth.json(5)), in place of /run/containers/0/auth.json
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// How long a registry may send nothing
    #[arg(long, value_name = "SECONDS")]
    pub(crate) idle_timeout: Option<f64>,
    /// How often a registry may fail in a row
    #[arg(long, value_name = "N")]
    pub(crate) attempts: Option<u32>,
    /// The program that fetches
    #[arg(long, value_name = "FILE", default_value = "/usr/lib/ballast/image-proxy", hide = true)]
    pub(crate) proxy: PathBuf,
}
