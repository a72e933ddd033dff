//! Kinds of authentication, and access tokens, against scripted servers.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use secrecy::SecretString;

use super::server::{Act, Server, answer};
use crate::{
    clock::Clock,
    shutdown::Shutdown,
    wire::{
        Account, Accounts, Auth, Class, ClientStyle, Fault, FaultKind, FixedSecret, HoldReason, HoldState, Limits,
        NoStore, OAuth, OAuthGrant, Request, SecretProvider, Sent, SettingsError,
    },
};

fn secret(text: &str) -> Arc<dyn SecretProvider> {
    Arc::new(FixedSecret(SecretString::from(text)))
}

fn oauth(endpoint: &Server) -> OAuth {
    OAuth {
        token_url: format!("http://{}/token", endpoint.address).parse().unwrap(),
        allow_private: vec!["127.0.0.1/32".parse().unwrap()],
        client_id: secret("client"),
        client_secret: secret("hush"),
        grant: OAuthGrant::ClientCredentials,
        scope: None,
        audience: None,
        style: ClientStyle::Body,
        shared_as: 1,
    }
}

async fn account(server: &Server, auth: Auth) -> Account {
    let accounts = Accounts::new(Clock::system(), Arc::new(NoStore), Shutdown::new());
    let settings = server.settings(auth);
    let provisional = accounts.provisional(settings, Limits::default(), NonZeroU32::MIN).unwrap();
    accounts.adopt(provisional, "vendor:1").await.unwrap()
}

async fn send(account: &Account, server: &Server) -> Result<u16, Fault> {
    let url = format!("http://{}/me?a=b", server.address).parse().unwrap();
    let request = Request::new(http::Method::GET, url, Class::Read, "/me");
    account.send(request).await.map(|answer| answer.status.as_u16())
}

fn token(name: &str) -> Act {
    answer("200 OK", &format!(r#"{{"access_token": "{name}", "expires_in": 1000}}"#))
}

fn authorizations(server: &Server) -> Vec<String> {
    let find = |request: &String| {
        request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("none").to_owned()
    };
    server.requests().iter().map(find).collect()
}

#[tokio::test]
async fn secrets_stand_where_they_belong() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let auths = [
        Auth::Basic { user: secret("u"), password: secret("p:w") },
        Auth::Header { name: "x-api-key".parse().unwrap(), secret: secret("key") },
        Auth::Query { name: "api key".to_owned(), secret: secret("k&y") },
    ];
    for auth in auths {
        send(&account(&server, auth).await, &server).await.unwrap();
    }
    let requests = server.requests();
    assert!(requests[0].contains("authorization: Basic dTpwOnc=\r\n"), "{}", requests[0]);
    assert!(requests[1].contains("x-api-key: key\r\n"), "{}", requests[1]);
    assert!(requests[2].starts_with("GET /me?a=b&api+key=k%26y HTTP"), "{}", requests[2]);
    let colon = Auth::Basic { user: secret("u:v"), password: secret("p") };
    let fault = send(&account(&server, colon).await, &server).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Credentials, Sent::No));
}

#[tokio::test]
async fn a_401_renews_the_token_once_and_repeats_once() {
    let endpoint = Server::start(vec![token("a"), token("b"), token("c")]).await;
    let ok = answer("200 OK", "");
    let bad = answer("401 Unauthorized", "");
    let server = Server::start(vec![ok, bad.clone(), bad]).await;
    let account = account(&server, Auth::OAuth(Box::new(oauth(&endpoint)))).await;
    assert_eq!(send(&account, &server).await.unwrap(), 200);
    assert_eq!(send(&account, &server).await.unwrap(), 401);
    assert_eq!(authorizations(&server), ["Bearer a", "Bearer a", "Bearer b"]);
    assert_eq!(endpoint.requests().len(), 2);
    assert!(endpoint.requests()[0].starts_with("POST /token HTTP"), "{}", endpoint.requests()[0]);
    assert_eq!(account.hold_state(), HoldState::Open, "the endpoint's word counts, not the API's");
}

