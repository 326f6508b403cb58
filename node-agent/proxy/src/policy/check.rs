//! Asks the policy whether an image may be used; fetches its signatures if that is required.

use std::{collections::BTreeMap, fmt::Write, time::SystemTime};

use anyhow::{Context, Result};

use super::{
    model::{Policy, Requirement, Signed},
    signature::{self, Accepted, PAYLOAD, SIGNATURE, Wanted},
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

/// Lets the image `name` pass, whose manifest has that digest, or says what was expected of it. What it gives is when the
/// first of the signatures that are needed runs out, in seconds since 1970, if one does.
pub(crate) async fn check(policy: &Policy, source: &Source, name: &ImageName, digest: &Digest) -> Result<Option<u64>> {
    let (requirements, place) = policy.requirements(name);
    let mut until = None;
    for requirement in requirements {
        match requirement {
            Requirement::AcceptAnything => {}
            Requirement::Reject => {
                return refused(format!("the policy rejects {name} ({place})"));
            }
            Requirement::Signed(signed) => {
                let doing = || format!("the policy wants {name} signed ({place})");
                let runs_out = check_signed(signed, source, name, digest).await.with_context(doing)?;
                until = until.into_iter().chain(runs_out).min();
            }
        }
    }
    Ok(until)
}

/// One good signature of each of as many keys as are needed is enough.
async fn check_signed(signed: &Signed, source: &Source, name: &ImageName, digest: &Digest) -> Result<Option<u64>> {
    let name = match name {
        ImageName::Docker(name) => Some(name),
        ImageName::Oci { .. } => None,
    };
    let Signed { keys, identity, max_age, threshold, .. } = signed;
    let wanted = Wanted { digest, name, keys, identity, max_age: *max_age, now: SystemTime::now() };
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
    let mut good = BTreeMap::new();
    // What signs anew appends: of many, the newest are the ones that have not run out.
    for layer in layers.iter().rev().filter(|layer| layer.media_type == PAYLOAD).take(MAX_SIGNATURES) {
        count += 1;
        match check_layer(layer, source, &wanted).await {
            Ok(Accepted { key, until }) => {
                good.entry(key).or_insert(until);
                if good.len() >= threshold.get() {
                    return Ok(good.into_values().flatten().min());
                }
            }
            // Not looked at is not refused.
            Err(error) if failure::kind(&error) == Some(failure::Kind::Unreachable) => return Err(error),
            // Writing to a String cannot fail.
            Err(error) => drop(write!(errors, "; signature {count}: {error:#}")),
        }
    }
    if good.is_empty() {
        return refused(format!("none of its {count} signatures is accepted{errors}"));
    }
    let signers: Vec<&str> = good.keys().filter_map(|key| Some(&*keys.get(*key)?.origin)).collect();
    refused(format!(
        "{threshold} keys must have signed it, and it has good signatures of {}{errors}",
        signers.join(", ")
    ))
}

fn refused<T>(text: String) -> Result<T> {
    Err(Failed::new(failure::Kind::Refused, text).into())
}

async fn check_layer(layer: &Descriptor, source: &Source, wanted: &Wanted<'_>) -> Result<Accepted> {
    let signature =
        layer.annotations.get(SIGNATURE).with_context(|| format!("the annotation {SIGNATURE} is missing"))?;
    let payload = source.blob(&layer.digest, layer.size).await?.read(MAX_PAYLOAD_BYTES).await?;
    signature::check(&payload, signature, wanted)
}
