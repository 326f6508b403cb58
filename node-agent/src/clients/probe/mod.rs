//! Programs in containers, asked as a probe asks: one connection for each question, whatever certificate is shown.

mod health;
mod page;
mod tls;

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

pub use self::page::Get;

/// Connects to `port` of `host`, and ends the connection.
///
/// # Errors
/// If it is not accepted within `limit`.
pub async fn connects(host: &str, port: u16, limit: Duration) -> Result<()> {
    within(limit, connect(host, port)).await.map(drop)
}

/// Asks for a page; its status is good from 200 to 399.
///
/// # Errors
/// If no answer comes within `limit`, or another status.
pub async fn get(get: &Get<'_>, limit: Duration) -> Result<()> {
    let status = within(limit, page::status(get)).await?;
    match status {
        200..=399 => Ok(()),
        status => bail!("HTTP status {status}"),
    }
}

/// Asks the health service of gRPC for `service`, over plain HTTP/2 (grpc/grpc, doc/health-checking.md).
///
/// # Errors
/// If no answer comes within `limit`, or another than SERVING.
pub async fn serves(host: &str, port: u16, service: &str, limit: Duration) -> Result<()> {
    within(limit, health::check(host, port, service)).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, work).await.with_context(|| format!("no answer within {} s", limit.as_secs_f32()))?
}

async fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let connected = match host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect((address, port)).await,
        Err(_) => {
            let addresses: Vec<_> =
                lookup_host((host, port)).await.with_context(|| format!("looking for {host}"))?.collect();
            TcpStream::connect(&*addresses).await
        }
    };
    connected.with_context(|| format!("connecting to {}", authority(host, port)))
}

/// As in a URL: an address of version 6 stands in brackets.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests;