#[tokio::test]
async fn a_dead_grant_shuts_the_hold_until_other_credentials_are_accepted() {
    let endpoint = Server::start(vec![answer("400 Bad Request", r#"{"error": "invalid_grant"}"#)]).await;
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let account = account(&server, Auth::OAuth(Box::new(oauth(&endpoint)))).await;
    let fault = send(&account, &server).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Credentials, Sent::No));
    let shut = HoldState::Shut(HoldReason::Credentials);
    assert_eq!(account.hold_state(), shut);
    assert_eq!(send(&account, &server).await.unwrap_err().kind, FaultKind::Held(shut));
    assert!(server.requests().is_empty());
    assert_eq!((endpoint.requests().len(), account.stats().requests), (1, 0), "what never left counts nowhere");
    account.credentials_accepted();
    assert_eq!(account.hold_state(), HoldState::Open);
    account.hold_for(Duration::from_secs(600), HoldReason::RetryAfter);
    account.shut(HoldReason::Credentials);
    account.credentials_accepted();
    let waits = |state| matches!(state, HoldState::Until { reason: HoldReason::RetryAfter, .. });
    assert!(waits(account.hold_state()), "what the vendor asked for is not forgotten");
    account.shut(HoldReason::Operator);
    account.credentials_accepted();
    assert_eq!(account.hold_state(), HoldState::Shut(HoldReason::Operator));
}

#[tokio::test]
async fn trouble_of_the_endpoint_is_certainly_unsent_and_shuts_nothing() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let large = format!(r#"{{"access_token": "{}"}}"#, "x".repeat(70_000));
    let table = [
        (answer("503 Service Unavailable", ""), FaultKind::Server),
        (Act::Close, FaultKind::Dropped),
        (answer("200 OK", &large), FaultKind::Protocol),
        (Act::Answer("HTTP/1.1 307 Away\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_owned()), FaultKind::Settings),
    ];
    for (act, kind) in table {
        let endpoint = Server::start(vec![act, token("a")]).await;
        let account = account(&server, Auth::OAuth(Box::new(oauth(&endpoint)))).await;
        let fault = send(&account, &server).await.unwrap_err();
        assert_eq!((&fault.kind, fault.sent), (&kind, Sent::No), "{fault:?}");
        assert_eq!(account.hold_state(), HoldState::Open);
        assert_eq!(send(&account, &server).await.unwrap(), 200, "{kind:?}");
    }
}

#[tokio::test]
async fn the_endpoint_has_an_address_guard_of_its_own() {
    let endpoint = Server::start(vec![token("a")]).await;
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let guarded = OAuth { allow_private: Vec::new(), ..oauth(&endpoint) };
    let accounts = Accounts::new(Clock::system(), Arc::new(NoStore), Shutdown::new());
    let settings = server.settings(Auth::OAuth(Box::new(guarded)));
    let refused = accounts.provisional(settings, Limits::default(), NonZeroU32::MIN);
    assert!(matches!(refused, Err(SettingsError::TokenUrl(_))));
    assert!(endpoint.requests().is_empty());
}

#[tokio::test]
async fn two_destinations_of_one_credential_share_its_token() {
    let endpoint = Server::start(vec![token("a")]).await;
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let accounts = Accounts::new(Clock::system(), Arc::new(NoStore), Shutdown::new());
    for shared_as in [1, 1, 2] {
        let auth = Auth::OAuth(Box::new(OAuth { shared_as, ..oauth(&endpoint) }));
        let provisional = accounts.provisional(server.settings(auth), Limits::default(), NonZeroU32::MIN).unwrap();
        let account = accounts.adopt(provisional, "vendor:1").await.unwrap();
        send(&account, &server).await.unwrap();
    }
    assert_eq!(endpoint.requests().len(), 2);
}

#[tokio::test]
async fn no_request_begins_after_its_time_because_of_a_slow_token() {
    let endpoint = Server::start(vec![Act::Hang]).await;
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let account = account(&server, Auth::OAuth(Box::new(oauth(&endpoint)))).await;
    let fault = send(&account.within(Duration::from_millis(50)), &server).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Expired, Sent::No));
    assert!(server.requests().is_empty() && endpoint.requests().len() == 1);
}
