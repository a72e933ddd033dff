//! Accounts against a scripted server: credentials, shared limits, outage, counts.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{
    clock::Clock,
    shutdown::Shutdown,
    wire::{
        Account, Accounts, Auth, Class, FaultKind, HoldReason, HoldState, Limits, NoStore, QuotaStore, Request,
        SavedGrants, SecretError, SecretProvider, Sent, StoreError, Window, locked,
    },
};

use super::server::{Act, Server, answer};

/// Gives one secret after the other.
struct Rotating(&'static [&'static str], AtomicUsize);

#[async_trait]
impl SecretProvider for Rotating {
    async fn read(&self) -> Result<SecretString, SecretError> {
        let number = self.1.fetch_add(1, Ordering::Relaxed);
        match self.0.get(number.min(self.0.len().saturating_sub(1))) {
            Some(secret) => Ok(SecretString::from(*secret)),
            None => Err(SecretError { reference: "env `TOKEN`".to_owned(), source: None }),
        }
    }
}

fn bearer(secrets: &'static [&'static str]) -> Auth {
    Auth::Bearer(Arc::new(Rotating(secrets, AtomicUsize::new(0))))
}

fn accounts(store: impl QuotaStore + 'static) -> Accounts {
    Accounts::new(Clock::system(), Arc::new(store), Shutdown::new())
}

fn hundred_per_hour() -> Limits {
    let requests = NonZeroU32::new(100).unwrap();
    Limits { windows: vec![Window::new(requests, Duration::from_secs(3600))], ..Limits::default() }
}

async fn account(server: &Server, auth: Auth) -> Account {
    let accounts = accounts(NoStore);
    let provisional = accounts.provisional(server.settings(auth), hundred_per_hour(), NonZeroU32::MIN).unwrap();
    accounts.adopt(provisional, "vendor:1").await.unwrap()
}

fn get(server: &Server) -> Request {
    let url = format!("http://{}/me", server.address).parse().unwrap();
    Request::new(http::Method::GET, url, Class::Read, "/me")
}

fn tokens(server: &Server) -> Vec<String> {
    let token = |request: &String| {
        request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("none").to_owned()
    };
    server.requests().iter().map(token).collect()
}

#[tokio::test]
async fn a_401_is_repeated_once_with_a_newer_secret() {
    let server = Server::start(vec![answer("401 Unauthorized", ""), answer("200 OK", "")]).await;
    let account = account(&server, bearer(&["old", "new"])).await;
    assert_eq!(account.send(get(&server)).await.unwrap().status, 200);
    assert_eq!(account.send(get(&server)).await.unwrap().status, 200);
    assert_eq!(tokens(&server), ["Bearer old", "Bearer new", "Bearer new"]);
    let stats = account.stats();
    assert_eq!((stats.requests, stats.windows[0].used), (3, 3), "the repeat costs a request");
}

#[tokio::test]
async fn a_401_with_the_same_secret_is_not_repeated_and_never_more_than_once() {
    let server = Server::start(vec![answer("401 Unauthorized", "")]).await;
    let same = account(&server, bearer(&["same"])).await;
    assert_eq!(same.send(get(&server)).await.unwrap().status, 401);
    let changing = account(&server, bearer(&["a", "b", "c", "d"])).await;
    assert_eq!(changing.send(get(&server)).await.unwrap().status, 401);
    assert_eq!(tokens(&server), ["Bearer same", "Bearer a", "Bearer b"]);
}

