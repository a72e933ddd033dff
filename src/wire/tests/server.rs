//! A server that does to one request after the other what a script says.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::wire::{Auth, ClientSettings};

/// What happens to one request.
#[derive(Clone)]
pub(super) enum Act {
    /// These bytes are the answer.
    Answer(String),
    /// The connection is closed without an answer, once the request is read.
    Close,
    /// These bytes, then the connection is closed.
    Cut(String),
    /// Nothing, for ever.
    Hang,
    /// Headers that promise a body, then nothing.
    HangInBody,
    /// A body without end.
    Endless,
}

pub(super) fn answer(status: &str, body: &str) -> Act {
    Act::Answer(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) requests: watch::Sender<Vec<String>>,
}

impl Server {
    /// Plays `script` request by request and repeats its last act.
    pub(super) async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = watch::Sender::new(Vec::new());
        let (seen, script) = (requests.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), seen.clone()));
            }
        });
        Self { address, requests }
    }

    /// The requests so far: head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// Waits for the first request.
    pub(super) async fn received(&self) {
        self.requests.subscribe().wait_for(|requests| !requests.is_empty()).await.unwrap();
    }

    /// Settings that reach this server.
    pub(super) fn settings(&self, auth: Auth) -> ClientSettings {
        let base_url = format!("http://{}/", self.address).parse().unwrap();
        let allow_private = vec!["127.0.0.1/32".parse().unwrap()];
        ClientSettings { allow_private, ..ClientSettings::new(base_url, auth) }
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Vec<Act>>, seen: watch::Sender<Vec<String>>) {
    while let Some(request) = read(&mut stream).await {
        let mut number = 0;
        seen.send_modify(|seen| {
            number = seen.len();
            seen.push(request);
        });
        let act = script.get(number).or(script.last()).unwrap().clone();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
        match act {
            Act::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Act::Cut(text) => return stream.write_all(text.as_bytes()).await.unwrap(),
            Act::Close => return,
            Act::Hang => std::future::pending::<()>().await,
            Act::HangInBody => {
                stream.write_all(head.as_bytes()).await.unwrap();
                std::future::pending::<()>().await;
            }
            Act::Endless => {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {}
                return;
            }
        }
    }
}

/// One request, or `None` at the connection's end.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse::<usize>().unwrap() {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
