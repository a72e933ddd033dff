//! Requests whose credential takes long, under paused time.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::{
    clock::Clock,
    model::Timestamp,
    shutdown::Shutdown,
    wire::{
        Account, Accounts, Auth, Class, Limits, NoStore, Request, SecretError, SecretProvider, Window,
        budget::MemoryBudget,
    },
};

use super::server::{Server, answer};

/// Takes 30 s.
struct Slow;

#[async_trait]
impl SecretProvider for Slow {
    async fn read(&self) -> Result<SecretString, SecretError> {
        sleep(Duration::from_secs(30)).await;
        Ok(SecretString::from("late"))
    }
}

#[tokio::test(start_paused = true)]
async fn permits_that_lapse_while_the_credential_is_read_are_not_used() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let clock = Clock::following_tokio(Timestamp::from_micros(1_795_348_800_000_000));
    let budget = Arc::new(MemoryBudget::new(clock.clone(), Duration::from_millis(3)));
    let one = NonZeroU32::MIN;
    let open = async |auth| -> Account {
        let accounts = Accounts::new(clock.clone(), Arc::new(NoStore), Shutdown::new()).shared(Some(budget.clone()));
        let limits = Limits { windows: vec![Window::new(one, Duration::from_secs(10))], ..Limits::default() };
        let provisional = accounts.provisional(server.settings(auth), limits, one).unwrap();
        accounts.adopt(provisional, "vendor:1").await.unwrap()
    };
    let (slow, quick) = (open(Auth::Bearer(Arc::new(Slow))).await, open(Auth::None).await);
    let url = format!("http://{}/me", server.address).parse().unwrap();
    let request = Request::new(http::Method::GET, url, Class::Read, "/me");
    let start = Instant::now();
    let ready =
        tokio::spawn(async move { slow.ready(&request, None).await.map(drop).map(|()| Instant::now()).unwrap() });
    sleep(Duration::from_secs(25)).await;
    // The permit of the other one has lapsed.
    let mut ticket = quick.shared.limiter.acquire(Class::Read, one).await.unwrap();
    ticket.handed().leaves();
    drop(ticket);
    assert_eq!(start.elapsed().as_secs(), 25);
    let ready = ready.await.unwrap() - start;
    assert!(ready > Duration::from_secs(35) && ready < Duration::from_secs(37), "ready after {ready:?}");
}
