//! The other end of the health server: one question, one status.

use std::{
    io::{Error, ErrorKind},
    net::SocketAddr,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A status line is shorter.
const MAX_HEAD: u64 = 256;

/// Asks the health server of a daemon on this machine for `path`, and gives the HTTP status.
///
/// # Errors
/// When nothing listens there, or what answers is no HTTP server.
pub async fn probe(address: SocketAddr, path: &str) -> Result<u16, Error> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    stream.take(MAX_HEAD).read_to_end(&mut head).await?;
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is not HTTP"))
}
