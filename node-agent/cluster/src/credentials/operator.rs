//! What an operator elsewhere learns of a node from its NodeOS, with a kubeconfig: where the node's API is, and by what it is known.

use http::StatusCode;
use serde::Deserialize;

use super::kubeconfig;
use crate::{client, model::ApiStatus};

/// Names of nodes have such letters (RFC 1123).
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(fits)
}

#[derive(Deserialize)]
struct Object {
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    api: Option<ApiStatus>,
}

/// Where the API of the node `name` is, by the cluster that `kubeconfig` leads to.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn node_api(kubeconfig: &str, name: &str) -> Result<ApiStatus, String> {
    if !is_name(name) {
        return Err(format!("{name:?} is no name of a NodeOS, expected small letters, digits, hyphens and dots"));
    }
    let read = kubeconfig::read(kubeconfig).map_err(|wrong| {
        format!("{wrong}; kubectl config view --minify --flatten writes one in which everything stands")
    })?;
    let server = read.server.ok_or("its cluster has no server")?;
    let path = format!("/apis/os.ballast.dev/v1alpha1/nodeoses/{name}");
    let (status, body) = client::get(&server, &read.trust, &read.identity, &path).await?;
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(format!("{server} has no NodeOS {name}; kubectl get nodeos lists them")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(format!("{server} does not let this user read NodeOS {name} ({status})"));
        }
        _ => return Err(format!("{server} answered {status}")),
    }
    let object: Object =
        serde_json::from_slice(&body).map_err(|error| format!("{server} answered with no NodeOS: {error}"))?;
    object.status.and_then(|status| status.api).ok_or_else(|| {
        format!("NodeOS {name} has no status.api: the node's settings have no [api], or its release is older than that")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        for (name, expected) in
            [("node-1.example", true), ("", false), ("../pods", false), ("a?b", false), ("A", false)]
        {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }
}
