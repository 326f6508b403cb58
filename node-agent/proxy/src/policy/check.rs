//! Asks the policy whether an image may be used; fetches its signatures if that is required.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::{
    model::{Policy, Requirement, Signed},
    signature::{self, PAYLOAD, SIGNATURE, Wanted},
};
use crate::{
    content::{
        digest::Digest,
        manifest::{Descriptor, Kind},
        reference::ImageName,
    },
    failure::{self, Failed},
    source::Source,
};

/// A payload is a line of JSON.
const MAX_PAYLOAD_BYTES: u64 = 128 * 1024;

/// An image is signed by a few; who stores thousands of signatures wants to keep us busy.
const MAX_SIGNATURES: usize = 64;

/// Lets the image `name` pass, whose manifest has that digest, or says what was expected of it.
pub(crate) async fn check(policy: &Policy, source: &Source, name: &ImageName, digest: &Digest) -> Result<()> {
    let (requirements, place) = policy.requirements(name);
    for requirement in requirements {
        match requirement {
            Requirement::AcceptAnything => {}
            Requirement::Reject => {
                return refused(format!("the policy rejects {name} ({place})"));
            }
            Requirement::Signed(signed) => {
                let doing = || format!("the policy wants {name} signed ({place})");
                check_signed(signed, source, name, digest).await.with_context(doing)?;
            }
        }
    }
    Ok(())
}

/// One good signature is enough.
async fn check_signed(signed: &Signed, source: &Source, name: &ImageName, digest: &Digest) -> Result<()> {
    let name = match name {
        ImageName::Docker(name) => Some(name),
        ImageName::Oci { .. } => None,
    };
    let wanted = Wanted { digest, name, keys: &signed.keys, identity: &signed.identity };
    let tag = format!("sha256-{}.sig", digest.hex());
    let Some(manifest) =
        source.manifest_by_tag(&tag).await.with_context(|| format!("looking for signatures ({tag})"))?
    else {
        return refused(format!("there is no signature, expected one as the image {tag} beside it"));
    };
    let Kind::Image { layers, .. } = manifest.kind else {
        return refused(format!("{tag} is an index, expected an image with signatures"));
    };
    let mut errors = String::new();
    let mut count = 0;
    for layer in layers.iter().filter(|layer| layer.media_type == PAYLOAD).take(MAX_SIGNATURES) {
        count += 1;
        match check_layer(layer, source, &wanted).await {
            Ok(()) => return Ok(()),
            // Not looked at is not refused.
            Err(error) if failure::kind(&error) == Some(failure::Kind::Unreachable) => return Err(error),
            // Writing to a String cannot fail.
            Err(error) => drop(write!(errors, "; signature {count}: {error:#}")),
        }
    }
    refused(format!("none of its {count} signatures is accepted{errors}"))
}

fn refused(text: String) -> Result<()> {
    Err(Failed::new(failure::Kind::Refused, text).into())
}

async fn check_layer(layer: &Descriptor, source: &Source, wanted: &Wanted<'_>) -> Result<()> {
    let signature =
        layer.annotations.get(SIGNATURE).with_context(|| format!("the annotation {SIGNATURE} is missing"))?;
    let payload = source.blob(&layer.digest, layer.size).await?.read(MAX_PAYLOAD_BYTES).await?;
    signature::check(&payload, signature, wanted)
}