#[tokio::test]
async fn many_401s_at_once_read_the_secret_once() {
    let server = Server::start(vec![answer("401 Unauthorized", ""); 8]).await;
    let provider = Arc::new(Rotating(&["old", "new"], AtomicUsize::new(0)));
    let account = account(&server, Auth::Bearer(provider.clone())).await;
    let sends: Vec<_> = (0..8).map(|_| account.send(get(&server))).collect();
    futures_util::future::join_all(sends).await;
    assert_eq!(provider.1.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn unreadable_or_unsendable_secrets_are_a_fault_that_shows_nothing() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    for secrets in [&[][..], &["hush\nhush"][..]] {
        let fault = account(&server, bearer(secrets)).await.send(get(&server)).await.unwrap_err();
        assert_eq!((&fault.kind, fault.sent), (&FaultKind::Credentials, Sent::No));
        assert!(!format!("{fault:?}").contains("hush"));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn two_destinations_of_one_account_share_limits_and_hold() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let accounts = accounts(NoStore);
    let open = |limits| accounts.provisional(server.settings(Auth::None), limits, NonZeroU32::MIN).unwrap();
    let first = accounts.adopt(open(hundred_per_hour()), "vendor:1").await.unwrap();
    first.send(get(&server)).await.unwrap();
    let mut narrower = hundred_per_hour();
    narrower.windows[0].requests = NonZeroU32::new(3).unwrap();
    let provisional = open(narrower);
    provisional.account().send(get(&server)).await.unwrap();
    let second = accounts.adopt(provisional, "vendor:1").await.unwrap();
    second.send(get(&server)).await.unwrap();

    let full = first.send(get(&server)).await.unwrap_err();
    assert!(matches!(full.kind, FaultKind::QuotaSpent { until: Some(_) }), "{full:?}");
    second.shut(HoldReason::Credentials);
    assert_eq!(first.hold_state(), HoldState::Shut(HoldReason::Credentials));
    first.credentials_accepted();
    assert_eq!(second.hold_state(), HoldState::Open);
    let other = accounts.adopt(open(hundred_per_hour()), "vendor:2").await.unwrap();
    assert!(other.send(get(&server)).await.is_ok(), "another account has its own");
}

#[tokio::test]
async fn a_smooth_rate_that_becomes_a_window_does_not_begin_afresh() {
    let accounts = accounts(NoStore);
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let mut smooth = hundred_per_hour();
    smooth.windows[0].smooth = true;
    let provisional = accounts.provisional(server.settings(Auth::None), smooth, NonZeroU32::MIN).unwrap();
    let account = accounts.adopt(provisional, "vendor:1").await.unwrap();
    account.send(get(&server)).await.unwrap();
    account.relimit(&hundred_per_hour());
    assert_eq!(account.stats().windows[0].used, 100);
    assert!(matches!(account.send(get(&server)).await.unwrap_err().kind, FaultKind::QuotaSpent { .. }));
}

#[tokio::test]
async fn other_limits_do_not_begin_afresh() {
    let accounts = accounts(NoStore);
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let provisional = accounts.provisional(server.settings(Auth::None), hundred_per_hour(), NonZeroU32::MIN).unwrap();
    let account = accounts.adopt(provisional, "vendor:1").await.unwrap();
    let used = |account: &Account| {
        account.stats().windows.iter().map(|window| (window.used, window.limit)).collect::<Vec<_>>()
    };
    account.send(get(&server)).await.unwrap();
    account.send(get(&server)).await.unwrap();
    let mut wider = hundred_per_hour();
    wider.windows[0].requests = NonZeroU32::new(200).unwrap();
    wider.windows[0].per = Duration::from_secs(7200);
    account.relimit(&wider);
    assert_eq!(used(&account), [(2, 200)]);
    let mut narrower = hundred_per_hour();
    narrower.windows[0].requests = NonZeroU32::new(2).unwrap();
    account.relimit(&narrower);
    let full = account.send(get(&server)).await.unwrap_err();
    assert!(matches!(full.kind, FaultKind::QuotaSpent { until: Some(_) }), "{full:?}");
    account.relimit(&wider);
    account.send(get(&server)).await.unwrap();
    assert_eq!(used(&account), [(3, 200)]);
}

/// Keeps what was saved last.
#[derive(Default)]
struct Memory(Mutex<Option<SavedGrants>>);

#[async_trait]
impl QuotaStore for Arc<Memory> {
    async fn load_grants(&self, account: &str) -> Result<Option<SavedGrants>, StoreError> {
        assert_eq!(account, "vendor:1");
        Ok(locked(&self.0).clone())
    }

    async fn save_grants(&self, account: &str, grants: &SavedGrants) -> Result<(), StoreError> {
        assert_eq!(account, "vendor:1");
        *locked(&self.0) = Some(grants.clone());
        Ok(())
    }
}

#[tokio::test]
async fn saved_grants_count_after_a_restart() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let memory = Arc::new(Memory::default());
    for sent in [60, 40] {
        let accounts = accounts(memory.clone());
        let provisional =
            accounts.provisional(server.settings(Auth::None), hundred_per_hour(), NonZeroU32::MIN).unwrap();
        let account = accounts.adopt(provisional, "vendor:1").await.unwrap();
        for _ in 0..sent {
            account.send(get(&server)).await.unwrap();
        }
        accounts.save().await.unwrap();
        assert_eq!(account.send(get(&server)).await.is_ok(), sent == 60);
    }
    assert_eq!(server.requests().len(), 101);
}

#[tokio::test]
async fn three_failures_in_a_row_put_the_account_on_hold() {
    let bad = answer("503 Service Unavailable", "");
    let server = Server::start(vec![bad.clone(), bad.clone(), answer("400 Bad Request", ""), bad, Act::Close]).await;
    let account = account(&server, Auth::None).await;
    for _ in 0..5 {
        assert_eq!(account.hold_state(), HoldState::Open, "a 400 shows that the vendor is there");
        account.send(get(&server)).await.ok();
    }
    account.send(get(&server)).await.unwrap_err();
    assert!(matches!(account.hold_state(), HoldState::Until { reason: HoldReason::Outage, .. }));
}

#[tokio::test]
async fn what_certainly_never_left_does_not_count() {
    let server = Server::start(vec![answer("429 Too Many Requests", "")]).await;
    let account = account(&server, Auth::None).await;
    account.send(get(&server)).await.unwrap();
    let mut elsewhere = get(&server);
    elsewhere.url.set_port(Some(1)).unwrap();
    account.send(elsewhere).await.unwrap_err();
    let stats = account.stats();
    assert_eq!((stats.requests, stats.throttled, stats.windows[0].used), (1, 1, 1));
}

#[tokio::test]
async fn retries_are_a_share_of_the_first_attempts() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let account = account(&server, Auth::None).await;
    let mut taken = 0;
    while account.retry_budget().withdraw() {
        taken += 1;
    }
    for _ in 0..30 {
        account.send(get(&server)).await.unwrap();
    }
    while account.retry_budget().withdraw() {
        taken += 1;
    }
    assert_eq!((taken, account.stats().retries), (21, 21), "20 at the start and a tenth of what was no retry");
}
