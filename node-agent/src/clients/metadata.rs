//! HTTP to a service on the link: one request a connection, no redirects, no proxy, small answers.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Uri, header::HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// The service is a hop away: what takes longer is not there yet.
const DEADLINE: Duration = Duration::from_secs(10);

/// Ports that only root may send from, above those that well-known services have.
const PRIVILEGED_PORTS: std::ops::RangeInclusive<u16> = 600..=1023;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Any port.
    AnyPort,
    /// One below 1024. It takes CAP_NET_BIND_SERVICE.
    PrivilegedPort,
}

/// Sends a request of this method for `path` to `address`, and returns the status and the body, of which at most `max_bytes` are read.
///
/// # Errors
/// If no answer comes, or a longer one.
pub async fn ask(
    address: SocketAddr,
    from: From,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    max_bytes: usize,
) -> Result<(u16, Vec<u8>)> {
    let uri: Uri = path.parse().context("the path")?;
    let method = Method::from_bytes(method.as_bytes()).context("the method")?;
    let mut request = Request::builder().method(method).uri(uri).header(HOST, address.ip().to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).context("the request")?;
    let exchange = async {
        let stream = connect(address, from).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the request's end, or when this is given up.
        let reading = tokio::spawn(connection);
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), max_bytes).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("reading the answer: {error}"))?;
            anyhow::Ok((status, body.to_bytes().to_vec()))
        };
        let answer = answer.await;
        reading.abort();
        answer
    };
    let answer = timeout(DEADLINE, exchange).await;
    answer
        .with_context(|| format!("no answer within {} s", DEADLINE.as_secs()))?
        .with_context(|| format!("asking {address}"))
}

async fn connect(address: SocketAddr, from: From) -> Result<TcpStream> {
    if from == From::AnyPort {
        return Ok(TcpStream::connect(address).await?);
    }
    for port in PRIVILEGED_PORTS {
        let (socket, any) = match address {
            SocketAddr::V4(_) => (TcpSocket::new_v4()?, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            SocketAddr::V6(_) => (TcpSocket::new_v6()?, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        };
        match socket.bind(SocketAddr::new(any, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
            bound => bound.with_context(|| format!("sending from port {port}, as the service wants it"))?,
        }
        match socket.connect(address).await {
            // The last connection from this port is not forgotten yet.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {}
            connected => return Ok(connected?),
        }
    }
    bail!("all ports from {} to {} are in use", PRIVILEGED_PORTS.start(), PRIVILEGED_PORTS.end())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn server(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let count = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        (address, asked)
    }

    #[tokio::test]
    async fn a_request_is_sent_and_its_answer_read() {
        let (address, asked) = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken").await;
        let answer = ask(address, From::AnyPort, "PUT", "/latest/api/token", &[("X-Secs", "300")], 100).await.unwrap();
        assert_eq!(answer, (200, b"token".to_vec()));
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("PUT /latest/api/token HTTP/1.1\r\nhost: 127.0.0.1\r\nx-secs: 300\r\n"), "{asked}");
        let (address, _) = server("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(ask(address, From::AnyPort, "GET", "/", &[], 100).await.unwrap().0, 302);
    }

    #[tokio::test]
    async fn root_asks_from_a_port_that_shows_it() {
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let port = tokio::spawn(async move {
                let (mut stream, from) = listener.accept().await.unwrap();
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                from.port()
            });
            match ask(address, From::PrivilegedPort, "GET", "/user_data/cloud-init", &[], 8).await {
                Ok(answer) => {
                    assert_eq!(answer, (204, Vec::new()));
                    assert!(PRIVILEGED_PORTS.contains(&port.await.unwrap()));
                }
                // Whoever runs this may not be root.
                Err(error) => assert!(format!("{error:#}").contains("sending from port 600"), "{error:#}"),
            }
        }
    }

    #[tokio::test]
    async fn what_is_too_long_or_nonsense_is_an_error() {
        for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", "nonsense\r\n\r\n", ""] {
            let (address, _) = server(answer).await;
            let error = ask(address, From::AnyPort, "GET", "/", &[], 8).await.unwrap_err();
            assert!(error.to_string().starts_with("asking 127.0.0.1:"), "{error:#}");
        }
    }
}
