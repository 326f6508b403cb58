//! The API server's version.

use http::Request;
use serde::Deserialize;

use crate::client::{ApiClient, Failure};

/// What Kubernetes' version.Info has that is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    git_version: String,
}

/// As `v1.33.0`.
pub(crate) async fn server_version(client: &ApiClient) -> Result<String, Failure> {
    let request = Request::get("/version").body(Vec::new());
    let request = request.map_err(|error| Failure::Unexpected(format!("no request can be made: {error}")))?;
    Ok(client.ask::<Info>(request).await?.git_version)
}
