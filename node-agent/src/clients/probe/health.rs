//! The health service that gRPC has by convention: one call, one word.

use anyhow::{Result, bail};
use http::{Uri, uri::PathAndQuery};
use prost::Message;
use tonic::{Code, Request, client::Grpc};
use tonic_prost::ProstCodec;

use super::{authority, connect};
use crate::clients::grpc::Channel;

/// grpc.health.v1.HealthCheckRequest
#[derive(Clone, PartialEq, Message)]
pub(super) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(super) service: String,
}

/// grpc.health.v1.HealthCheckResponse
#[derive(Clone, PartialEq, Message)]
pub(super) struct HealthCheckResponse {
    /// UNKNOWN 0, SERVING 1, NOT_SERVING 2, SERVICE_UNKNOWN 3.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

const SERVING: i32 = 1;

pub(super) async fn check(host: &str, port: u16, service: &str) -> Result<()> {
    let origin: Uri = format!("http://{}", authority(host, port)).parse()?;
    let (channel, connection) = Channel::over(connect(host, port).await?).await?;
    // Whoever stops waiting ends the connection.
    let _ending = Ending(connection);
    let mut grpc = Grpc::with_origin(channel, origin);
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let request = Request::new(HealthCheckRequest { service: service.to_owned() });
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    match grpc.unary(request, path, codec).await.map(tonic::Response::into_inner) {
        Ok(HealthCheckResponse { status: SERVING }) => Ok(()),
        Ok(HealthCheckResponse { status }) => bail!("the health service answers {}", name(status)),
        Err(refusal) if refusal.code() == Code::Unimplemented => bail!("the server has no health service"),
        Err(refusal) => bail!("the health service answers {:?}: {}", refusal.code(), refusal.message()),
    }
}

fn name(status: i32) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("status {other}"),
    }
}

struct Ending(tokio::task::AbortHandle);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}
