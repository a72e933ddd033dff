//! What the client makes of servers that misbehave, and what it refuses to do.

use std::{sync::Arc, time::Duration};

use crate::wire::{
    client::Client,
    fault::{Fault, FaultKind, Sent},
    limiter::Limiter,
    limits::Limits,
    request::{Class, Request, Response},
    secret::Auth,
};

use super::server::{Act, Server, answer};

/// Sends once, without an account.
pub(super) async fn transmit(client: &Client, request: &Request) -> Result<Response, Fault> {
    client.admit(&request.url)?;
    let limiter = Limiter::new(&Limits::default(), std::num::NonZeroU32::MIN, Default::default(), Default::default());
    let mut ticket = Arc::new(limiter).acquire(request.class, request.weight).await.unwrap();
    client.transmit(request, None, ticket.handed()).await
}

fn post(server: &Server, body: &'static str) -> Request {
    let url = format!("http://{}/things?token=a", server.address).parse().unwrap();
    Request::new(http::Method::POST, url, Class::Write, "/things").json(body)
}

/// Sends one request to a server that does `act`, with short timeouts.
async fn against(act: Act) -> Result<Response, Fault> {
    let server = Server::start(vec![act]).await;
    let mut settings = server.settings(Auth::None);
    (settings.connect_timeout, settings.request_timeout) = (Duration::from_millis(250), Duration::from_millis(300));
    settings.max_body = 1_000;
    transmit(&Client::new(settings).unwrap(), &post(&server, "{}")).await
}

#[tokio::test]
async fn a_request_carries_what_it_was_given() {
    let server = Server::start(vec![answer("207 Multi-Status", "ok")]).await;
    let client = Client::new(server.settings(Auth::None)).unwrap();
    let response = transmit(&client, &post(&server, r#"{"a":1}"#)).await.unwrap();
    assert_eq!((response.status.as_u16(), &response.body[..]), (207, &b"ok"[..]));
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /things?token=a HTTP/1.1\r\n"), "{request}");
    for part in ["content-length: 7\r\n", "content-type: application/json\r\n", "user-agent: syncline/", r#"{"a":1}"#] {
        assert!(request.contains(part), "{part} is missing in {request}");
    }
    assert!(!request.contains("accept-encoding") && !request.contains("transfer-encoding"), "{request}");
}

#[tokio::test]
async fn what_may_have_arrived_is_never_called_unsent() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345".to_owned();
    let cases = [
        (Act::Close, FaultKind::Dropped),
        (Act::Cut("HTTP/1.1 20".to_owned()), FaultKind::Dropped),
        (Act::Cut(half), FaultKind::Dropped),
        (Act::Answer("nonsense\r\n\r\n".to_owned()), FaultKind::Dropped),
        (Act::Hang, FaultKind::TimedOut),
        (Act::HangInBody, FaultKind::TimedOut),
        (Act::Endless, FaultKind::Protocol),
        (answer("200 OK", &"x".repeat(1_001)), FaultKind::Protocol),
    ];
    for (number, (act, kind)) in cases.into_iter().enumerate() {
        let fault = against(act).await.unwrap_err();
        assert_eq!((&fault.kind, fault.sent), (&kind, Sent::Maybe), "case {number}: {fault:?}");
        assert!(!format!("{fault:?}").contains("token=a"), "the URL does not leak");
    }
}

#[tokio::test]
async fn a_body_of_just_the_cap_is_fine() {
    assert_eq!(against(answer("200 OK", &"x".repeat(1_000))).await.unwrap().body.len(), 1_000);
}

#[tokio::test]
async fn a_refused_connection_is_certainly_unsent() {
    let server = Server::start(vec![]).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server { address: closed, ..server };
    let client = Client::new(server.settings(Auth::None)).unwrap();
    let fault = transmit(&client, &post(&server, "{}")).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Connect, Sent::No));
}

#[tokio::test]
async fn a_server_without_tls_is_no_connection() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let mut settings = server.settings(Auth::None);
    settings.base_url.set_scheme("https").unwrap();
    let mut request = post(&server, "{}");
    request.url.set_scheme("https").unwrap();
    // The server answers the handshake with nothing that is TLS, or waits for the end of a head that never comes.
    settings.connect_timeout = Duration::from_millis(250);
    let fault = transmit(&Client::new(settings).unwrap(), &request).await.unwrap_err();
    assert_eq!(fault.sent, Sent::No, "{fault:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let inside = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n".to_owned();
    let response = against(Act::Answer(inside)).await.unwrap();
    assert_eq!(response.status.as_u16(), 302);
}

#[tokio::test]
async fn another_origin_than_the_base_url_is_blocked() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let client = Client::new(server.settings(Auth::None)).unwrap();
    for other in ["http://127.0.0.1:1/", "https://127.0.0.1/", "http://api.example.com/"] {
        let request = Request::new(http::Method::GET, other.parse().unwrap(), Class::Read, "/");
        let fault = transmit(&client, &request).await.unwrap_err();
        assert_eq!((fault.kind, fault.sent), (FaultKind::Blocked, Sent::No), "{other}");
    }
    assert!(server.requests().is_empty());
}
