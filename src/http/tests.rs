//! The server over real loopback connections.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::shutdown::Shutdown;

struct Server {
    address: SocketAddr,
    health: Arc<Health>,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), ServeError>>,
}

async fn start(max_silence: Duration) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (health, shutdown) = (Arc::new(Health::new(max_silence)), Shutdown::new());
    let task = tokio::spawn(serve(listener, Arc::clone(&health), shutdown.clone()));
    Server { address, health, shutdown, task }
}

impl Server {
    /// Sends raw bytes and returns all that comes back until the server closes.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _closed_early = stream.read_to_end(&mut answer).await.is_err();
        String::from_utf8(answer).unwrap()
    }

    async fn status(&self, path: &str, host: &str) -> String {
        let answer = self.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn ready_follows_the_scheduler() {
    let server = start(Duration::from_secs(60)).await;
    assert_eq!(server.status("/healthz", "localhost").await, "200");
    assert_eq!(server.status("/readyz", "localhost").await, "503");
    server.health.ready(true);
    assert_eq!(server.status("/readyz", "127.0.0.1").await, "200");
    server.health.ready(false);
    assert_eq!(server.status("/readyz", "localhost").await, "503");
    assert_eq!(server.status("/elsewhere", "localhost").await, "404");
}

#[tokio::test(start_paused = true)]
async fn silence_of_the_scheduler_shows() {
    let health = Health::new(Duration::from_secs(30));
    health.ready(true);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(health.is_ready());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(health.liveness(), Liveness::Silent(Duration::from_secs(31)));
    assert!(!health.is_ready());
    health.beat();
    assert!(health.is_ready());
}

#[tokio::test]
async fn a_stuck_scheduler_answers_503() {
    let server = start(Duration::ZERO).await;
    // Any time at all is now too long; the answer itself takes some.
    while server.status("/healthz", "localhost").await != "503" {}
    assert!(server.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.contains("silent_ms"));
}

#[tokio::test]
async fn foreign_hosts_are_misdirected() {
    let server = start(Duration::from_secs(60)).await;
    for host in ["127.evil.com", "evil.com", "localhost.evil.com:80"] {
        assert_eq!(server.status("/healthz", host).await, "421", "{host}");
    }
    assert!(server.send("GET /healthz HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 421"));
}

#[tokio::test]
async fn bodies_methods_and_long_heads_are_refused() {
    let server = start(Duration::from_secs(60)).await;
    let with_body = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
    assert!(server.send(with_body).await.starts_with("HTTP/1.1 413"));
    let chunked = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(server.send(chunked).await.starts_with("HTTP/1.1 413"));
    let post = "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    assert!(server.send(post).await.starts_with("HTTP/1.1 405"));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert!(server.send(&many).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_let_go() {
    let server = start(Duration::from_secs(60)).await;
    let began = tokio::time::Instant::now();
    let answer = server.send("GET /healthz HTTP/1.1\r\nHost: ").await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn it_stops_when_asked_and_frees_its_port() {
    let server = start(Duration::from_secs(60)).await;
    assert_eq!(server.status("/healthz", "localhost").await, "200");
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(listener, Arc::new(Health::new(Duration::from_secs(1))), Shutdown::new()).await;
    assert!(matches!(refused, Err(ServeError::NotLoopback { .. })));
}
