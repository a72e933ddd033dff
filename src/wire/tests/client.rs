//! What the client makes of servers that misbehave, and what it refuses to do.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::wire::{
    client::Client,
    credential::Credentials,
    fault::{Fault, FaultKind, Sent},
    limiter::Limiter,
    limits::Limits,
    request::{Class, Request, Response},
    secret::Auth,
    settings::ClientSettings,
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

/// Sends one request to a server that does `act`. Time is paused when `hangs` says that nothing more will come, which lets
/// the timeouts pass at once.
async fn against(act: Act, hangs: bool) -> Result<Response, Fault> {
    let server = Server::start(vec![act]).await;
    let settings = ClientSettings { max_body: 1_000, ..server.settings(Auth::None) };
    let (client, request) = (Client::new(settings, Credentials::None).unwrap(), post(&server, "{}"));
    let sending = tokio::spawn(async move { transmit(&client, &request).await });
    if hangs {
        server.received().await;
        tokio::time::pause();
    }
    sending.await.unwrap()
}

#[tokio::test]
async fn a_request_carries_what_it_was_given() {
    let server = Server::start(vec![answer("207 Multi-Status", "ok")]).await;
    let client = Client::new(server.settings(Auth::None), Credentials::None).unwrap();
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
        (Act::Endless, FaultKind::Protocol),
        (answer("200 OK", &"x".repeat(1_001)), FaultKind::Protocol),
    ];
    for (number, (act, kind)) in cases.into_iter().enumerate() {
        let fault = against(act, false).await.unwrap_err();
        assert_eq!((&fault.kind, fault.sent), (&kind, Sent::Maybe), "case {number}: {fault:?}");
        assert!(!format!("{fault:?}").contains("token=a"), "the URL does not leak");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let fault = against(Act::Hang, true).await.unwrap_err();
    assert_eq!((&fault.kind, fault.sent), (&FaultKind::TimedOut, Sent::Maybe), "{fault:?}");
}

#[tokio::test]
async fn a_server_that_never_ends_its_answer_times_out() {
    let fault = against(Act::HangInBody, true).await.unwrap_err();
    assert_eq!((&fault.kind, fault.sent), (&FaultKind::TimedOut, Sent::Maybe), "{fault:?}");
}

#[tokio::test]
async fn a_body_of_just_the_cap_is_fine() {
    assert_eq!(against(answer("200 OK", &"x".repeat(1_000)), false).await.unwrap().body.len(), 1_000);
}

#[tokio::test]
async fn a_refused_connection_is_certainly_unsent() {
    let server = Server::start(vec![]).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server { address: closed, ..server };
    let client = Client::new(server.settings(Auth::None), Credentials::None).unwrap();
    let fault = transmit(&client, &post(&server, "{}")).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Connect, Sent::No));
}

/// A fatal alert in place of a handshake: `handshake_failure` (40), `protocol_version` (70), `bad_certificate` (42).
async fn alerting(alert: u8) -> Fault {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url: url::Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
            stream.write_all(&[0x15, 3, 3, 0, 2, 2, alert]).await.unwrap();
        }
    });
    let allow_private = vec!["127.0.0.1/32".parse().unwrap()];
    let settings = ClientSettings { allow_private, ..ClientSettings::new(base_url.clone(), Auth::None) };
    let request = Request::new(http::Method::GET, base_url, Class::Read, "/");
    transmit(&Client::new(settings, Credentials::None).unwrap(), &request).await.unwrap_err()
}

#[tokio::test]
async fn a_failed_handshake_is_unsent_and_needs_a_person() {
    for alert in [40, 70, 42] {
        let fault = alerting(alert).await;
        assert_eq!((&fault.kind, fault.sent), (&FaultKind::Tls, Sent::No), "{fault:?}");
    }
}

/// Runs another test of this binary with proxies in its environment, which this process cannot change for itself.
#[cfg(target_os = "linux")]
#[test]
fn proxies_of_the_environment_are_ignored() {
    let mut child = std::process::Command::new("/proc/self/exe");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child.args(["--exact", "wire::tests::client::a_request_carries_what_it_was_given"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let inside = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n".to_owned();
    let response = against(Act::Answer(inside), false).await.unwrap();
    assert_eq!(response.status.as_u16(), 302);
}

#[tokio::test]
async fn another_origin_than_the_base_url_is_blocked() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let client = Client::new(server.settings(Auth::None), Credentials::None).unwrap();
    for other in ["http://127.0.0.1:1/", "https://127.0.0.1/", "http://api.example.com/"] {
        let request = Request::new(http::Method::GET, other.parse().unwrap(), Class::Read, "/");
        let fault = transmit(&client, &request).await.unwrap_err();
        assert_eq!((fault.kind, fault.sent), (FaultKind::Blocked, Sent::No), "{other}");
    }
    assert!(server.requests().is_empty());
}
