//! A running simulator and a bare client for tests.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{HubSpotOptions, Simulator, VendorConfig};
use crate::shutdown::Shutdown;

/// A running simulator and a client that opens one connection per request.
pub(super) struct Probe {
    pub(super) address: SocketAddr,
    pub(super) simulator: Simulator,
    pub(super) shutdown: Shutdown,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name)).map(|(_, value)| value)
    }
}

impl Probe {
    pub(super) async fn start(config: VendorConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
        let simulator = Simulator::new(config);
        tokio::spawn(simulator.clone().serve(listener, shutdown.clone()));
        Self { address, simulator, shutdown }
    }

    pub(super) async fn hubspot() -> Self {
        Self::start(VendorConfig::hubspot(HubSpotOptions::default())).await
    }

    /// `None` when the connection ended without an answer.
    pub(super) async fn try_send(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<Reply> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A connection that is reset says no more than one that is closed.
        stream.read_to_end(&mut bytes).await.ok();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        Some(Reply { status, head, body: bytes[end + 4..].to_vec() })
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.try_send(method, path, "", &body).await.unwrap()
    }

    /// A HubSpot batch of contacts.
    pub(super) async fn contacts(&self, operation: &str, inputs: Value) -> Reply {
        let path = format!("/crm/v3/objects/contacts/batch/{operation}");
        self.send("POST", &path, json!({ "inputs": inputs })).await
    }

    pub(super) async fn control(&self, path: &str, body: Value) -> Value {
        let reply = self.send("POST", &format!("/_sim/{path}"), body).await;
        assert_eq!(reply.status, 200, "{}", reply.json());
        reply.json()
    }

    pub(super) async fn report(&self) -> Value {
        self.send("GET", "/_sim/report", Value::Null).await.json()
    }

    pub(super) async fn records(&self, object: &str) -> Value {
        self.send("GET", &format!("/_sim/records/{object}"), Value::Null).await.json()
    }
}

/// An upsert of one contact by e-mail.
pub(super) fn contact(email: &str, name: &str) -> Value {
    json!({ "id": email, "idProperty": "email", "properties": { "firstname": name }, "objectWriteTraceId": email })
}
